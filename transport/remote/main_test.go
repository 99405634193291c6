package remote

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// serve serves h on loopback until the test ends, and returns the address.
func serve(t testing.TB, h *hub.Hub, o *Options) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, h, o)
	return "ws://" + l.Addr().String() + "/"
}

func serveOn(t testing.TB, l net.Listener, h *hub.Hub, o *Options) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, h, o) }()
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
	return end
}

func dial(t testing.TB, address string, o *DialOptions) *Bus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := Dial(ctx, address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
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

var subprotocols = map[string]*DialOptions{"binary": nil, "JSON": {JSON: true}}

func TestConformance(t *testing.T) {
	for name, o := range subprotocols {
		t.Run(name, func(t *testing.T) {
			var h *hub.Hub // of the pair that was made last, and its server's address
			var address string
			client := func(t testing.TB) hub.Bus { return dial(t, address, o) }
			local := func(t testing.TB) hub.Bus { return hubtest.Open(t, h, "can0", nil) }
			pair := func(first, second func(t testing.TB) hub.Bus) func(t testing.TB) (a, b hub.Bus) {
				return func(t testing.TB) (a, b hub.Bus) {
					h = hub.New(nil)
					t.Cleanup(func() { h.Close() })
					address = serve(t, h, nil)
					return first(t), second(t)
				}
			}
			// The server has one connection for each client, and takes what comes first.
			can := &hubtest.BusOptions{Window: 256, OrdersItself: true, Join: client, EndBus: func() { h.Close() }}
			t.Run("two clients", func(t *testing.T) { hubtest.TestBus(t, pair(client, client), can) })
			t.Run("client and hub", func(t *testing.T) { hubtest.TestBus(t, pair(client, local), can) })
			t.Run("hub and client", func(t *testing.T) { hubtest.TestBus(t, pair(local, client), can) })
		})
	}
}

var _ http.Handler = (*server)(nil)
