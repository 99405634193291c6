package virtualcan

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/internal/live"
)

// startPeer starts a client on python-can and returns when it is on the channel.
func startPeer(t *testing.T, h *hub.Hub, address string, stdin io.Reader, mode string) *live.Peer {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	cmd := live.Python(t, "testdata/peer.py", mode, port)
	cmd.Stdin = stdin
	before := h.Channels()[0].Subscribers
	p := live.Start(t, cmd)
	if mode != "send" { // which may have gone
		subscribers(t, h, before+1)
	}
	return p
}

// received waits for the end of p and returns what it has received.
func received(t *testing.T, p *live.Peer) (got []hub.Message) {
	t.Helper()
	for _, f := range p.Frames(t) {
		got = append(got, f.Raw(t))
	}
	return got
}

// everyKind are the frames of the vectors, and then 3,000 of one kind.
func everyKind(t *testing.T) []hub.Message {
	return append(messageVectors(t), numbered(3000)...)
}

func marker() hub.Message { return hub.Std(0x7FF, 0xE0) }

func TestLivePythonReceivesEverything(t *testing.T) {
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() })
	_, address := serve(t, h, nil)
	node := hubtest.Open(t, h, "can0", nil)
	p := startPeer(t, h, address, nil, "recv")
	var want []hub.Message
	for _, m := range everyKind(t) {
		if m.ID != marker().ID {
			want = append(want, m)
		}
	}
	send(t, node, hub.RTR(1, 8), hub.FD(1, 1)) // Python does not see these
	send(t, node, want...)
	send(t, node, marker())
	if d := cmp.Diff(want, received(t, p)); d != "" {
		t.Errorf("python received other messages than were sent (-want +got):\n%s", d)
	}
}

func TestLivePythonSendsEverything(t *testing.T) {
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() })
	_, address := serve(t, h, nil)
	b := dial(t, h, address, nil)
	want := everyKind(t)
	var lines bytes.Buffer
	for _, m := range want {
		json.NewEncoder(&lines).Encode(golden.Frame{ID: m.ID, Extended: m.Flags&hub.Extended != 0, Data: hex.EncodeToString(m.Bytes())})
	}
	p := startPeer(t, h, address, &lines, "send")
	for i, w := range want {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		m, err := b.Recv(ctx)
		cancel()
		if err != nil || !m.Equal(w) {
			t.Fatalf("message %d: %v, %v, want %v", i, m, err, w)
		}
	}
	p.Lines(t)
}

func TestLivePythonAnswers(t *testing.T) {
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() })
	_, address := serve(t, h, nil)
	b := dial(t, h, address, nil)
	p := startPeer(t, h, address, nil, "echo")
	for i := range uint32(300) {
		send(t, b, hub.Ext(2*i, byte(i)))
		hubtest.Want(t, b, hub.Ext(2*i+1, byte(i)))
	}
	send(t, b, marker())
	p.Lines(t)
	subscribers(t, h, 1)
}
