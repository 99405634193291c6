package zeromcan_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

// The files in testdata were made by running virtualcan's Python server and
// client of the last commit that had this form, with libzmq 4.3.4:
// virtualcan_zmq.json by recording what the client sends and the server
// publishes, virtualcan_zmq_malformed.json by sending odd requests to the
// server, virtualcan_zmq_conversation.json by recording TCP.

type vector struct {
	Name      string        `json:"name"`
	Frame     *golden.Frame `json:"frame"`
	Wire      string        `json:"wire_hex"`
	Direction string        `json:"direction"`
	Reply     *string       `json:"reply_hex"` // nil where the original ends
	Pub       *string       `json:"pub_hex"`
	Client    string        `json:"client_name"`
}

func vectors(t testing.TB) []vector { return golden.Load[vector](t, "virtualcan_zmq.json", 108) }
func malformed(t testing.TB) []vector {
	return golden.Load[vector](t, "virtualcan_zmq_malformed.json", 31)
}

func carried(m hub.Message) bool { return m.Flags&^hub.Extended == 0 }

func TestEveryFrameThatIsCarriedHasTheOriginalsBytes(t *testing.T) {
	n := 0
	for _, v := range vectors(t) {
		m := v.Frame.Raw(t)
		m.Timestamp = 0 // the protocol has none
		if !carried(m) {
			continue
		}
		n++
		if got := zeromcan.AppendSend(nil, v.Client, &m); !bytes.Equal(got, golden.Hex(t, v.Wire)) {
			t.Errorf("%s: request %x, want %s", v.Name, got, v.Wire)
		}
		if got := zeromcan.AppendFrame(nil, v.Client, &m); !bytes.Equal(got, golden.Hex(t, *v.Pub)) {
			t.Errorf("%s: publication %x, want %s", v.Name, got, *v.Pub)
		}
		if _, name, got, err := zeromcan.DecodeSend(golden.Hex(t, v.Wire)); err != nil || name != v.Client || got != m {
			t.Errorf("%s: request of %q, %v, %v, want %v", v.Name, name, got, err, m)
		}
		if name, got, err := zeromcan.DecodePublication(golden.Hex(t, *v.Pub)); err != nil || name != v.Client || got != m {
			t.Errorf("%s: publication of %q, %v, %v, want %v", v.Name, name, got, err, m)
		}
	}
	if n != 63 {
		t.Errorf("%d frames are carried, want 63", n)
	}
}

func TestFramesThatAreNotCarriedAreRefusedByName(t *testing.T) {
	s := serve(t, newHub(t), zeromcan.Options{})
	b := dial(t, s, nil)
	for _, v := range vectors(t) {
		m := v.Frame.Raw(t)
		if err := b.Send(t.Context(), m); carried(m) != (err == nil) {
			t.Errorf("%s: Send = %v", v.Name, err)
		} else if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: Send = %v, want errors.ErrUnsupported", v.Name, err)
		}
	}
}

// What is answered otherwise than by the original: its clients do not survive
// some of these, and no CAN bus has the others.
var stricter = map[string]bool{
	"send_client_name_nil": true,
	"send_fd_64":           true,
	"send_byte_300":        true,
	"send_id_float":        true, // 1.5
	"send_data_nil":        true,
	"args_as_map_empty":    true,
}

func TestOddRequestsAreAnsweredAsByTheOriginalOrRefused(t *testing.T) {
	h := newHub(t)
	local := node(t, h)
	var o zeromcan.Options
	zeromcan.CountFrom(&o, 0)
	s := serve(t, h, o)
	c := newPeer(t, s.calls, "REQ")
	var want []hub.Message
	for _, v := range malformed(t) {
		got := c.call(t, golden.Hex(t, v.Wire))
		if v.Reply != nil && !stricter[v.Name] {
			if !bytes.Equal(got, golden.Hex(t, *v.Reply)) {
				t.Errorf("%s: reply %x, want %s", v.Name, got, *v.Reply)
			}
			if v.Pub != nil {
				want = append(want, v.Frame.Raw(t))
			}
			continue
		}
		if _, err := zeromcan.DecodeReply(got); len(got) < 3 || got[1] != 1 || err == nil {
			t.Errorf("%s: reply %x, want status 1 and a reason", v.Name, got)
		}
	}
	for _, m := range want {
		if got := recv(t, local); !got.Equal(m) {
			t.Errorf("the channel has %v, want %v", got, m)
		}
	}
	if s := local.Stats(); s.Queued != 0 {
		t.Errorf("%d messages more", s.Queued)
	}
}
