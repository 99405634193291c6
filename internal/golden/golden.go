// Package golden reads the golden vectors that the tests of several packages have
// in their testdata: lists of JSON objects made by running other programs.
package golden

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/canhub-go/canhub/hub"
)

// A Frame is a CAN frame in these files.
type Frame struct {
	ID        uint32      `json:"id"`
	Extended  bool        `json:"extended"`
	Remote    bool        `json:"rtr"`
	Error     bool        `json:"error"`
	FD        bool        `json:"fd"`
	BRS       bool        `json:"brs"`
	ESI       bool        `json:"esi"`
	Len       int         `json:"dlc"` // in bytes
	Data      string      `json:"data_hex"`
	Timestamp json.Number `json:"timestamp"` // seconds; "" where there is none
}

// FrameOf returns m as it would stand in such a file.
func FrameOf(m hub.Message) Frame {
	return Frame{
		ID: m.ID, Extended: m.Flags&hub.Extended != 0, Remote: m.Flags&hub.Remote != 0, Error: m.Flags&hub.Error != 0,
		FD: m.Flags&hub.FDF != 0, BRS: m.Flags&hub.BRS != 0, ESI: m.Flags&hub.ESI != 0,
		Len: int(m.Len), Data: hex.EncodeToString(m.Bytes()),
		Timestamp: json.Number(fmt.Sprintf("%d.%09d", m.Timestamp/1e9, m.Timestamp%1e9)),
	}
}

// Message returns f, whose data must be as long as it says.
func (f *Frame) Message(t testing.TB) hub.Message {
	t.Helper()
	if !f.Remote && len(f.Data) != 2*f.Len {
		t.Fatalf("frame %+v: data does not fit", f)
	}
	return f.Raw(t)
}

// Raw returns what f would be on a bus, possible or not.
func (f *Frame) Raw(t testing.TB) hub.Message {
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
	copy(m.Data[:], Hex(t, f.Data))
	if f.Timestamp != "" {
		m.Timestamp = Nanoseconds(t, f.Timestamp)
	}
	return m
}

// Nanoseconds reads decimal seconds exactly.
func Nanoseconds(t testing.TB, seconds json.Number) int64 {
	t.Helper()
	r, ok := new(big.Rat).SetString(string(seconds))
	if !ok {
		t.Fatalf("time %q is no number", seconds)
	}
	r.Mul(r, big.NewRat(1e9, 1))
	if !r.IsInt() || !r.Num().IsInt64() {
		t.Fatalf("time %q does not fit in nanoseconds", seconds)
	}
	return r.Num().Int64()
}

// Hex decodes hexadecimal digits.
func Hex(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Load reads a file of testdata, which must be a list of n, so that no test is
// content with a file that was cut off.
func Load[V any](t testing.TB, name string, n int) []V {
	t.Helper()
	var vectors []V
	LoadInto(t, name, &vectors)
	if len(vectors) != n {
		t.Fatalf("%s has %d vectors, want %d", name, len(vectors), n)
	}
	return vectors
}

// LoadInto reads a file of testdata, which must not be empty.
func LoadInto(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if v := reflect.ValueOf(into).Elem(); v.Kind() == reflect.Slice && v.Len() == 0 {
		t.Fatalf("%s has nothing in it", name)
	}
}
