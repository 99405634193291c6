package canlog_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/internal/golden"
)

// odd tells where we do not do with a log of log_inputs.json what python-can
// does, and why.
var odd = map[string]struct {
	entries int
	err     string // of the last error; "" is none
}{
	"asc_dlc_more_than_data":  {0, "3 bytes of data, want 8"}, // python-can makes a frame that cannot be
	"asc_dlc_less_than_data":  {0, "more data than the 2 bytes"},
	"asc_fd_len_dlc_mismatch": {0, "10 bytes, but DLC 9 stands for 12"},
	"asc_no_header":           {2, ""}, // python-can loses the first line
	"asc_negative_time":       {0, "negative time"},
	"asc_bad_month":           {1, "want a month"}, // and a frame whose time counts from 1970
	"asc_bad_id":              {0, "want an identifier"},
	"asc_bad_byte":            {0, "want a byte of data"},
	"asc_truncated":           {0, "want the DLC"},

	"blf_unknown_compression":  {0, "unknown compression 7"}, // python-can passes it over
	"blf_bad_signature":        {0, "no BLF file"},
	"blf_empty":                {0, "ends in the middle"},
	"blf_truncated_header":     {0, "ends in the middle"},
	"blf_truncated_container":  {0, "unexpected EOF"}, // python-can loses it without an error
	"blf_garbage_after_header": {0, "no object"},
	"blf_bad_inner_object":     {0, "no object"},
	"blf_bad_zlib":             {0, "not compressed with zlib"},
}

// log_inputs.json has odd logs and what python-can reads in them.
func TestOddLogsAreReadAsPythonCANDoesItOrWithAnError(t *testing.T) {
	var inputs []struct {
		Name   string
		Text   string `json:"wire_text"`
		Hex    string `json:"wire_hex"`
		Frames []frame
	}
	golden.LoadInto(t, "log_inputs.json", &inputs)
	left := len(odd)
	for _, in := range inputs {
		f, log := canlog.ASC, in.Text
		if strings.HasPrefix(in.Name, "blf_") {
			b, err := hex.DecodeString(in.Hex)
			if err != nil {
				t.Fatal(err)
			}
			f, log = canlog.BLF, string(b)
		}
		t.Run(in.Name, func(t *testing.T) {
			var got []canlog.Entry
			var last error
			for e, err := range canlog.NewReaderWith(strings.NewReader(log), in.Name, utc(f)).Entries() {
				if err != nil {
					checkShown(t, err)
					last = err
					continue
				}
				got = append(got, e)
			}
			if how, ok := odd[in.Name]; ok {
				left--
				if len(got) != how.entries || (last == nil) != (how.err == "") || last != nil && !strings.Contains(last.Error(), how.err) {
					t.Errorf("%d entries, error %v, want %d and %q", len(got), last, how.entries, how.err)
				}
				return
			}
			if last != nil || len(got) != len(in.Frames) {
				t.Fatalf("%d entries, error %v, want %d and none", len(got), last, len(in.Frames))
			}
			for i, frame := range in.Frames {
				want := inputEntry(t, in.Name, frame)
				if got[i] != want {
					t.Errorf("frame %d: %s\nwant     %s", i, show(got[i]), show(want))
				}
			}
		})
	}
	if left != 0 {
		t.Errorf("%d names of odd are not in log_inputs.json", left)
	}
}

// inputEntry returns what a frame of log_inputs.json should be read as.
func inputEntry(t *testing.T, name string, f frame) canlog.Entry {
	if !f.FD {
		f.Len = min(f.Len, 8) // python-can takes the DLC of classic frames for one of CAN FD
	}
	channel := fmt.Sprintf("can%v", f.Channel)
	if f.Data == "" && f.FD {
		f.Remote = false // which there are none of in CAN FD
	}
	if data, _ := hex.DecodeString(f.Data); !f.Remote && len(data) < f.Len {
		f.Data += strings.Repeat("00", f.Len-len(data))
	}
	if f.Error && strings.HasPrefix(name, "asc_") { // nothing is told of it
		m := busError
		m.Timestamp = golden.Nanoseconds(t, f.Timestamp)
		return canlog.Entry{Channel: channel, Message: m}
	}
	e := canlog.Entry{Channel: channel, Message: f.message(t), Dir: canlog.DirSent}
	if f.IsRx {
		e.Dir = canlog.DirReceived
	}
	if f.Error {
		e.Dir = canlog.DirUnknown
	}
	if name == "blf_channel_0" {
		e.Channel = "can"
	}
	switch name {
	case "asc_ms_5_unpadded": // 5 ms, which python-can writes so and reads as 0.5 s
		e.Message.Timestamp -= 495e6
	case "asc_relative": // python-can drops the date here
		e.Message.Timestamp += 1_641_850_215_250_000_000
	}
	return e
}
