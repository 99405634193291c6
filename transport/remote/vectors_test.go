package remote

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

// The files in testdata were made by running python-can-remote 0.2.4, both
// sides, and recording what they said.

type vector struct {
	Name      string        `json:"name"`
	Section   string        `json:"section"`
	Frame     *golden.Frame `json:"frame"`
	Hex       string        `json:"wire_hex"`
	Text      *string       `json:"wire_text"`
	Frames    []string      `json:"ws_frames_hex"`
	Opcode    int           `json:"opcode"`
	Mask      string        `json:"mask_hex"`
	Payload   string        `json:"payload_hex"`
	Direction string        `json:"direction"`
	Usable    bool          `json:"connection_usable_after"`
	Reaction  any           `json:"peer_reaction"`
}

// possible reports whether f can exist on a bus.
func possible(t testing.TB, f *golden.Frame) bool {
	m := f.Raw(t)
	return m.Validate() == nil && (f.Remote || len(f.Data) == 2*f.Len)
}

func binaryVectors(t testing.TB) []vector { return golden.Load[vector](t, "remote_binary.json", 122) }
func jsonVectors(t testing.TB) []vector   { return golden.Load[vector](t, "remote_json.json", 122) }
func malformedVectors(t testing.TB) []vector {
	return golden.Load[vector](t, "remote_malformed.json", 140)
}

// same fails the test unless got is want. The nearest double to a time is up to
// 120 ns off in our days.
func same(t *testing.T, got, want hub.Message) {
	t.Helper()
	if off := got.Timestamp - want.Timestamp; off < -240 || off > 240 {
		t.Errorf("Timestamp %d, want %d", got.Timestamp, want.Timestamp)
	}
	if got.Timestamp = want.Timestamp; got != want {
		t.Errorf("another message (-want +got):\n%s", cmp.Diff(want.String(), got.String()))
	}
}

func TestEveryBinaryFrameOfPythonIsReadAndWritten(t *testing.T) {
	for _, v := range binaryVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			want, wire := v.Frame.Raw(t), golden.Hex(t, v.Hex)
			var got hub.Message
			if err := decodeBinary(&got, wire); err != nil {
				t.Fatal(err)
			}
			same(t, got, want)
			if again := appendBinary(nil, &want); !bytes.Equal(again, wire) {
				t.Errorf("%v is written\n%x\nwant\n%x", want, again, wire)
			}
		})
	}
}

func TestEveryJSONFrameOfPythonIsReadAndWritten(t *testing.T) {
	for _, v := range jsonVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			want := v.Frame.Raw(t)
			got, err := readMessage([]byte(*v.Text))
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, want)
			if again := string(appendJSON(nil, &want)); again != *v.Text {
				t.Errorf("%v is written\n%s\nwant\n%s", want, again, *v.Text)
			}
		})
	}
}

// readMessage reads a text message that is to be a frame.
func readMessage(text []byte) (m hub.Message, err error) {
	e, err := parseEvent(text)
	if err == nil && e.name != message {
		err = errors.New("another event: " + e.name)
	}
	if err == nil {
		err = decodeJSON(&m, e.payload)
	}
	return m, err
}

// What Python reads from odd messages is read here too where it can exist on a
// bus, and refused otherwise.
func TestOddFramesAreReadAsPythonReadsThemOrRefused(t *testing.T) {
	for _, v := range malformedVectors(t) {
		if v.Section == "first_message" || v.Frames != nil {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			var got hub.Message
			var err error
			if v.Text != nil {
				got, err = readMessage([]byte(*v.Text))
			} else if v.Opcode == 2 {
				err = decodeBinary(&got, golden.Hex(t, v.Hex))
			} else {
				got, err = readMessage(golden.Hex(t, v.Hex))
			}
			if v.Frame == nil || !possible(t, v.Frame) {
				if err == nil && v.Name != "msg_id_float" { // 100.0 is whole
					t.Errorf("read %v, want an error; Python: %v", got, v.Reaction)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v, want it to be read as by Python", err)
			}
			want := v.Frame.Raw(t)
			got.Timestamp, want.Timestamp = 0, 0
			got.Flags &^= hub.Own // Python knows no such flag
			same(t, got, want)
		})
	}
}

func FuzzDecodeBinary(f *testing.F) {
	for _, v := range binaryVectors(f) {
		f.Add(golden.Hex(f, v.Hex))
	}
	for _, v := range malformedVectors(f) {
		if v.Opcode == 2 {
			f.Add(golden.Hex(f, v.Hex))
		}
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var m hub.Message
		if decodeBinary(&m, p) != nil {
			return
		}
		if err := m.Validate(); err != nil {
			t.Fatalf("decoded what is not valid: %v", err)
		}
		var again hub.Message
		if err := decodeBinary(&again, appendBinary(nil, &m)); err != nil {
			t.Fatalf("%v: %v", m, err)
		}
		if m.Timestamp < 1<<61 { // beyond, the double is too coarse
			same(t, again, m)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	for _, v := range append(jsonVectors(f), malformedVectors(f)...) {
		if v.Text != nil && len(*v.Text) < 1000 {
			f.Add([]byte(*v.Text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := readMessage(text)
		if err != nil {
			return
		}
		if err := m.Validate(); err != nil {
			t.Fatalf("decoded what is not valid: %v", err)
		}
		again, err := readMessage(appendJSON(nil, &m))
		if err != nil {
			t.Fatalf("%v: %v", m, err)
		}
		if m.Timestamp < 1<<61 {
			same(t, again, m)
		}
	})
}
