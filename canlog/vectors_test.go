package canlog_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

// The files in testdata were made by running candump of can-utils, the new one
// of 2026 (v2025.01-81) and the old one of Debian (2020.11.0), asc2log of both,
// and python-can.

// A frame is one of these files, with what only logs have.
type frame struct {
	golden.Frame
	Channel any  `json:"channel"` // in manifest.json: the n of "can<n>"
	IsRx    bool `json:"is_rx"`   // in manifest.json
}

// message returns f as a Message. The text form of an error frame does not
// show Extended.
func (f frame) message(t testing.TB) hub.Message {
	t.Helper()
	f.Extended = f.Extended && !f.Error
	return f.Message(t)
}

// asOld gives a log of new candump the flags digit of CAN FD frames that old
// candump and python-can write, and this package too. New candump also sets
// the bit of FDF, 4, which says no more than the second # in front of it.
func asOld(log string) string {
	return fdDigit.ReplaceAllStringFunc(log, func(s string) string {
		return s[:2] + string(s[2]-4)
	})
}

var fdDigit = regexp.MustCompile(`##[4-7]`)

// In candump.json is every kind of frame, one at a time, in the lines of both
// candumps with their options and of python-can.
func TestEveryFrameOfCandumpIsReadAndWritten(t *testing.T) {
	var vectors []struct {
		Name      string
		Frame     frame
		New       string `json:"wire_text"`
		Old       string `json:"candump_2020_11"` // if it is another
		X         string `json:"candump_x"`
		N         string `json:"candump_N"`
		PythonCAN string `json:"python_can_writer"`
	}
	golden.LoadInto(t, "candump.json", &vectors)
	if len(vectors) < 100 {
		t.Fatalf("candump.json has only %d vectors", len(vectors))
	}
	direction := &canlog.WriterOptions{Direction: true}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			want := canlog.Entry{Channel: "vcan0", Message: v.Frame.message(t)}
			check := func(line string, o *canlog.WriterOptions, want canlog.Entry) {
				t.Helper()
				switch {
				case strings.HasSuffix(line, " R"):
					want.Dir = canlog.DirReceived
				case strings.HasSuffix(line, " T"):
					want.Dir = canlog.DirSent
				}
				got := read(t, line+"\n")
				if len(got) != 1 || got[0] != want {
					t.Fatalf("%s\nread as %+v\nwant    %+v", line, got, want)
				}
				if got, want := write(t, o, want), asOld(line)+"\n"; got != want {
					t.Errorf("written %swant    %s", got, want)
				}
			}
			check(v.New, nil, want)
			check(v.X, direction, want)
			check(v.N, &canlog.WriterOptions{Nanoseconds: true}, want)
			if v.Old != "" {
				check(v.Old, nil, want)
				if asOld(v.New) != v.Old {
					t.Errorf("the two candumps differ in more than the flags digit:\n%s\n%s", v.New, v.Old)
				}
			}

			// python-can does not pad the seconds to ten digits, and writes
			// remote frames without their length and a bus error (class 0x80)
			// for error frames of every class.
			seconds, rest, _ := strings.Cut(strings.TrimPrefix(v.PythonCAN, "("), ".")
			v.PythonCAN = fmt.Sprintf("(%010s.%s", seconds, rest)
			if want.Message.Flags&hub.Remote != 0 {
				want.Message.Len = 0
			}
			if want.Message.Flags&hub.Error != 0 {
				want.Message.ID = 0x80
			}
			check(v.PythonCAN, direction, want)
		})
	}
}

// The logs in testdata/logs were made of the same 33 frames, which
// manifest.json lists, by way of several programs.
func TestLogFilesAreReadFrameByFrameAndWrittenBack(t *testing.T) {
	var manifest struct {
		Frames []frame
		Files  []struct {
			Name        string
			Differences []map[string]any `json:"read_back_differences"` // of python-can's reader
		}
	}
	golden.LoadInto(t, "logs/manifest.json", &manifest)

	// What the writer of a log has changed in the frames. Nobody but
	// "candump -x", asc2log and python-can writes directions.
	noDirection := func(e *canlog.Entry) { e.Dir = canlog.DirUnknown }
	pythonCAN := func(e *canlog.Entry) {
		if e.Message.Flags&hub.Remote != 0 {
			e.Message.Len = 0
		}
		if e.Message.Flags&hub.Error != 0 {
			e.Message.ID, e.Dir = 0x80, canlog.DirUnknown
		}
	}
	asc := func(e *canlog.Entry) { // ASC keeps nothing of an error frame
		if e.Message.Flags&hub.Error != 0 {
			e.Message.ID, e.Message.Len, e.Message.Data = 0x80, 8, [64]byte{}
			e.Dir = canlog.DirUnknown
		}
	}
	files := map[string]struct {
		o       *canlog.WriterOptions
		changed func(*canlog.Entry)
		newTime bool // asc2log counts from the day of the conversion
	}{
		"candump_new.log":                     {nil, noDirection, false},
		"candump_2020_11.log":                 {nil, noDirection, false},
		"candump_new_ns.log":                  {&canlog.WriterOptions{Nanoseconds: true}, noDirection, false},
		"candump_new_x.log":                   {&canlog.WriterOptions{Direction: true}, func(*canlog.Entry) {}, false},
		"python_can.log":                      {&canlog.WriterOptions{Direction: true}, pythonCAN, false},
		"asc2log_new_from_python_can.log":     {&canlog.WriterOptions{Direction: true}, asc, true},
		"asc2log_2020_11_from_python_can.log": {&canlog.WriterOptions{Direction: true}, asc, true},
		// log2asc read a log without directions and made Rx of it.
		"asc2log_new_from_log2asc.log": {&canlog.WriterOptions{Direction: true}, func(e *canlog.Entry) {
			e.Dir = canlog.DirReceived
			asc(e)
		}, true},
	}
	for _, file := range manifest.Files {
		if !strings.HasSuffix(file.Name, ".log") {
			continue
		}
		how, known := files[file.Name]
		if !known {
			t.Errorf("%s: not in this test", file.Name)
			continue
		}
		delete(files, file.Name)
		t.Run(file.Name, func(t *testing.T) {
			log, err := os.ReadFile(filepath.Join("testdata", "logs", file.Name))
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, string(log))
			if len(got) != len(manifest.Frames) {
				t.Fatalf("%d entries, want %d", len(got), len(manifest.Frames))
			}
			for i, f := range manifest.Frames {
				want := canlog.Entry{
					Channel: fmt.Sprintf("can%v", f.Channel),
					Message: f.message(t),
					Dir:     canlog.DirSent,
				}
				if f.IsRx {
					want.Dir = canlog.DirReceived
				}
				how.changed(&want)
				if how.newTime { // python-can's reader tells which
					seconds, _ := file.Differences[i]["timestamp"].(json.Number)
					want.Message.Timestamp = golden.Nanoseconds(t, seconds)
				}
				if got[i] != want {
					t.Errorf("frame %d: %s\nwant     %s", i, show(got[i]), show(want))
				}
			}
			if got, want := write(t, how.o, got...), asOld(string(log)); got != want {
				t.Errorf("written:\n%swant:\n%s", got, want)
			}
		})
	}
	for name := range files {
		t.Errorf("%s: not in manifest.json", name)
	}
}

// candump_modes.json has what candump prints with its options.
func TestChannelNamesAreAlignedAsCandumpDoesIt(t *testing.T) {
	var modes []struct {
		Name  string
		Lines json.RawMessage `json:"wire_text"`
	}
	golden.LoadInto(t, "candump_modes.json", &modes)
	tested := 0
	for _, mode := range modes {
		if !strings.HasPrefix(mode.Name, "-L") {
			continue // the form for the screen is no log
		}
		tested++
		t.Run(mode.Name, func(t *testing.T) {
			var lines []string
			if err := json.Unmarshal(mode.Lines, &lines); err != nil {
				t.Fatal(err)
			}
			log := strings.Join(lines, "\n") + "\n"
			entries := read(t, log)
			for i, want := range []string{"can0", "vcan10", "can0", "vcan10"} {
				if got := entries[i].Channel; got != want {
					t.Errorf("line %d: channel %q, want %q", i+1, got, want)
				}
			}
			if strings.HasPrefix(log, "(000.") { // -t z of new candump has shorter seconds
				log = strings.ReplaceAll(log, "(00", "(000000000")
			}
			got := write(t, &canlog.WriterOptions{Direction: strings.Contains(mode.Name, "-x")}, entries...)
			if got != log {
				t.Errorf("written:\n%swant:\n%s", got, log)
			}
		})
	}
	if tested < 10 {
		t.Errorf("%d modes tested, want 10 and more", tested)
	}
}
