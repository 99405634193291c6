package virtualcan

import (
	"bytes"
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// serve serves h on loopback until the test ends.
func serve(t testing.TB, h *hub.Hub, o *Options) (s *Server, address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, _ = serveOn(t, l, h, o)
	return s, l.Addr().String()
}

func serveOn(t testing.TB, l net.Listener, h *hub.Hub, o *Options) (s *Server, end func()) {
	t.Helper()
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	ended := false
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("Serve does not end")
		}
	}
	t.Cleanup(end)
	return s, end
}

// until waits for a condition that comes true by itself.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for begin := time.Now(); !f(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// subscribers waits until n are on the channel.
func subscribers(t testing.TB, h *hub.Hub, n int) {
	t.Helper()
	until(t, "subscribers", func() bool {
		for _, c := range h.Channels() {
			if c.Name == "can0" {
				return c.Subscribers == n
			}
		}
		return n == 0
	})
}

// dial returns when the client is on the channel.
func dial(t testing.TB, h *hub.Hub, address string, o *DialOptions) *Bus {
	t.Helper()
	before := 0
	for _, c := range h.Channels() {
		before += c.Subscribers
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := Dial(ctx, address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	subscribers(t, h, before+1)
	return b
}

// raw connects without a Bus, and returns when it is on the channel.
func raw(t testing.TB, h *hub.Hub, address string) *net.TCPConn {
	t.Helper()
	before := 0
	for _, c := range h.Channels() {
		before += c.Subscribers
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	subscribers(t, h, before+1)
	return conn.(*net.TCPConn)
}

func send(t testing.TB, b hub.Bus, msgs ...hub.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, m := range msgs {
		if err := b.Send(ctx, m); err != nil {
			t.Fatalf("Send(%v): %v", m, err)
		}
	}
}

// recvError waits for the error of a Recv.
func recvError(t testing.TB, b hub.Bus) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := b.Recv(ctx)
	if err == nil {
		t.Fatalf("received %v, want an error", m)
	}
	if ctx.Err() != nil {
		t.Fatal("nothing was received, want an error")
	}
	return err
}

// packets returns what a client sends for msgs.
func packets(msgs ...hub.Message) []byte {
	var p []byte
	for i := range msgs {
		p = appendPacket(p, &msgs[i])
	}
	return p
}

// A trickle is a connection from which no more than size bytes come at once.
type trickle struct {
	net.Conn
	r    *bytes.Reader
	size int
}

func (c *trickle) Read(p []byte) (int, error)        { return c.r.Read(p[:min(len(p), c.size)]) }
func (c *trickle) SetReadDeadline(t time.Time) error { return nil }

func TestConformance(t *testing.T) {
	var h *hub.Hub // of the pair that was made last, and its server's address
	var address string
	client := func(t testing.TB) hub.Bus { return dial(t, h, address, nil) }
	local := func(t testing.TB) hub.Bus { return classic{hubtest.Open(t, h, "can0", nil)} }
	pair := func(first, second func(t testing.TB) hub.Bus) func(t testing.TB) (a, b hub.Bus) {
		return func(t testing.TB) (a, b hub.Bus) {
			h = hub.New(nil)
			t.Cleanup(func() { h.Close() })
			_, address = serve(t, h, nil)
			return first(t), second(t)
		}
	}
	can := &hubtest.BusOptions{
		NoRemote: true, NoFD: true, NoError: true,
		Window:       256,
		OrdersItself: true, // the server has one connection for each client, and takes what comes first
		Join:         client,
		EndBus:       func() { h.Close() },
	}
	t.Run("two clients", func(t *testing.T) { hubtest.TestBus(t, pair(client, client), can) })
	t.Run("client and hub", func(t *testing.T) { hubtest.TestBus(t, pair(client, local), can) })
	t.Run("hub and client", func(t *testing.T) { hubtest.TestBus(t, pair(local, client), can) })
}

// A classic bus is a subscriber that refuses what the protocol cannot carry, as
// the suite wants it of both nodes.
type classic struct{ *hub.Subscriber }

func (c classic) Send(ctx context.Context, m hub.Message) error {
	if err := m.Validate(); err == nil && uncarried(&m) != nil {
		return errors.ErrUnsupported
	}
	return c.Subscriber.Send(ctx, m)
}
