package canlog_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

// logFile returns a file of testdata/logs.
func logFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "logs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// goldenEntries returns the frames that manifest.json lists.
func goldenEntries(t testing.TB) []canlog.Entry {
	t.Helper()
	var manifest struct{ Frames []frame }
	golden.LoadInto(t, "logs/manifest.json", &manifest)
	if len(manifest.Frames) != 33 {
		t.Fatalf("manifest.json has %d frames", len(manifest.Frames))
	}
	var entries []canlog.Entry
	for _, f := range manifest.Frames {
		e := sent(entry(0, fmt.Sprintf("can%v", f.Channel), f.message(t)))
		e.Message.Timestamp = golden.Nanoseconds(t, f.Timestamp)
		if f.IsRx {
			e = received(e)
		}
		entries = append(entries, e)
	}
	return entries
}

func TestASCOfPythonCANAndLog2ascIsRead(t *testing.T) {
	for name, changed := range map[string]func(*canlog.Entry){
		"python_can_abs.asc": func(*canlog.Entry) {},
		"python_can_rel.asc": func(*canlog.Entry) {},
		// log2asc read a log without directions and made Rx of it, and its
		// date has no milliseconds.
		"log2asc_new.asc": func(e *canlog.Entry) {
			e.Dir = canlog.DirReceived
			e.Message.Timestamp -= 750e6
		},
		"log2asc_2020_11.asc": func(e *canlog.Entry) {
			e.Dir = canlog.DirReceived
			e.Message.Timestamp -= 750e6
		},
		"log2asc_new_d_4.asc": func(e *canlog.Entry) {
			e.Dir = canlog.DirReceived
			e.Message.Timestamp -= 750e6
			e.Message.Timestamp -= e.Message.Timestamp % 100_000
		},
	} {
		got := readAs(t, logFile(t, name), utc(canlog.ASC))
		want := goldenEntries(t)
		if len(got) != len(want) {
			t.Errorf("%s: %d entries, want %d", name, len(got), len(want))
			continue
		}
		for i, want := range want {
			changed(&want)
			if want.Message.Flags&hub.Error != 0 { // of which ASC tells nothing
				m := busError
				m.Timestamp = want.Message.Timestamp
				want.Message, want.Dir = m, canlog.DirUnknown
			}
			if name == "log2asc_new_d_4.asc" && i > 0 { // cut from the first frame on
				want.Message.Timestamp -= want.Message.Timestamp % 100_000
			}
			if got[i] != want {
				t.Errorf("%s: frame %d: %s\nwant     %s", name, i, show(got[i]), show(want))
			}
		}
	}
}

func TestASCIsWrittenAsPythonCANDoesIt(t *testing.T) {
	want := logFile(t, "python_can_abs.asc")
	entries := readAs(t, want, utc(canlog.ASC))
	got := write(t, &canlog.WriterOptions{Format: canlog.ASC, Location: time.UTC}, entries...)
	// In the first line python-can has the day of the conversion.
	_, want, _ = strings.Cut(want, "\n")
	first, got, _ := strings.Cut(got, "\n")
	if first != "date Fri Apr 15 05:20:01.750 2022" {
		t.Errorf("first line %q", first)
	}
	if got+"End TriggerBlock\n" != want { // which comes with Close
		t.Errorf("written:\n%swant:\n%s", got, want)
	}
}

func TestASCCountsOtherEvents(t *testing.T) {
	const log = `date Mon Jan 10 09:30:15.250 am 2022
base hex  timestamps absolute
no internal events logged
// version 9.0.0
Begin Triggerblock Mon Jan 10 09:30:15.250 am 2022
   0.000000 Start of measurement
   0.1 1  Statistic: D 0 R 0 XD 0 XR 0 E 0 O 0 B 0.0%
   0.2 CAN 1 Status:chip status error active
   0.3 1  7A7  TxRq d 1 6C
   0.4 1  7A7  Tx d 1 6C
   0.5 LIN 1 foo
what is this
End TriggerBlock
`
	r := canlog.NewReaderWith(strings.NewReader(log), "a.asc", utc(canlog.ASC))
	n := 0
	for _, err := range r.Entries() {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if n != 1 || r.Skipped() != 5 {
		t.Errorf("%d entries and %d lines skipped, want 1 and 5", n, r.Skipped())
	}
}

func TestASCErrorsHaveLineColumnAndReason(t *testing.T) {
	for _, test := range []struct {
		line, reason string
		col          int
	}{
		{"-0.5 1 123 Rx d 0", "negative time", 1},
		{"0.5x 1 123 Rx d 0", `unexpected "x"`, 4},
		{"0.1234567891 1 123 Rx d 0", "more than 9 decimals", 12},
		{"99999999999999999999.0 1 123 Rx d 0", "out of range", 1},
		{"0.5", "no event", 4},
		{"0.5 70000 123 Rx d 0", "number of a channel", 5},
		{"0.5 1 GG Rx d 0", "identifier in base 16", 7},
		{"0.5 1 800 Rx d 0", "11 bits", 7},
		{"0.5 1 20000000x Rx d 0", "29 bits", 7},
		{"0.5 1 1FFFFFFFFF Rx d 0", "identifier in base 16", 7},
		{"0.5 1 123 Rx", "want d or r", 13},
		{"0.5 1 123 Rx q 0", "want d or r", 14},
		{"0.5 1 123 Rx d", "want the DLC", 15},
		{"0.5 1 123 Rx d 10 00", "want the DLC", 16},
		{"0.5 1 123 Rx d 2 01", "1 bytes of data, want 2", 20},
		{"0.5 1 123 Rx d 2 01 ZZ", "byte of data", 21},
		{"0.5 1 123 Rx d 2 01 100", "byte of data", 21},
		{"0.5 1 123 Rx d 1 01 02", "more data than the 1 bytes", 21},
		{"0.5 CANFD x Rx 123 0 0 1 1 01", "number of a channel", 11},
		{"0.5 CANFD 1 Rx 123", "BRS", 19},
		{"0.5 CANFD 1 Rx 123 name 2 0 1 1 01", "BRS", 25},
		{"0.5 CANFD 1 Rx 123 0 2 1 1 01", "ESI", 22},
		{"0.5 CANFD 1 Rx 123 0 0 g 1 01", "want the DLC", 24},
		{"0.5 CANFD 1 Rx 123 0 0 f 65 01", "length of the data", 26},
		{"0.5 CANFD 1 Rx 123 0 0 9 10 34 F2 97 B7 84 02 CE 63 10 18", "10 bytes, but DLC 9 stands for 12", 26},
		{"0.5 CANFD 1 Rx 123 0 0 4 2 01 02 0 0 0", "2 bytes, want 4", 26},
		{"base oct", "want hex or dec", 6},
		{"base hex timestamps funny", "absolute", 21},
		{"date Mon Xyz 10 09:30:15 2022", "want a month", 10},
		{"date Mon Jan 32 09:30:15 2022", "day of the month", 14},
		{"date Mon Jan 10 25:30:15 2022", "time of day", 17},
		{"date Mon Jan 10 13:30:15 pm 2022", "time of day", 17},
		{"date Mon Jan 10 09:30:15 1969", "want a date from 1970", 26},
		{"date Mon Jan 10 09:30:15 2263", "want a date from 1970", 26},
		{"date Mon Jan 10 09:30:15 x", "want a year", 26},
		{"date Mon Jan 10 09:30:15 2022 x", "end of the line", 31},
		{"Begin Triggerblock", "want a month", 19},
	} {
		log := "0.1 1 1 Rx d 0\n" + test.line + "\n0.6 1 2 Rx d 0\n"
		n, bad := 0, 0
		for _, err := range canlog.NewReaderWith(strings.NewReader(log), "a.asc", utc(canlog.ASC)).Entries() {
			var le *canlog.LineError
			switch {
			case err == nil:
				n++
			case !errors.As(err, &le) || le.Line != 2 || le.Col != test.col || !strings.Contains(le.Reason, test.reason):
				t.Errorf("%s: %v, want %q in line 2, column %d", test.line, err, test.reason, test.col)
				fallthrough
			default:
				bad++
			}
		}
		if n != 2 || bad != 1 {
			t.Errorf("%s: %d entries and %d errors, want 2 and 1", test.line, n, bad)
		}
	}
}

func TestASCDatesAreThoseOfTheLocation(t *testing.T) {
	east := time.FixedZone("", 5*3600)
	e := received(entry(when, "can0", hub.Std(1)))
	log := write(t, &canlog.WriterOptions{Format: canlog.ASC, Location: east, Nanoseconds: true}, e)
	if !strings.Contains(log, "Wed Nov 15 03:13:20.123 2023") {
		t.Errorf("log %q, want the time of the location", log)
	}
	got := readAs(t, log, &canlog.ReaderOptions{Format: canlog.ASC, Location: east})
	if len(got) != 1 || got[0] != e {
		t.Errorf("read %+v, want %+v", got, e)
	}
}

// A classic frame that an interface for CAN FD has seen is told in the form of
// CAN FD, without the bit of FDF among the flags.
func TestASCClassicFramesInTheFormOfCANFDAreRead(t *testing.T) {
	got := readAs(t, "0.5 CANFD 1 Rx 123 0 0 2 2 01 02 0 0 200000 0 0 0 0 0\n"+
		"0.5 CANFD 1 Tx 123 0 0 4 0 0 0 200010 0 0 0 0 0\n", utc(canlog.ASC))
	want := []canlog.Entry{
		received(entry(500e6, "can0", hub.Std(0x123, 1, 2))), sent(entry(500e6, "can0", hub.RTR(0x123, 4))),
	}
	for i := range want {
		if len(got) != 2 || got[i] != want[i] {
			t.Errorf("read %+v, want %+v", got, want)
		}
	}
}

func TestEntriesBeforeTheFirstAreRefusedWhereTimesCountFromIt(t *testing.T) {
	w := canlog.NewWriter(&strings.Builder{}, exact(canlog.ASC))
	err := w.Write(entry(when, "can0", hub.Std(1)))
	before := w.Write(entry(when-1e6, "can2", hub.Std(1))) // and does not take number 3
	other := errors.Join(w.Write(entry(when, "can1", hub.Std(1))), w.Write(entry(when, "vcan2", hub.Std(1))))
	if other != nil {
		t.Errorf("others behind it: %v", other)
	}
	if err != nil || !errors.Is(before, canlog.ErrRefused) || !strings.Contains(before.Error(), "ASC: its times count from") {
		t.Errorf("errors %v, %v, want none and ErrRefused", err, before)
	}
}

func TestChannelNamesBecomeNumbersAndBack(t *testing.T) {
	o := &canlog.WriterOptions{Format: canlog.ASC, Location: time.UTC, Channels: []string{"body", "drive"}}
	var log strings.Builder
	w := canlog.NewWriter(&log, o)
	for _, test := range []struct{ name, refused string }{
		{"drive", ""}, {"drive", ""}, {"body", ""}, {"vcan7", ""}, {"can", ""},
		{"can0", `number 1 of "can0" is that of "body"`},
		{"can7", `number 8 of "can7" is that of "vcan7"`},
		{"radio", `"radio" has none at its end`},
		{"can65535", `"can65535" has none`},
		{"can99999999999999999999", "has none"},
		{"can65534", ""},
	} {
		err := w.Write(entry(0, test.name, hub.Std(1)))
		if test.refused == "" && err != nil || test.refused != "" && (!errors.Is(err, canlog.ErrRefused) || !strings.Contains(err.Error(), test.refused)) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.refused)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	var names []string
	for _, e := range readAs(t, log.String(), &canlog.ReaderOptions{Format: canlog.ASC, Channels: o.Channels}) {
		names = append(names, e.Channel)
	}
	if got := strings.Join(names, " "); got != "drive drive body can7 can can65534" {
		t.Errorf("read back %s", got)
	}
}
