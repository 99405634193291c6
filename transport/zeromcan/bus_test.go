package zeromcan_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

// long is how long a step may take on a busy machine.
const long = 20 * time.Second

// A place is where a server is.
type place struct{ calls, publish string }

// serve starts a server on free ports, which the test ends.
func serve(t testing.TB, h *hub.Hub, o zeromcan.Options) place {
	t.Helper()
	s, _ := serveAt(t, h, o, place{"127.0.0.1:0", ""})
	return s
}

// serveAt starts a server there. The test ends it, or stop does before.
func serveAt(t testing.TB, h *hub.Hub, o zeromcan.Options, at place) (s place, stop func()) {
	t.Helper()
	calls, publish, err := zeromcan.Listen(at.calls, at.publish)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- zeromcan.Serve(ctx, calls, publish, h, &o) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, hub.ErrClosed) {
				t.Errorf("Serve returned %v, want nil", err)
			}
		case <-time.After(long):
			t.Error("Serve goes on after its context has ended")
		}
	})
	t.Cleanup(stop)
	return place{calls.Addr().String(), publish.Addr().String()}, stop
}

func newHub(t testing.TB) *hub.Hub {
	t.Helper()
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() })
	return h
}

func dial(t testing.TB, s place, o *zeromcan.DialOptions) *zeromcan.Bus {
	t.Helper()
	var opts zeromcan.DialOptions
	if o != nil {
		opts = *o
	}
	opts.Publish = s.publish
	b, err := zeromcan.Dial(t.Context(), s.calls, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func node(t testing.TB, h *hub.Hub) *hub.Subscriber {
	t.Helper()
	s, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func send(t testing.TB, b hub.Bus, msgs ...hub.Message) {
	t.Helper()
	for _, m := range msgs {
		if err := b.Send(t.Context(), m); err != nil {
			t.Fatalf("Send(%v): %v", m, err)
		}
	}
}

func TestConformance(t *testing.T) {
	var h *hub.Hub // of the pair that was made last, and its server
	var s place
	client := func(t testing.TB) hub.Bus { return dial(t, s, nil) }
	hubtest.TestBus(t, func(t testing.TB) (a, b hub.Bus) {
		h = newHub(t)
		s = serve(t, h, zeromcan.Options{})
		return client(t), client(t)
	}, &hubtest.BusOptions{
		NoRemote: true, NoFD: true, NoError: true,
		Window: 256, // what a server keeps for a client
		Join:   client,
		EndBus: func() { h.Close() },
	})
}

func TestMessagesOfTheHubAndOfClientsMeet(t *testing.T) {
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{})
	local, a, b := node(t, h), dial(t, s, nil), dial(t, s, nil)
	send(t, local, hub.Std(1, 1))
	send(t, a, hub.Ext(2))
	send(t, b, hub.Std(3, 1, 2, 3, 4, 5, 6, 7, 8))
	hubtest.Want(t, local, hub.Ext(2), hub.Std(3, 1, 2, 3, 4, 5, 6, 7, 8))
	hubtest.Want(t, a, hub.Std(1, 1), hub.Std(3, 1, 2, 3, 4, 5, 6, 7, 8))
	hubtest.Want(t, b, hub.Std(1, 1), hub.Ext(2))
}

func TestAllClientsSeeOneOrderAndTheirOwnNames(t *testing.T) {
	const each = 200
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{})
	witness := dial(t, s, nil)
	local := node(t, h)
	senders := []*zeromcan.Bus{
		dial(t, s, &zeromcan.DialOptions{OwnMessages: true}),
		dial(t, s, &zeromcan.DialOptions{OwnMessages: true}),
	}
	done := make(chan error, 2)
	for i, b := range senders {
		go func() {
			for n := range each {
				if err := b.Send(context.Background(), hub.Std(uint32(i), byte(n))); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range senders {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	for n := range 2 * each {
		want, err := local.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := witness.Recv(ctx); err != nil || !m.Equal(want) {
			t.Fatalf("message %d: %v, %v, want %v", n, m, err, want)
		}
		for i, b := range senders {
			m, err := b.Recv(ctx)
			if err != nil || !m.Equal(want) {
				t.Fatalf("message %d: %v, %v, want %v", n, m, err, want)
			}
			if own := m.Flags&hub.Own != 0; own != (m.ID == uint32(i)) {
				t.Fatalf("message %d: client%d received %v with Own %v", n, i, m, own)
			}
		}
	}
}
