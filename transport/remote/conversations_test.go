package remote

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
)

// A conversation is what Python's client and server said to each other, on one
// or two connections.
type conversation struct {
	Name        string   `json:"name"`
	Connections [][]step `json:"connections"`
}

type step struct {
	From    string  `json:"from"`
	HTTP    string  `json:"http"`
	Event   string  `json:"event"`
	Opcode  byte    `json:"opcode"`
	Text    *string `json:"text"`
	Payload string  `json:"payload_hex"`
}

// A speaker is Python's client, on one connection.
type speaker struct {
	*rawClient
	steps []step // to come
}

func (s *speaker) hears() bool { return len(s.steps) > 0 && s.steps[0].From == "server" }

// waitsForData reports whether a frame is still to come.
func (s *speaker) waitsForData() bool {
	for _, st := range s.steps {
		if st.From == "server" && st.Opcode != opClose {
			return true
		}
	}
	return false
}

// Our server gives Python's client the answers that Python's server gave.
func TestConversationsOfPython(t *testing.T) {
	for _, v := range golden.Load[conversation](t, "remote_conversations.json", 10) {
		if v.Name == "bus_open_failure" || v.Name == "periodic_two_messages_same_id" {
			continue // the settings mean nothing here, and a second stop is no fault
		}
		t.Run(v.Name, func(t *testing.T) {
			h := hubtest.New(t)
			address := serve(t, h, nil)
			var speakers []*speaker
			for _, steps := range v.Connections {
				s := &speaker{rawClient: rawDial(t, address)}
				s.upgrade(t, strings.ReplaceAll(strings.ReplaceAll(steps[0].HTTP, "<random>", "dGhlIHNhbXBsZSBub25jZQ=="), "<port>", "1"))
				for _, st := range steps[2:] {
					if st.Event == "" { // who closes TCP first is of no concern
						s.steps = append(s.steps, st)
					}
				}
				s.say(t)
				s.hear(t, v.Name)
				speakers = append(speakers, s)
			}
			deadline := time.Now().Add(patience)
			for left := true; left; {
				if time.Now().After(deadline) {
					t.Fatal("what was to come did not come")
				}
				left = false
				waits := false
				for _, s := range speakers {
					waits = waits || s.waitsForData()
				}
				for _, s := range speakers {
					for len(s.steps) > 0 && s.steps[0].From == "client" && !(waits && s.ends()) {
						s.say(t)
					}
					if s.hears() {
						s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
						if _, err := s.r.Peek(1); err == nil {
							s.SetReadDeadline(deadline)
							s.hear(t, v.Name)
						}
					}
					left = left || len(s.steps) > 0
				}
			}
			hubtest.WaitPeers(t, h, "can0", 0)
		})
	}
}

// ends reports whether the next step ends what others wait for.
func (s *speaker) ends() bool {
	next := s.steps[0]
	return next.Opcode == opClose || next.Text != nil && strings.Contains(*next.Text, periodicStop)
}

func (s *speaker) say(t *testing.T) {
	t.Helper()
	next := s.steps[0]
	s.steps = s.steps[1:]
	p := golden.Hex(t, next.Payload)
	if next.Text != nil {
		p = []byte(*next.Text)
	}
	s.send(t, appendMasked(nil, next.Opcode, p, 0x55667788))
}

// hear fails the test unless the next frame is what is to come.
func (s *speaker) hear(t *testing.T, conversation string) {
	t.Helper()
	op, p, err := s.frame()
	if err != nil {
		t.Fatal(err)
	}
	next := s.steps[0]
	switch {
	case strings.HasPrefix(conversation, "periodic") && next.Opcode == opClose && op == opBinary:
		return // one more of the periodic ones
	case strings.Contains(conversation, "poison") && next.Opcode == opClose && op == opBinary:
		return // which with Python's server this client no longer hears
	case strings.Contains(conversation, "poison") && op == opText && next.Opcode == opBinary:
		if text := eventText(t, p, errorEvent); !strings.Contains(text, "arbitration_id") {
			t.Errorf("error event %q", text)
		}
		return // Python's server does not tell
	}
	s.steps = s.steps[1:]
	if op != next.Opcode {
		t.Fatalf("opcode %d, %q; Python: %d", op, p, next.Opcode)
	}
	switch {
	case op == opClose:
		if len(p) != 0 && !bytes.Equal(p, golden.Hex(t, next.Payload)) {
			t.Errorf("CLOSE %x; Python: %s", p, next.Payload)
		}
	case next.Text != nil && strings.Contains(*next.Text, busResponse):
		if e, err := parseEvent(p); err != nil || e.name != busResponse {
			t.Errorf("%s: %v", p, err)
		}
	case next.Text != nil:
		if d := cmp.Diff(*next.Text, string(p)); d != "" {
			t.Error(d)
		}
	default:
		var got, want hub.Message
		if err := decodeBinary(&got, p); err != nil {
			t.Fatalf("%x: %v", p, err)
		}
		if err := decodeBinary(&want, golden.Hex(t, next.Payload)); err != nil {
			t.Fatal(err)
		}
		got.Flags &^= hub.Own
		if want.Timestamp > 1e18 {
			want.Timestamp = got.Timestamp // it was that of the server
		}
		same(t, got, want)
	}
}
