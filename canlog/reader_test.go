package canlog_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
	"unicode/utf8"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

func TestReadingGoesOnAfterLineErrors(t *testing.T) {
	entries, bad := readLines(t, "(1.0) can0 001#\nnonsense\n\n(1.0) can0 00#\n(2.0) can0 002#\r\n(3.0)\n(3.0) can0 003#")
	var got []uint32
	for _, e := range entries {
		got = append(got, e.Message.ID)
	}
	if fmt.Sprint(got) != "[1 2 3]" {
		t.Errorf("entries %v, want 1, 2 and 3", got)
	}
	var lines []int
	for _, e := range bad {
		lines = append(lines, e.Line)
	}
	if fmt.Sprint(lines) != "[2 4 6]" {
		t.Errorf("errors in lines %v, want 2, 4 and 6", lines)
	}
}

func TestLineErrorTellsPlaceReasonAndCause(t *testing.T) {
	_, bad := readLines(t, "(1.0) can0 123#AAB")
	if len(bad) != 1 {
		t.Fatalf("errors %v, want one", bad)
	}
	const want = `canlog: test.log:1:19: half a data byte: line "(1.0) can0 123#AAB"`
	if got := bad[0].Error(); got != want {
		t.Errorf("error  %s\nwant   %s", got, want)
	}
	var pe *hub.ParseError
	if !errors.As(bad[0], &pe) || pe.Offset != 7 || pe.Text != "123#AAB" {
		t.Errorf("cause %v, want the *hub.ParseError", pe)
	}
	bad[0].File = ""
	if got, want := bad[0].Error(), strings.Replace(want, "test.log:", "", 1); got != want {
		t.Errorf("without a file name: %s\nwant %s", got, want)
	}
}

// The reader parses in its own buffer, which the next block overwrites.
func TestErrorsAndEntriesKeepTheirTextWhileReadingGoesOn(t *testing.T) {
	var log strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&log, "(%d.0) can%d 123#%08X\n(%d.0) can0 bad%d\n", i, i%700, i, i, i)
	}
	entries, bad := readLines(t, log.String())
	if len(entries) != 10_000 || len(bad) != 10_000 {
		t.Fatalf("%d entries and %d errors, want 10000 each", len(entries), len(bad))
	}
	for i := range entries {
		if got, want := entries[i].Channel, fmt.Sprintf("can%d", i%700); got != want {
			t.Fatalf("entry %d: channel %q, want %q", i, got, want)
		}
		if got, want := bad[i].Text, fmt.Sprintf("(%d.0) can0 bad%d", i, i); got != want {
			t.Fatalf("error %d: text %q, want %q", i, got, want)
		}
		var pe *hub.ParseError
		if want := fmt.Sprintf("bad%d", i); !errors.As(bad[i], &pe) || pe.Text != want {
			t.Fatalf("error %d: cause %v, want that of %q", i, pe, want)
		}
	}
}

func TestDroppedAddsUpDropcountLines(t *testing.T) {
	const log = `(1.0) can0 001#
DROPCOUNT: dropped 3 CAN frames on 'can0' socket (total drops 3)
(2.0) can0 002#
  DROPCOUNT: dropped 1 CAN frame on 'can0' socket (total drops 4)
DROPCOUNT: dropped 4294967295 CAN frames on 'a (b) c' socket (total drops 3)
`
	r := canlog.NewReader(strings.NewReader(log), "")
	var seen []uint64
	for e, err := range r.Entries() {
		if err != nil {
			t.Errorf("entry %v: %v", e, err)
		}
		seen = append(seen, r.Dropped())
	}
	const all uint64 = 3 + 1 + 4294967295
	if fmt.Sprint(seen) != "[0 3]" || r.Dropped() != all {
		t.Errorf("dropped %d along the way and %d at the end, want [0 3] and %d", seen, r.Dropped(), all)
	}
}

func TestLeftLoopIsTakenUpByTheNext(t *testing.T) {
	r := canlog.NewReader(strings.NewReader("(1.0) a 001#\nbad\n(2.0) a 002#\n(3.0) a 003#\n"), "")
	var got []string
	for range 6 {
		for e, err := range r.Entries() {
			if err != nil {
				got = append(got, "error")
			} else {
				got = append(got, e.Message.String())
			}
			break
		}
	}
	if want := "[001# error 002# 003#]"; fmt.Sprint(got) != want {
		t.Errorf("read %v, want %v", got, want)
	}
}

func TestReadErrorEndsTheIterationBehindWhatWasRead(t *testing.T) {
	broken := errors.New("the disk is broken")
	const two = "(1.0) a 001#\n\n(2.0) a 002#\n"
	for name, test := range map[string]struct {
		log string
		bad int // lines refused
	}{
		"between lines":              {two, 0},
		"in a line":                  {two + "(3.0) a 0", 0},
		"in a line that looks whole": {two + "(3.0) a 003#0011", 0},
		"in a long line":             {two + strings.Repeat("x", 100_000), 1},
	} {
		for _, reader := range []io.Reader{
			io.MultiReader(strings.NewReader(test.log), iotest.ErrReader(broken)),
			iotest.OneByteReader(io.MultiReader(strings.NewReader(test.log), iotest.ErrReader(broken))),
			iotest.DataErrReader(io.MultiReader(strings.NewReader(test.log), iotest.ErrReader(broken))),
		} {
			r := canlog.NewReader(reader, "bus.log")
			var entries, bad int
			var last error
			for _, err := range r.Entries() {
				var le *canlog.LineError
				switch last = err; {
				case err == nil:
					entries++
				case errors.As(err, &le):
					bad++
				}
			}
			if entries != 2 || bad != test.bad {
				t.Errorf("%s: %d entries and %d refused lines, want 2 and %d", name, entries, bad, test.bad)
			}
			const want = "canlog: bus.log:4: read: the disk is broken"
			if !errors.Is(last, broken) || last.Error() != want {
				t.Errorf("%s: last error %v, want %s", name, last, want)
			}
			for _, err := range r.Entries() { // once more: the same, and no entry
				if !errors.Is(err, broken) {
					t.Errorf("%s: then %v, want the read error", name, err)
				}
			}
		}
	}
}

func TestGarbageIsSurvivedAndShownEscaped(t *testing.T) {
	for _, garbage := range []string{
		"\x00\x00\x00\x00", "\xff\xfe\xfd", "\x1b[2J\x1b]0;title\x07", "(\x00", "(1.0) \x00 123#",
		"(1.0) a \x80#", "(1.0) a 123#\xc3", "(1.0) a 123#AA \xe2\x80", "\u202e\u2028", "\x7fELF\x02\x01\x01\x00",
	} {
		entries, bad := readLines(t, garbage+"\n(1.0) a 123#\n")
		if len(entries) != 1 || len(bad) != 1 {
			t.Errorf("%q: %d entries and %d errors, want 1 and 1", garbage, len(entries), len(bad))
			continue
		}
		checkShown(t, bad[0])
	}
}

// checkShown checks that an error can be shown on a terminal.
func checkShown(t *testing.T, err error) {
	t.Helper()
	text := err.Error()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("the error is not printable: %q", text)
	}
}

func TestReaderCloseIsIdempotentAndEndsReading(t *testing.T) {
	r := canlog.NewReader(strings.NewReader("(1.0) a 001#\n"), "")
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	n := 0
	for _, err := range r.Entries() {
		if n++; err == nil {
			t.Error("an entry after Close")
		}
	}
	if n != 1 {
		t.Errorf("%d values after Close, want one error", n)
	}
}

// byLine gives one line with each Read.
type byLine struct {
	lines []string
	reads int
}

func (b *byLine) Read(p []byte) (int, error) {
	if b.reads == len(b.lines) {
		return 0, io.EOF
	}
	b.reads++
	return copy(p, b.lines[b.reads-1]), nil
}

func TestEntryIsHandedOutAsSoonAsItsLineIsComplete(t *testing.T) {
	pipe := &byLine{lines: []string{"(1.0) a 001#\n", "(2.0) a 002#\n", "(3.0) a", " 003#\n"}}
	var reads []int
	for e, err := range canlog.NewReader(pipe, "").Entries() {
		if err != nil {
			t.Fatal(e, err)
		}
		reads = append(reads, pipe.reads)
	}
	if fmt.Sprint(reads) != "[1 2 4]" {
		t.Errorf("entries came after %v reads, want after 1, 2 and 4", reads)
	}
}
