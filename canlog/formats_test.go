package canlog_test

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// readAs reads the whole log and fails the test if that meets an error.
func readAs(t testing.TB, log string, o *canlog.ReaderOptions) []canlog.Entry {
	t.Helper()
	var entries []canlog.Entry
	for e, err := range canlog.NewReaderWith(strings.NewReader(log), "test", o).Entries() {
		if err != nil {
			t.Error(err)
			continue
		}
		entries = append(entries, e)
	}
	return entries
}

// utc are the options of a reader of f.
func utc(f canlog.Format) *canlog.ReaderOptions {
	return &canlog.ReaderOptions{Format: f, Location: time.UTC}
}

// exact are the options of a writer of f that keep the most.
func exact(f canlog.Format) *canlog.WriterOptions {
	return &canlog.WriterOptions{Format: f, Nanoseconds: true, Direction: true, Location: time.UTC}
}

func sent(e canlog.Entry) canlog.Entry {
	e.Dir = canlog.DirSent
	return e
}

func received(e canlog.Entry) canlog.Entry {
	e.Dir = canlog.DirReceived
	return e
}

func with(m hub.Message, f hub.Flags) hub.Message {
	m.Flags |= f
	return m
}

// A busError is what is left of an error frame in a format that tells no more
// than that there was one.
var busError = hub.Message{ID: 0x80, Flags: hub.Error, Len: 8}

const when = 1_700_000_000_123_456_789

// kinds has one entry of each kind of frame.
var kinds = []struct {
	name  string
	entry canlog.Entry
}{
	{"standard without data", received(entry(when, "can0", hub.Std(0x123)))},
	{"standard", received(entry(when, "can0", hub.Std(0x7FF, 1, 2, 3, 4, 5, 6, 7, 0xFF)))},
	{"sent", sent(entry(when, "can0", hub.Std(0, 0)))},
	{"small extended", received(entry(when, "can0", hub.Ext(0x7, 1, 2)))},
	{"extended", sent(entry(when, "can0", hub.Ext(0x1FFFFFFF, 1, 2, 3, 4, 5, 6, 7, 8)))},
	{"channel 17", received(entry(when, "can17", hub.Ext(0x18FEF100, 1)))},
	{"direction unknown", entry(when, "can0", hub.Std(0x321, 9))},
	{"remote", received(entry(when, "can0", hub.RTR(0x123, 0)))},
	{"remote with length", sent(entry(when, "can0", hub.RTR(0x123, 5)))},
	{"extended remote", received(entry(when, "can0", hub.RTR(0x12345678, 8)))},
	{"bus error", received(entry(when, "can0", busError))},
	{"error", received(entry(when, "can0", with(hub.Std(0x4, 1, 2, 3, 4, 5, 6, 7, 8), hub.Error)))},
	{"FD without data", received(entry(when, "can0", hub.FD(0x123)))},
	{"FD", sent(entry(when, "can0", hub.FD(0x123, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)))},
	{"FD with BRS", received(entry(when, "can0", with(hub.FD(0x123, make([]byte, 48)...), hub.BRS)))},
	{"FD with ESI", received(entry(when, "can0", with(hub.FD(0x123, 1), hub.ESI)))},
	{"extended FD", received(entry(when, "can0", with(hub.FD(0x12345678, bytes.Repeat([]byte{0xA5}, 64)...), hub.BRS|hub.ESI)))},
}

// carries tells of each format which kinds it refuses, and what else it does
// not keep.
var carries = []struct {
	format  canlog.Format
	refuses string // names of kinds, and FD for all of CAN FD
	reason  string
	changed func(*canlog.Entry)
}{
	{canlog.Candump, "none", "", func(*canlog.Entry) {}},
	{canlog.ASC, "error", "class and data would be lost", directionKnown},
	{canlog.BLF, "none", "", directionKnown},
	{canlog.CSV, "FD", "no CAN FD frames", func(e *canlog.Entry) {
		e.Dir = canlog.DirUnknown
		e.Channel = "can0"
	}},
	{canlog.TRC, "error,bus error", "no place for class and data", directionKnown},
}

// directionKnown is for formats that cannot say that it is not.
func directionKnown(e *canlog.Entry) {
	if e.Dir == canlog.DirUnknown {
		e.Dir = canlog.DirReceived
	}
	if e.Message.Flags&hub.Error != 0 {
		e.Dir = canlog.DirUnknown // error frames have none
	}
}

func TestEachFormatKeepsEveryKindOfFrameOrRefusesIt(t *testing.T) {
	for _, c := range carries {
		for _, kind := range kinds {
			t.Run(c.format.String()+"/"+kind.name, func(t *testing.T) {
				var log strings.Builder
				w := canlog.NewWriter(&log, exact(c.format))
				err := w.Write(kind.entry)
				refused := false
				for _, part := range strings.Split(c.refuses, ",") {
					refused = refused || part == kind.name || part == "FD" && kind.entry.Message.Flags&hub.FDF != 0
				}
				if refused {
					if !errors.Is(err, canlog.ErrRefused) || !strings.Contains(err.Error(), c.format.String()) ||
						!strings.Contains(err.Error(), c.reason) {
						t.Errorf("error %v, want ErrRefused with the format and %q", err, c.reason)
					}
					return
				}
				if err := errors.Join(err, w.Close()); err != nil {
					t.Fatal(err)
				}
				want := kind.entry
				c.changed(&want)
				got := readAs(t, log.String(), utc(c.format))
				if len(got) != 1 || got[0] != want {
					t.Errorf("log %q\nread back %+v\nwant      %+v", log.String(), got, want)
				}
			})
		}
	}
}

func TestTimesAreCutToMicrosecondsUnlessNanosecondsAreAskedFor(t *testing.T) {
	for _, c := range carries {
		e := received(entry(when, "can0", hub.Std(1)))
		later := received(entry(when+3_600_000_000_999, "can0", hub.Std(2)))
		for _, nanoseconds := range []bool{false, true} {
			log := write(t, &canlog.WriterOptions{Format: c.format, Nanoseconds: nanoseconds, Location: time.UTC}, e, later)
			got := readAs(t, log, utc(c.format))
			for i, want := range []int64{e.Message.Timestamp, later.Message.Timestamp} {
				if !nanoseconds && !keepsNanoseconds(c.format) {
					want -= want % 1000
				}
				if len(got) != 2 || got[i].Message.Timestamp != want {
					t.Errorf("%v, nanoseconds %v: read back %+v, want the time %d", c.format, nanoseconds, got, want)
				}
			}
		}
	}
}

func keepsNanoseconds(f canlog.Format) bool { return f == canlog.BLF }

// The first and the last times that a Timestamp can hold. West of Greenwich 1970
// begins in 1969.
func TestTimesOfEveryYearAreReadBack(t *testing.T) {
	west := time.FixedZone("west", -8*3600)
	for _, f := range []canlog.Format{canlog.Candump, canlog.ASC, canlog.BLF, canlog.TRC} {
		for _, ns := range []int64{0, 1e9, when, math.MaxInt64} {
			m := hub.Std(1)
			m.Timestamp = ns
			var b bytes.Buffer
			w := canlog.NewWriter(&b, &canlog.WriterOptions{Format: f, Nanoseconds: true, Location: west})
			if err := errors.Join(w.Write(canlog.Entry{Channel: "can0", Message: m}), w.Close()); err != nil {
				t.Errorf("%v, time %d: %v", f, ns, err)
				continue
			}
			for _, e := range readAs(t, b.String(), &canlog.ReaderOptions{Format: f, Location: west}) {
				if e.Message.Timestamp != ns {
					t.Errorf("%v: time %d is read as %d", f, ns, e.Message.Timestamp)
				}
			}
		}
	}
}

func TestFormatIsChosenByTheEndOfTheName(t *testing.T) {
	dir := t.TempDir()
	for _, c := range carries {
		for _, end := range endsOf(c.format) {
			path := filepath.Join(dir, "drive"+end)
			w, err := canlog.Create(path, &canlog.WriterOptions{Nanoseconds: true})
			if err != nil {
				t.Fatal(err)
			}
			e := entry(when, "can0", hub.Std(0x123, 1))
			if err := errors.Join(w.Write(e), w.Close(), w.Close()); err != nil {
				t.Fatal(err)
			}
			r, err := canlog.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for got, err := range r.Entries() {
				if n++; err != nil || got.Message != e.Message || got.Channel != "can0" {
					t.Errorf("%s: %s, %v, want %s", end, show(got), err, show(e))
				}
			}
			if err := r.Close(); n != 1 || err != nil {
				t.Errorf("%s: %d entries, %v", end, n, err)
			}
		}
	}
}

func endsOf(f canlog.Format) []string {
	switch f {
	case canlog.Candump:
		return []string{".log", ".LOG.gz"}
	case canlog.BLF:
		return []string{".blf", ".BLF"}
	}
	end := "." + strings.ToLower(f.String())
	return []string{end, strings.ToUpper(end), end + ".gz"}
}

func TestFormatIsTheOneThatTheOptionsName(t *testing.T) {
	for _, c := range carries {
		path := filepath.Join(t.TempDir(), "drive.txt")
		w, err := canlog.Create(path, &canlog.WriterOptions{Format: c.format})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(entry(0, "can0", hub.Std(1))), w.Close()); err != nil {
			t.Fatal(err)
		}
		r, err := canlog.OpenWith(path, &canlog.ReaderOptions{Format: c.format})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range r.Entries() {
			if n++; err != nil {
				t.Error(err)
			}
		}
		if err := r.Close(); n != 1 || err != nil {
			t.Errorf("%v: %d entries, %v", c.format, n, err)
		}
	}
}

func TestErrorOfAnUnknownFormatListsTheKnownOnes(t *testing.T) {
	_, rerr := canlog.Open("a.txt")
	_, werr := canlog.Create("a.txt", nil)
	for _, c := range carries {
		for _, err := range []error{rerr, werr} {
			if err == nil || !strings.Contains(err.Error(), endsOf(c.format)[0]) {
				t.Errorf("error %v, want one that names %s", err, endsOf(c.format)[0])
			}
		}
	}
	if _, err := canlog.OpenWith("a.log", &canlog.ReaderOptions{Format: 99}); err == nil || !strings.Contains(err.Error(), "Format(99)") {
		t.Errorf("error %v, want one that names the format", err)
	}
}

func TestEmptyLogsAreReadBackEmpty(t *testing.T) {
	for _, c := range carries {
		var log strings.Builder
		if err := canlog.NewWriter(&log, exact(c.format)).Close(); err != nil {
			t.Error(err)
		}
		if got := readAs(t, log.String(), utc(c.format)); len(got) != 0 {
			t.Errorf("%v: %d entries", c.format, len(got))
		}
	}
}

// A flushed log can be read though it is not closed, say after a crash.
func TestFlushedLogsHoldEveryEntry(t *testing.T) {
	for _, c := range carries {
		var log bytes.Buffer
		w := canlog.NewWriter(&log, exact(c.format))
		for i := range 3 {
			if err := errors.Join(w.Write(entry(int64(i), "can0", hub.Std(1))), w.Flush(), w.Flush()); err != nil {
				t.Fatal(err)
			}
			if got := readAs(t, log.String(), utc(c.format)); len(got) != i+1 {
				t.Errorf("%v: %d entries, want %d", c.format, len(got), i+1)
			}
		}
	}
}
