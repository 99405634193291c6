package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/internal/live"
)

// python returns a command that runs testdata/peer.py.
func python(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return live.Python(t, append([]string{"testdata/peer.py"}, args...)...)
}

// startPeer returns when the peer is connected, or listens.
func startPeer(t *testing.T, stdin io.Reader, args ...string) *live.Peer {
	t.Helper()
	cmd := python(t, args...)
	cmd.Stdin = stdin
	return live.Start(t, cmd)
}

// received waits for the end of p and returns what it has received.
func received(t *testing.T, p *live.Peer) (got []hub.Message) {
	t.Helper()
	for _, f := range p.Frames(t) {
		got = append(got, f.Raw(t))
	}
	return got
}

// forms are our server, as Python's client meets it, which offers both
// subprotocols.
var forms = map[string]func(http.Handler) http.Handler{
	"binary": func(h http.Handler) http.Handler { return h },
	"JSON": func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Sec-WebSocket-Protocol", protocolJSON)
			h.ServeHTTP(w, r)
		})
	},
}

// plenty is room for what a slow client has not taken yet.
var plenty = &Options{Queue: 16384}

func lines(t *testing.T, msgs []hub.Message) io.Reader {
	t.Helper()
	var b bytes.Buffer
	for _, m := range msgs {
		line, err := json.Marshal(golden.FrameOf(m))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return &b
}

// everyKind are the frames of the vectors, and then 10,000 of one kind.
func everyKind(t *testing.T) []hub.Message {
	var msgs []hub.Message
	for _, v := range binaryVectors(t) {
		msgs = append(msgs, v.Frame.Raw(t))
	}
	for i := range uint32(10_000) {
		m := hub.Ext(0x10000+i, 1, 2, 3, 4, 5, 6, 7, 8)
		m.Timestamp = 1_700_000_000_000_000_000 + int64(i)*1_000_000
		msgs = append(msgs, m)
	}
	return msgs
}

// equal fails the test where messages differ, also in their times.
func equal(t *testing.T, got, want []hub.Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i := range want {
		got[i].Seq = 0
		same(t, got[i], want[i])
		if t.Failed() {
			t.Fatalf("message %d of %d", i+1, len(want))
		}
	}
}

func recvAll(t *testing.T, b hub.Bus, n int) (got []hub.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range n {
		m, err := b.Recv(ctx)
		if err != nil {
			t.Fatalf("%d of %d messages received: %v", len(got), n, err)
		}
		got = append(got, m)
	}
	return got
}

func TestLivePythonClientReceivesEverything(t *testing.T) {
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			h := hubtest.New(t)
			s := httptest.NewServer(form(Handler(h, plenty)))
			defer s.Close()
			p := startPeer(t, nil, "recv", "ws"+strings.TrimPrefix(s.URL, "http"))
			node := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{KeepTimestamps: true, SendOnly: true})
			want := everyKind(t)
			for _, m := range append(want, marker) {
				send(t, node, m)
			}
			equal(t, received(t, p), want)
			node.Close()
			hubtest.WaitPeers(t, h, "can0", 0)
		})
	}
}

func TestLivePythonClientSendsEverything(t *testing.T) {
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			h := hubtest.New(t)
			s := httptest.NewServer(form(Handler(h, nil)))
			defer s.Close()
			node := hubtest.Open(t, h, "can0", nil)
			want := everyKind(t)
			p := startPeer(t, lines(t, want), "send", "ws"+strings.TrimPrefix(s.URL, "http"), "preserve_timestamps=true")
			equal(t, recvAll(t, node, len(want)), want)
			p.Lines(t)
			hubtest.WaitPeers(t, h, "can0", 1)
		})
	}
}

func TestLivePythonClientHasItsConfig(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, nil)
	p := startPeer(t, nil, "recv", address, "receive_own_messages=true", "bitrate=500000",
		`can_filters=[{"can_id": 256, "can_mask": 1792, "extended": false}, {"can_id": 2047, "can_mask": 2047}]`)
	node := hubtest.Open(t, h, "can0", nil)
	send(t, node, hub.Std(0x200), hub.Std(0x1AB, 1), hub.Ext(0x1AB), hub.Std(0x100), marker)
	got := received(t, p)
	if len(got) != 2 || !got[0].Equal(hub.Std(0x1AB, 1)) || !got[1].Equal(hub.Std(0x100)) {
		t.Errorf("python received %v", got)
	}
}

func TestLivePythonClientSendsPeriodically(t *testing.T) {
	h := hubtest.New(t)
	node := hubtest.Open(t, h, "can0", nil)
	p := startPeer(t, nil, "periodic", serve(t, h, nil))
	n := 0
	for m := range node.All(t.Context()) {
		if m.Equal(marker) {
			break
		}
		if n++; !m.Equal(hub.Std(0x123, 1, 2)) {
			t.Errorf("received %v", m)
		}
	}
	if n < 5 || n > 20 {
		t.Errorf("%d messages in 0.3 s, want about 15", n)
	}
	p.Lines(t)
	hubtest.WaitPeers(t, h, "can0", 1)
	hubtest.WantNone(t, node)
}

func TestLivePythonClientOverTLS(t *testing.T) {
	h := hubtest.New(t)
	s := httptest.NewTLSServer(Handler(h, plenty))
	defer s.Close()
	p := startPeer(t, nil, "recv", "wss"+strings.TrimPrefix(s.URL, "https"))
	node := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{KeepTimestamps: true, SendOnly: true})
	want := everyKind(t)
	for _, m := range append(want, marker) {
		send(t, node, m)
	}
	equal(t, received(t, p), want)
}

func TestLivePythonClientIsRefusedWithoutTheToken(t *testing.T) {
	cmd := python(t, "recv", serve(t, hubtest.New(t), &Options{Token: "secret"}))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Unexpected response status") {
		t.Errorf("python: %v\n%s", err, out)
	}
}

func TestLivePythonClientHearsTheEndOfTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	end := serveOn(t, l, hubtest.New(t), nil)
	p := startPeer(t, nil, "recv", "ws://"+l.Addr().String())
	end()
	if errors, err := p.Wait(); err == nil || !strings.Contains(errors, "1001") {
		t.Errorf("python: %v\n%s", err, errors)
	}
}
