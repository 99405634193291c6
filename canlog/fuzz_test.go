package canlog_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// FuzzReader: no input makes the reader panic, it tells the place of each
// error, and an entry that it returns is the same after writing and reading.
func FuzzReader(f *testing.F) {
	for _, log := range []string{
		"",
		"(1700000000.123456) vcan0 123#AABBCC\n",
		"(1700000000.123456789)  can0 18FEF100##5AABBCC R\r\n",
		"(000.000001) can0 123#R5 T\n(1.5) 0 00000123#r\n",
		"(1.0) can0 20000004#0001020304050607\n",
		"(1.0) can0 123#0001020304050607_9\n# comment\n\n",
		"DROPCOUNT: dropped 3 CAN frames on 'can0' socket (total drops 3)\n",
		"(9223372036.854775807) ä 7FF#.11.22.\n(-1.0) a 123#\n(nan) a 123#",
		"\x00\x01\xff(\n(1.0\n(1.0)\n(1.0) a\n(1.0) a b c d",
		"(1.0) a 123##F001122334455667788\n(1.0) a\u00a0 123#\n",
	} {
		f.Add([]byte(log))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		lines := bytes.Split(log, []byte("\n"))
		var entries []canlog.Entry
		line := 0
		for e, err := range canlog.NewReader(bytes.NewReader(log), "fuzz.log").Entries() {
			if err == nil {
				entries = append(entries, e)
				continue
			}
			var le *canlog.LineError
			if !errors.As(err, &le) {
				t.Fatalf("reading from memory: %v", err)
			}
			checkShown(t, err)
			if le.Line <= line || le.Line > len(lines) {
				t.Fatalf("an error in line %d of %d, after one in line %d", le.Line, len(lines), line)
			}
			line = le.Line
			if n := len(lines[line-1]); le.Col < 1 || le.Col > n+1 || le.Reason == "" || len(le.Text) > 203 {
				t.Fatalf("an error in a line of %d bytes: %#v", n, le)
			}
		}
		if len(entries) > len(lines) {
			t.Fatalf("%d entries in %d lines", len(entries), len(lines))
		}
		checkRoundTrip(t, entries)
	})
}

// FuzzWriter: what the writer accepts is read back as it was.
func FuzzWriter(f *testing.F) {
	f.Add("can0", uint32(0x123), uint8(0), int64(1_700_000_000_123_456_789), uint8(3), []byte{1, 2, 3}, uint8(0))
	f.Add("ä", uint32(0x12345678), uint8(hub.Extended|hub.FDF|hub.BRS), int64(0), uint8(12), []byte("twelve bytes"), uint8(1))
	f.Add("a b", uint32(4), uint8(hub.Error), int64(1<<63-1), uint8(8), []byte("12345678"), uint8(2))
	f.Add("#", uint32(0x7FF), uint8(hub.Remote), int64(-1), uint8(8), []byte(nil), uint8(3))
	f.Fuzz(func(t *testing.T, channel string, id uint32, flags uint8, ns int64, length uint8, data []byte, dir uint8) {
		e := canlog.Entry{Channel: channel, Dir: canlog.Dir(dir), Message: hub.Message{
			ID: id, Flags: hub.Flags(flags), Len: length, Timestamp: ns,
		}}
		copy(e.Message.Data[:length%65], data)
		var log bytes.Buffer
		w := canlog.NewWriter(&log, everything)
		if err := w.Write(e); err != nil {
			if !errors.Is(err, canlog.ErrRefused) {
				t.Fatal(err)
			}
			checkShown(t, err)
			return
		}
		// What a log does not hold.
		e.Message.Flags &^= hub.Own
		if e.Message.Flags&hub.Error != 0 {
			e.Message.Flags &^= hub.Extended
		}
		clear(e.Message.Data[min(length, 64):])
		checkRoundTrip(t, []canlog.Entry{e})
	})
}

func checkRoundTrip(t *testing.T, entries []canlog.Entry, changed ...func(*canlog.Entry)) {
	t.Helper()
	entries = slices.Clone(entries)
	for i := range entries {
		for _, change := range changed {
			change(&entries[i])
		}
	}
	back := read(t, write(t, everything, entries...))
	if len(back) != len(entries) {
		t.Fatalf("%d entries read back, want %d", len(back), len(entries))
	}
	for i := range entries {
		if back[i] != entries[i] {
			t.Fatalf("read back %s\nwritten   %s", show(back[i]), show(entries[i]))
		}
	}
}
