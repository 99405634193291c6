package canlog_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/internal/live"
)

// peer is a program for python-can. It reads or writes the log argv[2], and
// prints or reads frames in the form of testdata, one to a line.
const peer = `
import can, json, sys
mode, path = sys.argv[1:3]
options = json.loads(sys.argv[3])
if mode == "read":
    with can.LogReader(path, **options) as log:
        for m in log:
            print(json.dumps({"id": m.arbitration_id, "extended": m.is_extended_id,
                "rtr": m.is_remote_frame, "error": m.is_error_frame, "fd": m.is_fd,
                "brs": m.bitrate_switch, "esi": m.error_state_indicator,
                # Of CAN FD in TRC it takes the DLC for the length.
                "dlc": len(m.data) if m.is_fd and path.endswith(".trc") else m.dlc,
                "data_hex": m.data.hex(), "timestamp": "%.9f" % m.timestamp,
                "channel": m.channel, "is_rx": m.is_rx}))
else:
    with can.Logger(path, **options) as log:
        for line in sys.stdin:
            f = json.loads(line)
            log(can.Message(arbitration_id=f["id"], is_extended_id=f["extended"],
                is_remote_frame=f["rtr"], is_error_frame=f["error"], is_fd=f["fd"],
                bitrate_switch=f["brs"], error_state_indicator=f["esi"], dlc=f["dlc"],
                data=bytes.fromhex(f["data_hex"]), timestamp=float(f["timestamp"]),
                channel=f["channel"], is_rx=f["is_rx"]))
`

// pythonCAN runs peer. Its times are in UTC.
func pythonCAN(t *testing.T, stdin, mode, path, options string) string {
	t.Helper()
	cmd := live.Python(t, "-c", peer, mode, path, options)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	cmd.Stdin = strings.NewReader(stdin)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python-can: %v\n%s", err, complaints.String())
	}
	return string(out)
}

// interop tells what python-can does otherwise with each format.
var interop = []struct {
	format canlog.Format
	end    string
	ours   func(*canlog.Entry) bool // changes what it reads of our log, and whether to compare it
	theirs func(*canlog.Entry) bool // changes what we read of its log; false if it does not write it
}{
	{canlog.Candump, ".log.gz", func(e *canlog.Entry) bool {
		return e.Message.Flags&hub.Error == 0 // it reads them in another way
	}, func(e *canlog.Entry) bool {
		if e.Message.Flags&hub.Remote != 0 {
			e.Message.Len = 0
		}
		return e.Message.Flags&hub.Error == 0
	}},
	{canlog.ASC, ".asc", func(e *canlog.Entry) bool {
		if e.Message.Flags&hub.Error != 0 {
			e.Message = hub.Message{Flags: hub.Error, Timestamp: e.Message.Timestamp}
		}
		// It takes CAN FD frames without data for remote ones.
		return e.Message.Flags&hub.FDF == 0 || e.Message.Len > 0
	}, func(e *canlog.Entry) bool {
		if e.Message.Flags&hub.Error != 0 {
			m := busError
			m.Timestamp = e.Message.Timestamp
			e.Message = m
		}
		return true
	}},
	{canlog.BLF, ".blf", func(*canlog.Entry) bool { return true }, func(*canlog.Entry) bool { return true }},
	{canlog.CSV, ".csv", func(e *canlog.Entry) bool {
		e.Dir = canlog.DirReceived
		return true
	}, func(e *canlog.Entry) bool {
		e.Channel = "can0"
		e.Dir = canlog.DirUnknown
		return e.Message.Flags&hub.FDF == 0
	}},
	{canlog.TRC, ".trc", func(*canlog.Entry) bool { return true }, func(e *canlog.Entry) bool {
		return e.Message.Flags&(hub.FDF|hub.Remote|hub.Error) == 0
	}},
}

// near reports whether two times are as near as floats of seconds in
// python-can, and three decimals of milliseconds, allow.
func near(a, b int64) bool { return -2000 < a-b && a-b < 2000 }

func TestPythonCANReadsWhatWeWrite(t *testing.T) {
	for _, c := range interop {
		t.Run(c.format.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ours"+c.end)
			o := exact(c.format)
			o.Nanoseconds = false
			w, err := canlog.Create(path, o)
			if err != nil {
				t.Fatal(err)
			}
			var want []canlog.Entry
			for i, kind := range kinds {
				e := kind.entry
				e.Message.Timestamp += int64(i) * 1_234_567
				if c.format == canlog.CSV {
					e.Channel = "can0"
				}
				err := w.Write(e)
				switch {
				case err == nil:
					if e.Dir == canlog.DirUnknown {
						e.Dir = canlog.DirReceived // so python-can has it
					}
					want = append(want, e)
				case !errors.Is(err, canlog.ErrRefused):
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			options := "{}"
			if c.format == canlog.ASC {
				options = `{"relative_timestamp": false}`
			}
			out := strings.Split(strings.TrimSpace(pythonCAN(t, "", "read", path, options)), "\n")
			if len(out) != len(want) {
				t.Fatalf("python-can reads %d messages, want %d", len(out), len(want))
			}
			for i, line := range out {
				if !c.ours(&want[i]) {
					continue
				}
				got := pythonEntry(t, line)
				if !near(got.Message.Timestamp, want[i].Message.Timestamp) {
					t.Errorf("%s: time %d, want %d", line, got.Message.Timestamp, want[i].Message.Timestamp)
				}
				got.Message.Timestamp = want[i].Message.Timestamp
				if c.format != canlog.ASC && c.format != canlog.BLF {
					got.Channel = want[i].Channel // which it has in other ways, or not
				}
				if got != want[i] {
					t.Errorf("%s\nwant %s", line, show(want[i]))
				}
			}
		})
	}
}

// pythonEntry returns what python-can prints.
func pythonEntry(t *testing.T, line string) canlog.Entry {
	t.Helper()
	var f frame
	if err := json.Unmarshal([]byte(line), &f); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	e := canlog.Entry{Channel: fmt.Sprintf("can%v", f.Channel), Message: f.message(t), Dir: canlog.DirSent}
	if f.IsRx {
		e.Dir = canlog.DirReceived
	}
	return e
}

func TestWeReadWhatPythonCANWrites(t *testing.T) {
	for _, c := range interop {
		t.Run(c.format.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "theirs"+c.end)
			var in strings.Builder
			var want []canlog.Entry
			for i, kind := range kinds {
				e := kind.entry
				e.Message.Timestamp = (e.Message.Timestamp + int64(i)*1_234_567) / 1000 * 1000
				if e.Dir == canlog.DirUnknown {
					e.Dir = canlog.DirReceived
				}
				f := frame{Frame: golden.FrameOf(e.Message), Channel: e.Channel, IsRx: e.Dir == canlog.DirReceived}
				if !c.theirs(&e) {
					continue
				}
				b, err := json.Marshal(f)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&in, "%s\n", b)
				if e.Message.Flags&hub.Error != 0 {
					e.Dir = canlog.DirUnknown
				}
				want = append(want, e)
			}
			pythonCAN(t, in.String(), "write", path, "{}")
			r, err := canlog.OpenWith(path, utc(canlog.Auto))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			i := 0
			for got, err := range r.Entries() {
				if err != nil || i == len(want) {
					t.Fatalf("%s, %v", show(got), err)
				}
				// The start of an ASC log is cut to milliseconds, though the
				// times in it count from the first message.
				if d := want[i].Message.Timestamp - got.Message.Timestamp; !near(d, 0) && !(c.format == canlog.ASC && 0 <= d && d < 1e6) {
					t.Errorf("%s: the time should be %d", show(got), want[i].Message.Timestamp)
				}
				got.Message.Timestamp = want[i].Message.Timestamp
				if got != want[i] {
					t.Errorf("%s\nwant %s", show(got), show(want[i]))
				}
				i++
			}
			if i != len(want) {
				t.Errorf("%d entries, want %d", i, len(want))
			}
		})
	}
}
