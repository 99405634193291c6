package canlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

const csvHeader = "timestamp,arbitration_id,extended,remote,error,dlc,data\n"

// As CSVWriter of python-can 4.6.1 wrote it.
func TestCSVOfPythonCANIsRead(t *testing.T) {
	log := csvHeader +
		"1650000001.75,0x520,0,0,0,0,\n" +
		"1650000005.0121238,0x1234052a,1,0,0,3,kOeI\r\n" +
		"1e-06,0x52d,0,1,0,4,\n" +
		"0.30000000000000004,0x80,0,0,1,8,fPNa6YpgZoc=\n"
	want := []canlog.Entry{
		entry(1_650_000_001_750_000_000, "can0", hub.Std(0x520)),
		entry(1_650_000_005_012_123_800, "can0", hub.Ext(0x1234052A, 0x90, 0xE7, 0x88)),
		entry(1_000, "can0", hub.RTR(0x52D, 4)),
		entry(300_000_000, "can0", with(hub.Std(0x80, 0x7C, 0xF3, 0x5A, 0xE9, 0x8A, 0x60, 0x66, 0x87), hub.Error)),
	}
	got := readAs(t, log, utc(canlog.CSV))
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("read %+v\nwant %+v", got, want)
		}
	}
}

func TestCSVChannelIsThatOfTheOptions(t *testing.T) {
	log := write(t, &canlog.WriterOptions{Format: canlog.CSV}, entry(0, "body", hub.Std(1)))
	got := readAs(t, log, &canlog.ReaderOptions{Format: canlog.CSV, Channel: "body"})
	if len(got) != 1 || got[0].Channel != "body" {
		t.Errorf("read %+v, want the channel body", got)
	}
}

func TestCSVHoldsOneChannel(t *testing.T) {
	var log strings.Builder
	w := canlog.NewWriter(&log, &canlog.WriterOptions{Format: canlog.CSV})
	err := w.Write(entry(0, "can0", hub.Std(1)))
	other := w.Write(entry(0, "can1", hub.Std(1)))
	if err != nil || !errors.Is(other, canlog.ErrRefused) || !strings.Contains(other.Error(), "CSV: it has no column for the channel") {
		t.Errorf("errors %v, %v, want none and ErrRefused for a second channel", err, other)
	}
}

func TestCSVErrorsHaveLineColumnAndReason(t *testing.T) {
	for _, test := range []struct {
		row, reason string
		col         int
	}{
		{"1.0,0x1,0,0,0,1", "ends behind column 6 of 7", 16},
		{"1.0,0x1,0,0,0,1,AA==,x", "more than 7 columns", 21},
		{"nan,0x1,0,0,0,1,AA==", `unexpected "n"`, 1},
		{"inf,0x1,0,0,0,1,AA==", `unexpected "i"`, 1},
		{",0x1,0,0,0,1,AA==", "no time", 1},
		{"-1.0,0x1,0,0,0,1,AA==", "negative time", 1},
		{"1e300,0x1,0,0,0,1,AA==", "out of range", 1},
		{"9223372036.9,0x1,0,0,0,1,AA==", "out of range", 1},
		{"1.0,0xg,0,0,0,1,AA==", "hexadecimal", 5},
		{"1.0,,0,0,0,1,AA==", "hexadecimal", 5},
		{"1.0,0x800,0,0,0,1,AA==", "11 bits", 5},
		{"1.0,0x20000000,1,0,0,1,AA==", "29 bits", 5},
		{"1.0,0x1,True,0,0,1,AA==", `want 0 or 1, not "True"`, 9},
		{"1.0,0x1,0,0,2,1,AA==", "want 0 or 1", 13},
		{"1.0,0x1,0,1,1,0,", "neither Remote", 5},
		{"1.0,0x1,0,0,0,x,AA==", "want a length", 15},
		{"1.0,0x1,0,0,0,12,AAAAAAAAAAAAAAAA", "no CAN FD", 15},
		{"1.0,0x1,0,0,0,8,AA==", "1 bytes of data, want 8", 17},
		{"1.0,0x1,0,1,0,1,AA==", "1 bytes of data, want 0", 17},
		{"1.0,0x1,0,0,0,1,AA", "base64", 17},
		{"1.0,0x1,0,0,0,1,AB==", "base64", 17},
		{"1.0,0x1,0,0,0,1,A\rA==", "base64", 17},
		{"1.0,0x1,0,0,0,8,AAAAAAAAAAAAAAAA", "more than 8", 17},
	} {
		log := csvHeader + "1.0,0x2,0,0,0,0,\n" + test.row + "\n1.0,0x3,0,0,0,0,\n"
		n := 0
		for _, err := range canlog.NewReaderWith(strings.NewReader(log), "a.csv", utc(canlog.CSV)).Entries() {
			var le *canlog.LineError
			switch {
			case err == nil:
				n++
			case !errors.As(err, &le) || le.Line != 3 || le.Col != test.col || !strings.Contains(le.Reason, test.reason):
				t.Errorf("%s: %v, want %q in line 3, column %d", test.row, err, test.reason, test.col)
			}
		}
		if n != 2 {
			t.Errorf("%s: %d entries, want those before and behind it", test.row, n)
		}
	}
}

// A log that was appended to has no header; one of another kind has another.
func TestCSVWithoutHeaderIsReadAndAnotherHeaderRefused(t *testing.T) {
	if got := readAs(t, "1.0,0x2,0,0,0,0,\n", utc(canlog.CSV)); len(got) != 1 {
		t.Errorf("%d entries, want 1", len(got))
	}
	for _, err := range canlog.NewReaderWith(strings.NewReader("a,b,c,d,e,f,g\n"), "a.csv", utc(canlog.CSV)).Entries() {
		if err == nil || !strings.Contains(err.Error(), "first line") {
			t.Errorf("error %v, want one about the first line", err)
		}
	}
}
