package monitor_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/canhub-go/canhub/monitor"
	"github.com/google/go-cmp/cmp"
)

func TestLabelsAreRead(t *testing.T) {
	const text = "\uFEFF# my car\r\n\r\n  1A0 Engine\r\n1a1\tCruise  control \n18FEF100 CCVS\n00000123 Küche\n0 Zero"
	got, err := monitor.ReadLabels(strings.NewReader(text), "names")
	if err != nil {
		t.Fatal(err)
	}
	want := monitor.Labels{
		{Value: 0x1A0}: "Engine", {Value: 0x1A1}: "Cruise  control", {Value: 0x18FEF100, Extended: true}: "CCVS",
		{Value: 0x123, Extended: true}: "Küche", {}: "Zero",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBadLabelsAreErrorsWithFileAndLine(t *testing.T) {
	for text, want := range map[string]string{
		"1A0 A\n\nEngine B":                    `names:3: identifier "Engine": want up to eight hexadecimal digits`,
		"1A0":                                  "names:1: identifier 1A0: no name",
		"1A0 A\n1A0 B":                         `names:2: identifier 1A0: it is "A" already`,
		"800 A":                                "names:1: identifier 800: above 7FF; one of 29 bits has eight digits",
		"20000000 A":                           "names:1: identifier 20000000: above 1FFFFFFF",
		"123456789 A":                          `names:1: identifier "123456789": want up to eight hexadecimal digits`,
		"+1 A":                                 `names:1: identifier "+1": want up to eight hexadecimal digits`,
		"-1 A":                                 `names:1: identifier "-1": want up to eight hexadecimal digits`,
		"1 A\x1b[2J":                           `names:1: identifier 001: name "A\x1b[2J": not plain text`,
		"1 A\xff":                              `names:1: identifier 001: name "A\xff": not plain text`,
		"1 " + strings.Repeat("x", 101):        "names:1: identifier 001: a name of 101 bytes, at most 100",
		"1 A\n" + strings.Repeat("x", 1<<20+1): "names:2: more than 1048576 bytes",
	} {
		_, err := monitor.ReadLabels(strings.NewReader(text), "names")
		var bad *monitor.LabelError
		if !errors.As(err, &bad) || err.Error() != "monitor: "+want {
			t.Errorf("%.40q: error %v, want %s", text, err, want)
		}
	}
}

const dbc = `VERSION ""

NS_ :
	BO_TX_BU_
	CM_

BU_: Engine Dash

BO_ 2364540158 EEC1: 8 Engine
 SG_ EngineSpeed : 24|16@1+ (0.125,0) [0|8031.875] "rpm"  Dash

BO_ 416 Gearbox : 5 Vector__XXX
BO_ 3221225472 VECTOR__INDEPENDENT_SIG_MSG: 0 Vector__XXX
BO_TX_BU_ 416 : Engine,Dash;
CM_ BO_ 416 "The gearbox. It says \"R\":
BO_ nothing of this
is read";
` + "CM_ \"caf\xe9\";\nVAL_ 416 Gear 1 \"one\" ;\n"

func TestDBCNamesAreRead(t *testing.T) {
	got, err := monitor.ReadDBC(strings.NewReader(dbc), "car.dbc")
	if err != nil {
		t.Fatal(err)
	}
	want := monitor.Labels{{Value: 0x0CF004FE, Extended: true}: "EEC1", {Value: 416}: "Gearbox"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBadDBCLinesAreErrorsWithFileAndLine(t *testing.T) {
	for text, want := range map[string]string{
		"\nBO_ 416 Gearbox 5":               "car.dbc:2: BO_: want an identifier, a name and a colon",
		"BO_ 416: 5 X":                      "car.dbc:1: BO_: want an identifier, a name and a colon",
		"BO_ 0x1A0 A: 5 X":                  `car.dbc:1: BO_: identifier "0x1A0": want a number of 32 bits`,
		"BO_ 4294967296 A: 5 X":             `car.dbc:1: BO_: identifier "4294967296": want a number of 32 bits`,
		"BO_ 2048 A: 5 X":                   "car.dbc:1: BO_: identifier 800: above 7FF",
		"BO_ 2684354560 A: 5 X":             "car.dbc:1: BO_: identifier 20000000: above 1FFFFFFF",
		"BO_ 1 A: 5 X\nBO_ 1 B: 5 X":        `car.dbc:2: identifier 001: it is "A" already`,
		"BO_ 1 A: 5 X\nCM_ \"never\nends":   "car.dbc:2: a string without end",
		"\xff\xfeB\x00O\x00_\x00 \x001\x00": "car.dbc:1: a zero byte: is this UTF-16?",
	} {
		_, err := monitor.ReadDBC(strings.NewReader(text), "car.dbc")
		var bad *monitor.LabelError
		if !errors.As(err, &bad) || err.Error() != "monitor: "+want {
			t.Errorf("%.40q: error %v, want %s", text, err, want)
		}
	}
}

func TestLoadLabelsGoesByTheEndOfTheName(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"car.DBC": "BO_ 291 Doors: 8 X", "names.txt": "123 Doors"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := monitor.LoadLabels(path)
		if err != nil || got[monitor.ID{Value: 0x123}] != "Doors" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := monitor.LoadLabels(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of no file: %v", err)
	}
}

func TestReadErrorIsToldWithItsLine(t *testing.T) {
	broken := errors.New("broken")
	r := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("1 A\n")))
	if _, err := monitor.ReadLabels(r, "names"); !errors.Is(err, iotest.ErrTimeout) || !strings.Contains(err.Error(), "names:1") {
		t.Errorf("error %v", err)
	}
	if _, err := monitor.ReadDBC(iotest.ErrReader(broken), "car.dbc"); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func FuzzReadLabels(f *testing.F) {
	f.Add("1A0 Engine\n")
	f.Add(dbc)
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func() (monitor.Labels, error){
			func() (monitor.Labels, error) { return monitor.ReadLabels(strings.NewReader(text), "f") },
			func() (monitor.Labels, error) { return monitor.ReadDBC(strings.NewReader(text), "f") },
		} {
			labels, err := read()
			if err != nil && labels != nil {
				t.Error("both names and an error")
			}
			for id, name := range labels {
				if name == "" || id.Value > 0x1FFFFFFF || !id.Extended && id.Value > 0x7FF {
					t.Errorf("%v %q", id, name)
				}
			}
		}
	})
}
