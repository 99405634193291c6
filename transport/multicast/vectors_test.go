package multicast_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tinylib/msgp/msgp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/transport/multicast"
)

// The files in testdata were made by running python-can (git of 2026-03-21):
// udp_multicast.json by recording what it sends, udp_multicast_malformed.json
// by sending datagrams to it and noting what it does.

type vector struct {
	Name      string        `json:"name"`
	Frame     *golden.Frame `json:"frame"`
	Wire      string        `json:"wire_hex"`
	Direction string        `json:"direction"`
	Group     string        `json:"group"`
	Reaction  string        `json:"peer_reaction"`
	NoFD      string        `json:"fd_off_reaction"`
}

func goodVectors(t testing.TB) []vector { return golden.Load[vector](t, "udp_multicast.json", 128) }
func malformedVectors(t testing.TB) []vector {
	return golden.Load[vector](t, "udp_multicast_malformed.json", 150)
}

// withoutChannel puts nil for the channel that some of the Python programs have
// put into their messages. A hub.Message has no place for one.
func withoutChannel(t testing.TB, wire []byte) []byte {
	t.Helper()
	before, value, ok := bytes.Cut(wire, []byte("\xa7channel"))
	after, err := msgp.Skip(value)
	if !ok || err != nil {
		t.Fatalf("%x has no channel: %v", wire, err)
	}
	return slices.Concat(before, []byte("\xa7channel\xc0"), after)
}

func TestEveryFrameOfPythonIsEncodedByteForByte(t *testing.T) {
	for _, v := range goodVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			m := v.Frame.Message(t)
			got, err := multicast.AppendMessage([]byte("before"), &m)
			if err != nil {
				t.Fatal(err)
			}
			want := append([]byte("before"), withoutChannel(t, golden.Hex(t, v.Wire))...)
			if !bytes.Equal(got, want) {
				t.Errorf("encoded %v\n%x\nwant\n%x", m, got, want)
			}
		})
	}
}

func TestEveryFrameOfPythonIsDecoded(t *testing.T) {
	for _, v := range goodVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			want := v.Frame.Message(t)
			var got hub.Message
			if err := multicast.Decode(&got, golden.Hex(t, v.Wire)); err != nil {
				t.Fatal(err)
			}
			// The nearest double to a time is up to 120 ns off in our days.
			if off := got.Timestamp - want.Timestamp; off < -240 || off > 240 {
				t.Errorf("Timestamp %d, want %d", got.Timestamp, want.Timestamp)
			}
			got.Timestamp = want.Timestamp
			if got != want {
				t.Errorf("decoded other message (-want +got):\n%s", cmp.Diff(want.String(), got.String()))
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Every frame that Python has read from an odd datagram is read here too, and
// what it rejected is rejected. One that it accepted has no frame: its
// identifier is 291.5.
func TestEveryOddDatagramIsReadAsPythonReadsIt(t *testing.T) {
	for _, v := range malformedVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			wire := golden.Hex(t, v.Wire)
			before := bytes.Clone(wire)
			var got hub.Message
			err := multicast.Decode(&got, wire)
			if !bytes.Equal(wire, before) {
				t.Error("Decode has changed its input")
			}
			switch {
			case v.Direction != "decode" && v.Direction != "reject":
				t.Fatalf("direction %q is unknown", v.Direction)
			case v.Direction == "reject" || v.Frame == nil:
				if err == nil {
					t.Fatalf("decoded %v, want an error as in Python: %s", got, v.Reaction)
				}
				if v.Frame == nil && v.Direction == "decode" && v.Name != "id_float_fraction" {
					t.Errorf("Python accepts it, Decode returns %v", err)
				}
			case err != nil:
				t.Fatalf("%v, want it to be accepted as in Python", err)
			default:
				want := v.Frame.Message(t)
				got.Timestamp, want.Timestamp = 0, 0
				if got != want {
					t.Errorf("decoded %+v\nwant %+v", got, want)
				}
			}
		})
	}
}
