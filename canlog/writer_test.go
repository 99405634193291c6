package canlog_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

func TestWriterCutsTimesToMicroseconds(t *testing.T) {
	e := entry(1_700_000_000_999_999_999, "can0", hub.Std(0x123))
	if got, want := write(t, nil, e), "(1700000000.999999) can0 123#\n"; got != want {
		t.Errorf("written %q, want %q", got, want)
	}
	ns := &canlog.WriterOptions{Nanoseconds: true}
	if got, want := write(t, ns, e), "(1700000000.999999999) can0 123#\n"; got != want {
		t.Errorf("written %q, want %q", got, want)
	}
	e.Message.Timestamp = 1<<63 - 1
	if got := read(t, write(t, ns, e)); len(got) != 1 || got[0] != e {
		t.Errorf("read back %+v, want %+v", got, e)
	}
}

func TestChannelWidthAlignsFromTheFirstLine(t *testing.T) {
	entries := []canlog.Entry{
		entry(0, "a", hub.Std(1)), entry(0, "longer", hub.Std(2)), entry(0, "b", hub.Std(3)),
	}
	for _, test := range []struct {
		width int
		want  string
	}{
		{0, "a|longer|     b"},
		{3, "  a|longer|     b"},
		{8, "       a|  longer|       b"},
		{-1, "a|longer|b"},
		{1 << 30, strings.Repeat(" ", 254) + "a|" + strings.Repeat(" ", 249) + "longer|" + strings.Repeat(" ", 254) + "b"},
	} {
		log := write(t, &canlog.WriterOptions{ChannelWidth: test.width}, entries...)
		var names []string
		for line := range strings.Lines(log) {
			names = append(names, line[len("(0000000000.000000) "):strings.Index(line, " 00")])
		}
		if got := strings.Join(names, "|"); got != test.want {
			t.Errorf("width %d: %q, want %q", test.width, got, test.want)
		}
		if got := read(t, log); len(got) != 3 || got[0] != entries[0] || got[1] != entries[1] || got[2] != entries[2] {
			t.Errorf("width %d: read back %+v", test.width, got)
		}
	}
}

func TestDirectionIsWrittenWhereItIsKnown(t *testing.T) {
	e := entry(0, "can0", hub.Ext(1, 2))
	var got strings.Builder
	for _, e.Dir = range []canlog.Dir{canlog.DirUnknown, canlog.DirReceived, canlog.DirSent} {
		got.WriteString(write(t, &canlog.WriterOptions{Direction: true}, e))
		got.WriteString(write(t, nil, e))
	}
	const line = "(0000000000.000000) can0 00000001#02"
	want := line + "\n" + line + "\n" + line + " R\n" + line + "\n" + line + " T\n" + line + "\n"
	if got.String() != want {
		t.Errorf("written:\n%swant:\n%s", got.String(), want)
	}
}

func TestWriterRefusesWhatCouldNotBeReadBack(t *testing.T) {
	good := entry(1, "can0", hub.Std(1))
	var log bytes.Buffer
	w := canlog.NewWriter(&log, nil)
	for name, change := range map[string]func(*canlog.Entry){
		"no channel":        func(e *canlog.Entry) { e.Channel = "" },
		"space":             func(e *canlog.Entry) { e.Channel = "can 0" },
		"tab":               func(e *canlog.Entry) { e.Channel = "can0\t" },
		"line end":          func(e *canlog.Entry) { e.Channel = "can0\n(2.0) can1 123#" },
		"no-break space":    func(e *canlog.Entry) { e.Channel = "can\u00a00" },
		"control character": func(e *canlog.Entry) { e.Channel = "\x1bcan0" },
		"broken UTF-8":      func(e *canlog.Entry) { e.Channel = "can\xff" },
		"long channel":      func(e *canlog.Entry) { e.Channel = strings.Repeat("c", 256) },
		"direction":         func(e *canlog.Entry) { e.Dir = 3 },
	} {
		e := good
		change(&e)
		err := w.Write(e)
		if !errors.Is(err, canlog.ErrRefused) {
			t.Errorf("%s: error %v, want ErrRefused", name, err)
			continue
		}
		checkShown(t, err)
	}
	for _, m := range []hub.Message{
		{ID: 0x800}, {Len: 9}, {Flags: hub.BRS}, {Timestamp: -1}, {Flags: hub.Remote | hub.FDF}, {Flags: hub.FDF, Len: 9},
	} {
		err := w.Write(canlog.Entry{Channel: "can0", Message: m})
		if !errors.Is(err, canlog.ErrRefused) || !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("%+v: error %v, want ErrRefused and hub.ErrInvalid", m, err)
		}
	}
	if err := errors.Join(w.Write(good), w.Flush()); err != nil {
		t.Errorf("a good entry after them: %v", err)
	}
	if got, want := log.String(), "(0000000000.000000) can0 001#\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}

// limited takes n bytes and then fails with err.
type limited struct {
	n   int
	err error
	got bytes.Buffer
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.n {
		n, _ := l.got.Write(p[:l.n])
		l.n = 0
		return n, l.err
	}
	l.n -= len(p)
	return l.got.Write(p)
}

func TestFirstWriteErrorIsReturnedFromThenOn(t *testing.T) {
	full := errors.New("the disk is full")
	out := &limited{n: 100_000, err: full}
	w := canlog.NewWriter(out, nil)
	e := entry(0, "can0", hub.Std(1))
	var first error
	for range 10_000 {
		if first = w.Write(e); first != nil {
			break
		}
	}
	if !errors.Is(first, full) || errors.Is(first, canlog.ErrRefused) {
		t.Fatalf("Write: %v, want the write error", first)
	}
	out.n = 1 << 30 // room again, but a line would be missing
	for name, err := range map[string]error{"Write": w.Write(e), "Flush": w.Flush(), "Close": w.Close(), "Close again": w.Close()} {
		if !errors.Is(err, full) {
			t.Errorf("%s after it: %v, want the same", name, err)
		}
	}
	if n := out.got.Len(); n != 100_000 {
		t.Errorf("%d bytes written, want none after the error", n)
	}
}

func TestFlushReturnsTheWriteError(t *testing.T) {
	full := errors.New("the disk is full")
	w := canlog.NewWriter(&limited{err: full}, nil)
	if err := w.Write(entry(0, "can0", hub.Std(1))); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); !errors.Is(err, full) {
		t.Errorf("Flush: %v, want the write error", err)
	}
}

// wholeLines fails the test if a write does not end where a line does.
type wholeLines struct{ t *testing.T }

func (w wholeLines) Write(p []byte) (int, error) {
	if !bytes.HasSuffix(p, []byte("\n")) {
		w.t.Errorf("a write of %d bytes ends in the middle of a line", len(p))
	}
	return len(p), nil
}

func TestUnderlyingWriterGetsWholeLines(t *testing.T) {
	w := canlog.NewWriter(wholeLines{t}, nil)
	for i := range 20_000 {
		if err := w.Write(entry(0, "can0", hub.Std(1, make([]byte, i%9)...))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
}

func TestWriterCloseFlushesAndEndsWriting(t *testing.T) {
	var log bytes.Buffer
	w := canlog.NewWriter(&log, nil)
	e := entry(0, "can0", hub.Std(1))
	if err := errors.Join(w.Write(e), w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if got, want := log.String(), "(0000000000.000000) can0 001#\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	if err := w.Write(e); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after Close: %v, want os.ErrClosed", err)
	}
}

func TestWriterDoesNotAllocatePerEntry(t *testing.T) {
	w := canlog.NewWriter(io.Discard, everything)
	e := entry(1_700_000_000_123_456_789, "can0", hub.FD(0x12345678, make([]byte, 64)...))
	e.Dir = canlog.DirSent
	if n := testing.AllocsPerRun(1000, func() {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per entry, want 0", n)
	}
}

func TestCandumpNameIsThatOfCandump(t *testing.T) {
	start := time.Date(2024, time.March, 5, 7, 8, 9, 999_999_999, time.UTC)
	if got, want := canlog.CandumpName(start), "candump-2024-03-05_070809.log"; got != want {
		t.Errorf("name %s, want %s", got, want)
	}
	east := start.In(time.FixedZone("", 20*3600)) // the time where start was taken
	if got, want := canlog.CandumpName(east), "candump-2024-03-06_030809.log"; got != want {
		t.Errorf("name %s, want %s", got, want)
	}
}

func TestDirNames(t *testing.T) {
	for d, want := range map[canlog.Dir]string{
		canlog.DirUnknown: "unknown", canlog.DirReceived: "received", canlog.DirSent: "sent", 7: "Dir(7)",
	} {
		if got := d.String(); got != want {
			t.Errorf("Dir %d is %q, want %q", uint8(d), got, want)
		}
	}
}
