package canlog_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// manyEntries is a stream of n entries of drive-like data in a format.
func manyEntries(t testing.TB, f canlog.Format, n int) string {
	var log bytes.Buffer
	w := canlog.NewWriter(&log, exact(f))
	for i := range n {
		e := received(entry(when+int64(i)*1000, "can0", hub.Std(uint32(i)%0x800, byte(i), byte(i>>8), 3, 4, 5, 6, 7, 8)))
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return log.String()
}

func TestReadingDoesNotAllocatePerEntry(t *testing.T) {
	for _, c := range carries {
		log := manyEntries(t, c.format, 10_000)
		if n := testing.AllocsPerRun(5, func() {
			for _, err := range canlog.NewReaderWith(strings.NewReader(log), "", utc(c.format)).Entries() {
				if err != nil {
					t.Fatal(err)
				}
			}
		}); n > 1000 { // in BLF, those that compress/flate makes for its tables
			t.Errorf("%v: %v allocations for 10000 entries", c.format, n)
		}
	}
}

func TestWritingDoesNotAllocatePerEntry(t *testing.T) {
	for _, c := range carries {
		w := canlog.NewWriter(io.Discard, exact(c.format))
		e := received(entry(when, "can0", hub.Ext(0x12345678, 1, 2, 3, 4, 5, 6, 7, 8)))
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(10_000, func() {
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations per entry", c.format, n)
		}
	}
}

func TestMemoryForALargeLogStaysConstant(t *testing.T) {
	for _, c := range carries {
		pr, pw := io.Pipe()
		const n = 100_000 // some 5 MB
		go func() {
			w := canlog.NewWriter(pw, exact(c.format))
			for i := range n {
				if err := w.Write(entry(when+int64(i), "can0", hub.Std(uint32(i)%0x800, 1, 2, 3, 4, 5, 6, 7, byte(i)))); err != nil {
					pw.CloseWithError(err)
					return
				}
			}
			pw.CloseWithError(w.Close())
		}()
		r := canlog.NewReaderWith(pr, "", utc(c.format))
		before, got := heap(), 0
		for _, err := range r.Entries() {
			if err != nil {
				t.Fatal(err)
			}
			if got++; got == n/2 || got == n {
				if now := heap(); now > before+2<<20 {
					t.Errorf("%v: the heap has grown by %d bytes at entry %d", c.format, now-before, got)
				}
			}
		}
		if got != n {
			t.Errorf("%v: %d entries, want %d", c.format, got, n)
		}
	}
}

// An operation is a log of 1000 entries.
func BenchmarkFormatReader(b *testing.B) {
	for _, c := range carries {
		b.Run(c.format.String(), func(b *testing.B) {
			log := manyEntries(b, c.format, 1000)
			b.SetBytes(int64(len(log)))
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, err := range canlog.NewReaderWith(strings.NewReader(log), "", utc(c.format)).Entries() {
					if n++; err != nil {
						b.Fatal(err)
					}
				}
				if n != 1000 {
					b.Fatalf("%d entries", n)
				}
			}
		})
	}
}

// An operation is one entry.
func BenchmarkFormatWriter(b *testing.B) {
	for _, c := range carries {
		b.Run(c.format.String(), func(b *testing.B) {
			b.SetBytes(int64(len(manyEntries(b, c.format, 1000)) / 1000))
			b.ReportAllocs()
			w := canlog.NewWriter(io.Discard, exact(c.format))
			for i := 0; b.Loop(); i++ {
				e := traffic[i%len(traffic)]
				e.Channel, e.Message.Timestamp = "can0", when+int64(i)*1000
				if err := w.Write(e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
