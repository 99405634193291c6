package remote

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
)

// The files in testdata were made by running python-can-remote 0.2.4, both
// sides, and recording what they said.

// A frame is a CAN frame in these files.
type frame struct {
	ID        uint32      `json:"id"`
	Extended  bool        `json:"extended"`
	Remote    bool        `json:"rtr"`
	Error     bool        `json:"error"`
	FD        bool        `json:"fd"`
	BRS       bool        `json:"brs"`
	ESI       bool        `json:"esi"`
	Len       int         `json:"dlc"` // in bytes
	Data      string      `json:"data_hex"`
	Timestamp json.Number `json:"timestamp"` // seconds; "" where Python replaced it
}

type vector struct {
	Name      string   `json:"name"`
	Section   string   `json:"section"`
	Frame     *frame   `json:"frame"`
	Hex       string   `json:"wire_hex"`
	Text      *string  `json:"wire_text"`
	Frames    []string `json:"ws_frames_hex"`
	Opcode    int      `json:"opcode"`
	Mask      string   `json:"mask_hex"`
	Payload   string   `json:"payload_hex"`
	Direction string   `json:"direction"`
	Usable    bool     `json:"connection_usable_after"`
	Reaction  any      `json:"peer_reaction"`
}

// message returns what f would be on a bus, valid or not.
func (f *frame) message(t testing.TB) hub.Message {
	t.Helper()
	m := hub.Message{ID: f.ID, Len: uint8(f.Len)}
	for flag, set := range map[hub.Flags]bool{
		hub.Extended: f.Extended, hub.Remote: f.Remote, hub.Error: f.Error,
		hub.FDF: f.FD, hub.BRS: f.BRS, hub.ESI: f.ESI,
	} {
		if set {
			m.Flags |= flag
		}
	}
	copy(m.Data[:], unhex(t, f.Data))
	if f.Timestamp != "" {
		r, ok := new(big.Rat).SetString(string(f.Timestamp))
		if !ok {
			t.Fatalf("time %q is no number", f.Timestamp)
		}
		m.Timestamp = r.Mul(r, big.NewRat(1e9, 1)).Num().Int64()
	}
	return m
}

// possible reports whether f can exist on a bus.
func (f *frame) possible(t testing.TB) bool {
	m := f.message(t)
	return m.Validate() == nil && (f.Remote || len(f.Data) == 2*f.Len)
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// load reads a file of testdata that has n vectors.
func load[V any](t testing.TB, name string, n int) []V {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var vectors []V
	if err := d.Decode(&vectors); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if len(vectors) != n {
		t.Fatalf("%s has %d vectors, want %d", name, len(vectors), n)
	}
	return vectors
}

func binaryVectors(t testing.TB) []vector    { return load[vector](t, "remote_binary.json", 122) }
func jsonVectors(t testing.TB) []vector      { return load[vector](t, "remote_json.json", 122) }
func malformedVectors(t testing.TB) []vector { return load[vector](t, "remote_malformed.json", 140) }

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
			want, wire := v.Frame.message(t), unhex(t, v.Hex)
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
			want := v.Frame.message(t)
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
				err = decodeBinary(&got, unhex(t, v.Hex))
			} else {
				got, err = readMessage(unhex(t, v.Hex))
			}
			if v.Frame == nil || !v.Frame.possible(t) {
				if err == nil && v.Name != "msg_id_float" { // 100.0 is whole
					t.Errorf("read %v, want an error; Python: %v", got, v.Reaction)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v, want it to be read as by Python", err)
			}
			want := v.Frame.message(t)
			got.Timestamp, want.Timestamp = 0, 0
			got.Flags &^= hub.Own // Python knows no such flag
			same(t, got, want)
		})
	}
}

func FuzzDecodeBinary(f *testing.F) {
	for _, v := range binaryVectors(f) {
		f.Add(unhex(f, v.Hex))
	}
	for _, v := range malformedVectors(f) {
		if v.Opcode == 2 {
			f.Add(unhex(f, v.Hex))
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
