package canlog_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

// The fuzz targets of the formats: no input makes a reader panic or return a
// message that could not be on a bus, every error has a place, and an entry
// that the writer of the same format takes is the same after reading it.

func FuzzCSVReader(f *testing.F) {
	f.Add([]byte(csvHeader + "1.5,0x123,0,0,0,2,AAE=\n1e-06,0x18FEF100,1,1,0,8,\r\n"))
	f.Add([]byte("1650000005.0121238,80,0,0,1,8,fPNa6YpgZoc=\n,,,,,,\n,,,,,,,\n1.0,0x800,0,0,0,9,\n"))
	fuzzFormat(f, canlog.CSV)
}

func FuzzASCReader(f *testing.F) {
	f.Add([]byte("date Mon Jan 10 09:30:15.250 pm 2022\nbase dec  timestamps relative\n// x\n0.5 1  300x Rx d 3 1 20 255\n1.25 2 1 Tx r 8 Length = 0\n"))
	f.Add([]byte("Begin Triggerblock Mon Okt 10 09:30:15 2022\n 1.0 1  Statistic: D 0\n 0.7 CANFD 1 Rx 7AA MsgName 0 0 8  8 60 3D 3A 6F 2A BC C6 B4 0 0 1000 0 0 0 0 0\n0.8 CANFD 1 Rx ErrorFrame x\nEnd TriggerBlock\n"))
	f.Add([]byte("0.7 CANFD 1 Rx 7AA 0 0 4 0 0 0 10 0 0 0 0 0\n-1.0 1 1 Rx d 0\n1.0 1 1 Rx d F 1 2 3 4 5 6 7 8\n"))
	fuzzFormat(f, canlog.ASC)
}

func FuzzBLFReader(f *testing.F) {
	for _, name := range []string{"zlib", "plain", "small_containers", "marker"} {
		f.Add([]byte(logFile(f, "python_can_"+name+".blf")))
	}
	var inputs []struct {
		Hex string `json:"wire_hex"`
	}
	golden.LoadInto(f, "log_inputs.json", &inputs)
	for _, in := range inputs {
		if log, err := hex.DecodeString(in.Hex); err == nil && len(log) > 0 {
			f.Add(log)
			f.Add(plainBLF(log)) // of which the fuzzer can change the contents
		}
	}
	fuzzFormat(f, canlog.BLF)
}

func FuzzTRCReader(f *testing.F) {
	for _, log := range trcLogs {
		f.Add([]byte(log))
	}
	fuzzFormat(f, canlog.TRC)
}

func fuzzFormat(f *testing.F, format canlog.Format) {
	for _, kind := range kinds {
		var log strings.Builder
		w := canlog.NewWriter(&log, exact(format))
		if w.Write(kind.entry) == nil && w.Close() == nil {
			f.Add([]byte(log.String()))
		}
	}
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, log []byte) {
		var entries []canlog.Entry
		errs := 0
		for e, err := range canlog.NewReaderWith(bytes.NewReader(log), "fuzz", utc(format)).Entries() {
			if err == nil {
				if err := e.Message.Validate(); err != nil {
					t.Fatalf("%s: %v", show(e), err)
				}
				if entries = append(entries, e); len(entries) > 10_000 {
					break // they need not all be written again
				}
				continue
			}
			checkShown(t, err)
			if e != (canlog.Entry{}) {
				t.Fatalf("%v came with %s", err, show(e))
			}
			var le *canlog.LineError
			if errors.As(err, &le) && (le.Line < 1 || le.Col < 1 || le.Reason == "") {
				t.Fatalf("an error without a place: %#v", le)
			}
			var oe *canlog.ObjectError
			if errors.As(err, &oe) && (oe.Offset < 0 || oe.Inner < -1 || oe.Reason == "") {
				t.Fatalf("an error without a place: %#v", oe)
			}
			if errs++; errs > len(log)+1 {
				t.Fatalf("more errors than bytes; the last is %v", err)
			}
		}
		checkRoundTrip(t, entries, noExtendedErrors)

		var again bytes.Buffer
		w := canlog.NewWriter(&again, exact(format))
		var kept []canlog.Entry
		for _, e := range entries {
			if format == canlog.TRC && e.Dir == canlog.DirUnknown {
				e.Dir = canlog.DirReceived // the writer's version has no other
			}
			if err := w.Write(e); err == nil {
				kept = append(kept, e)
			} else if !errors.Is(err, canlog.ErrRefused) {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := readAs(t, again.String(), utc(format))
		if len(got) != len(kept) {
			t.Fatalf("%d entries read back, want %d", len(got), len(kept))
		}
		for i := range kept {
			if got[i] != kept[i] {
				t.Fatalf("read back %s\nwritten   %s", show(got[i]), show(kept[i]))
			}
		}
	})
}

// noExtendedErrors takes away what a candump log does not hold.
func noExtendedErrors(e *canlog.Entry) {
	if e.Message.Flags&hub.Error != 0 {
		e.Message.Flags &^= hub.Extended
	}
}
