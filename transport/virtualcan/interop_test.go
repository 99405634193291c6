package virtualcan

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
)

// A peer is a running testdata/peer.py.
type peer struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

// startPeer starts a client on python-can and returns when it is on the channel.
// Where CANHUB_INTEROP is set a missing peer is a failure. CANHUB_PYTHON is the
// interpreter, python3 by default.
func startPeer(t *testing.T, h *hub.Hub, address string, stdin io.Reader, mode string) *peer {
	t.Helper()
	if os.Getenv("CANHUB_INTEROP") == "" {
		t.Skip("CANHUB_INTEROP is not set")
	}
	interpreter := os.Getenv("CANHUB_PYTHON")
	if interpreter == "" {
		interpreter = "python3"
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	before := h.Channels()[0].Subscribers
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	p := &peer{cmd: exec.CommandContext(ctx, interpreter, "testdata/peer.py", mode, port)}
	p.cmd.Stdin, p.cmd.Stderr = stdin, &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("no python: %v", err)
	}
	p.lines = bufio.NewScanner(out)
	if !p.lines.Scan() {
		t.Fatalf("python-can does not run: %v\n%s", p.cmd.Wait(), p.stderr.String())
	}
	t.Log(p.lines.Text())
	if mode != "send" { // which may have gone
		subscribers(t, h, before+1)
	}
	return p
}

// end waits for the process and returns what else it printed.
func (p *peer) end(t *testing.T) []hub.Message {
	t.Helper()
	var got []hub.Message
	for p.lines.Scan() {
		var f golden.Frame
		if err := json.Unmarshal(p.lines.Bytes(), &f); err != nil {
			t.Fatalf("python printed %q: %v", p.lines.Text(), err)
		}
		got = append(got, f.Raw(t))
	}
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("python: %v\n%s", err, p.stderr.String())
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
	if d := cmp.Diff(want, p.end(t)); d != "" {
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
	p.end(t)
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
	p.end(t)
	subscribers(t, h, 1)
}
