package canlog_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// trcLogs has the same three frames in each version, as python-can reads them.
var trcLogs = map[string]string{
	"1.0": `;##########
;   drive.trc
;
     1)     1 0321 2 01 02
     2)     2 FFFFFFFF 4 00 00 00 08 -- -- -- --
     3)     3 18FEF100 1 FF
     4)     4 0123 5 RTR
`,
	"1.1": `;$FILEVERSION=1.1
;$STARTTIME=45244.9259259259
;
     1)         1.0  Rx         0321  2  01 02
     2)         2.0  Warng  FFFFFFFF  4  00 00 00 08  BUSHEAVY
     3)         3.0  Tx     18FEF100  1  FF
     4)         4.0  Rx         0123  5  RTR
`,
	"1.3": `;$FILEVERSION=1.3
;$STARTTIME=45244.9259259259
     1)      1.000 1  Rx        0321 -  2    01 02
     2)      2.000 1  Error     0008 -  4    00 00 00 08
     3)      3.000 1  Tx    18FEF100 -  1    FF
     4)      4.000 1  Rx        0123 -  5    RTR
`,
	"2.0": `;$FILEVERSION=2.0
;$STARTTIME=45244.9259259259
;$COLUMNS=N,O,T,I,d,l,D
      1      1.000 DT     0321 Rx 2  01 02
      2      2.000 ST          Rx    00 00 00 08
      3      3.000 DT 18FEF100 Tx 1  FF
      4      4.000 RR     0123 Rx 5
`,
	"2.1": `;$FILEVERSION=2.1
;$STARTTIME=45244.9259259259
;$COLUMNS=N,O,T,B,I,d,R,L,D
      1      1.000 DT 1      0321 Rx -  2    01 02
      2      2.000 ER 1         - Rx -  5    04 00 02 00 00
      3      3.000 DT 1  18FEF100 Tx -  1    FF
      4      4.000 RR 1      0123 Rx -  5
`,
}

func TestTRCOfEachVersionIsRead(t *testing.T) {
	for version, log := range trcLogs {
		const start = 1_699_999_999_999_997_760 // as exactly as the text has it
		for _, end := range []string{"\n", "\r\n"} {
			want := []canlog.Entry{
				received(entry(start+1e6, "can0", hub.Std(0x321, 1, 2))),
				sent(entry(start+3e6, "can0", hub.Ext(0x18FEF100, 0xFF))),
				received(entry(start+4e6, "can0", hub.RTR(0x123, 5))),
			}
			r := canlog.NewReaderWith(strings.NewReader(strings.ReplaceAll(log, "\n", end)), version, utc(canlog.TRC))
			i := 0
			for got, err := range r.Entries() {
				if err != nil || i == len(want) {
					t.Fatalf("%s: %s, %v", version, show(got), err)
				}
				if version == "1.0" { // which has neither start nor directions
					want[i].Message.Timestamp -= start
					want[i].Dir = canlog.DirUnknown
				}
				if got != want[i] {
					t.Errorf("%s: %s\nwant %s", version, show(got), show(want[i]))
				}
				i++
			}
			if i != len(want) || r.Skipped() != 1 {
				t.Errorf("%s: %d entries, %d lines skipped, want 3 and 1", version, i, r.Skipped())
			}
		}
	}
}

func TestTRCErrorsHaveLineColumnAndReason(t *testing.T) {
	for _, test := range []struct {
		line, reason string
		col          int
	}{
		{"1 x DT 1 0001 Rx - 0", `unexpected "x"`, 3},
		{"1 -1.0 DT 1 0001 Rx - 0", "negative time", 3},
		{"1 99999999999999999 DT 1 0001 Rx - 0", "out of range", 3},
		{"1 1.0000001 DT 1 0001 Rx - 0", "more than 6 decimals", 11},
		{"1 1.0 DT - 0001 Rx - 0", "number of a bus", 10},
		{"1 1.0 DT 1 xyz Rx - 0", "hexadecimal identifier", 12},
		{"1 1.0 DT 1 0800 Rx - 0", "11 bits", 12},
		{"1 1.0 DT 1 20000000 Rx - 0", "29 bits", 12},
		{"1 1.0 DT 1 0001 Rx - 16", "want the DLC", 22},
		{"1 1.0 DT 1 0001 Rx -", "want the DLC", 21},
		{"1 1.0 DT 1 0001 Rx - 2 01", "1 bytes of data, want 2", 26},
		{"1 1.0 DT 1 0001 Rx - 1 01 02", "more than 1 bytes", 27},
		{"1 1.0 DT 1 0001 Rx - 1 0x", "byte of data", 24},
		{"1 1.0 RR 1 0001 Rx - 1 00", "data in a remote frame", 24},
		{";$FILEVERSION=3.0", `version "3.0"`, 15},
		{";$STARTTIME=now", "in days", 13},
		{";$STARTTIME=45244.x", "decimal days", 13},
		{";$STARTTIME=1.5", "in days", 13},
	} {
		log := trcLogs["2.1"] + test.line + "\n"
		var le *canlog.LineError
		n := 0
		for _, err := range canlog.NewReaderWith(strings.NewReader(log), "a.trc", utc(canlog.TRC)).Entries() {
			if n++; err != nil && (!errors.As(err, &le) || le.Line != 8 || le.Col != test.col || !strings.Contains(le.Reason, test.reason)) {
				t.Errorf("%s: %v, want %q in line 8, column %d", test.line, err, test.reason, test.col)
			}
		}
		if n != 4 || le == nil {
			t.Errorf("%s: %d entries and errors, want 4", test.line, n)
		}
	}
}

func TestTRCWithoutColumnsThatCanBeReadIsAnError(t *testing.T) {
	for _, columns := range []string{"", ";$COLUMNS=N,O,T,I\n", ";$COLUMNS=N,O,T,I,D,L\n", ";$COLUMNS=" + strings.Repeat("N,", 40) + "O,T,I,L,D\n"} {
		bad := 0
		for _, err := range canlog.NewReaderWith(strings.NewReader(";$FILEVERSION=2.0\n"+columns+"1 1.0 DT 0001 Rx 0\n"), "", utc(canlog.TRC)).Entries() {
			if err == nil {
				t.Errorf("%q: an entry", columns)
			}
			bad++
		}
		if bad == 0 {
			t.Errorf("%q: no error", columns)
		}
	}
}
