package canlog_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
)

func TestLongLinesAreRefusedAndPassedOver(t *testing.T) {
	frame := "(1.0) can0 001#AA"
	for _, n := range []int{4096, 4097, 64 << 10, 64<<10 + 1, 200_000} {
		for _, end := range []string{"\n", "\r\n"} {
			padded := frame + strings.Repeat(" ", n-len(frame))
			entries, bad := readLines(t, frame+end+padded+end+frame+end)
			if n <= 4096 {
				if len(entries) != 3 || len(bad) != 0 {
					t.Errorf("%d bytes: %d entries, errors %v", n, len(entries), bad)
				}
				continue
			}
			if len(entries) != 2 || len(bad) != 1 {
				t.Errorf("%d bytes: %d entries, errors %v, want 2 and 1", n, len(entries), bad)
				continue
			}
			if e := bad[0]; e.Line != 2 || e.Col != 4097 || !errors.Is(e, bufio.ErrTooLong) || len(e.Text) > 210 {
				t.Errorf("%d bytes: %v, want ErrTooLong in line 2, column 4097, and a short text", n, e)
			}
		}
	}
}

// repeat is an endless line of the byte it is.
type repeat byte

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func TestLineOfAHundredMegabytesNeedsNoMemory(t *testing.T) {
	const size = 100 << 20
	r := canlog.NewReader(io.MultiReader(
		strings.NewReader("(1.0) a 001#\n"),
		io.LimitReader(repeat('('), size),
		strings.NewReader("\n(1.0) a 002#\n"),
	), "")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var n, bad int
	for _, err := range r.Entries() {
		if err == nil {
			n++
		} else {
			bad++
		}
	}
	runtime.ReadMemStats(&after)
	if n != 2 || bad != 1 {
		t.Errorf("%d entries and %d errors, want 2 and 1", n, bad)
	}
	// All that was allocated, collected or not.
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("%d bytes allocated for a line of %d", grown, size)
	}
}

func TestEndlessLineIsReportedBeforeItsEnd(t *testing.T) {
	for _, err := range canlog.NewReader(repeat(0), "").Entries() {
		if !errors.Is(err, bufio.ErrTooLong) {
			t.Errorf("error %v, want bufio.ErrTooLong", err)
		}
		break
	}
}

// manyNames is a log of n lines, each with a channel of its own.
type manyNames struct {
	i, n int
	rest []byte
}

func (m *manyNames) Read(p []byte) (int, error) {
	if len(m.rest) == 0 {
		if m.i == m.n {
			return 0, io.EOF
		}
		m.rest = fmt.Appendf(nil, "(1.0) %0250d 001#\n", m.i)
		m.i++
	}
	n := copy(p, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestManyChannelNamesNeedBoundedMemory(t *testing.T) {
	r := canlog.NewReader(&manyNames{n: 50_000}, "")
	before, n := heap(), 0
	for e, err := range r.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%0250d", n); e.Channel != want {
			t.Fatalf("channel %s, want %s", e.Channel, want)
		}
		n++
	}
	after := heap()
	runtime.KeepAlive(r)
	if n != 50_000 {
		t.Errorf("%d entries, want 50000", n)
	}
	if after > before+1<<20 { // all names together are 12.5 MB
		t.Errorf("the heap has grown by %d bytes", after-before)
	}
}

func TestReaderDoesNotAllocatePerClassicEntry(t *testing.T) {
	log := strings.Repeat("(1700000000.123456) can0 12345678#1122334455667788 R\n", 10_000)
	if n := testing.AllocsPerRun(10, func() {
		for _, err := range canlog.NewReader(strings.NewReader(log), "").Entries() {
			if err != nil {
				t.Fatal(err)
			}
		}
	}); n > 20 { // the reader, its buffer, a name
		t.Errorf("%v allocations for 10000 entries", n)
	}
}
