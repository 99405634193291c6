package canlog_test

import (
	"io"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// What a car sends: eight bytes of data, mostly.
var traffic = []canlog.Entry{
	entry(1_700_000_000_000_001_000, "can0", hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8)),
	entry(1_700_000_000_000_202_000, "can0", hub.Std(0x7FF, 1, 2, 3)),
	entry(1_700_000_000_000_403_000, "can1", hub.Ext(0x18FEF100, 1, 2, 3, 4, 5, 6, 7, 8)),
	entry(1_700_000_000_000_604_000, "can0", hub.Std(0x321, 0, 0, 0, 0, 0, 0, 0, 0)),
}

// again is a log that begins anew at its end.
type again struct {
	log string
	pos int
}

func (a *again) Read(p []byte) (int, error) {
	n := copy(p, a.log[a.pos:])
	a.pos = (a.pos + n) % len(a.log)
	return n, nil
}

// An operation is one entry.
func BenchmarkReader(b *testing.B) {
	part := write(b, nil, traffic...)
	b.ReportAllocs()
	b.SetBytes(int64(len(part) / len(traffic)))
	r := canlog.NewReader(&again{log: strings.Repeat(part, 1<<20/len(part))}, "")
	for _, err := range r.Entries() {
		if err != nil {
			b.Fatal(err)
		}
		if !b.Loop() {
			break
		}
	}
}

// An operation is one entry.
func BenchmarkWriter(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(write(b, nil, traffic...)) / len(traffic)))
	w := canlog.NewWriter(io.Discard, nil)
	for i := 0; b.Loop(); i++ {
		if err := w.Write(traffic[i%len(traffic)]); err != nil {
			b.Fatal(err)
		}
	}
}
