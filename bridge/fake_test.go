package bridge_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
)

// A fake is a bus that does as the test says. It has no batches, so the bridge
// treats it as it does any transport.
type fake struct {
	onSend func(ctx context.Context, m hub.Message) error // nil takes everything
	in     chan received                                  // what Recv returns; never closed
	failed chan struct{}                                  // closed by fail; ends Recv and Send
	closed chan struct{}                                  // closed by the first Close

	mu     sync.Mutex
	err    error // that it failed with
	sent   []hub.Message
	closes int
}

type received struct {
	m   hub.Message
	err error
}

func newFake() *fake {
	return &fake{in: make(chan received, 10_000), failed: make(chan struct{}), closed: make(chan struct{})}
}

func (f *fake) Send(ctx context.Context, m hub.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-f.failed:
		return f.err
	case <-f.closed:
		return hub.ErrClosed
	default:
	}
	if f.onSend != nil {
		if err := f.onSend(ctx, m); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, m)
	return nil
}

func (f *fake) Recv(ctx context.Context) (hub.Message, error) {
	select {
	case r := <-f.in:
		return r.m, r.err
	default:
	}
	select {
	case r := <-f.in:
		return r.m, r.err
	case <-f.failed:
		return hub.Message{}, f.err
	case <-f.closed:
		return hub.Message{}, hub.ErrClosed
	case <-ctx.Done():
		return hub.Message{}, ctx.Err()
	}
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closes++; f.closes == 1 {
		close(f.closed)
	}
	return nil
}

// fail ends this and every later call with err.
func (f *fake) fail(err error) { f.err = err; close(f.failed) }

func (f *fake) deliver(ms ...hub.Message) {
	for _, m := range ms {
		f.in <- received{m: m}
	}
}

func (f *fake) wantSent(t *testing.T, ms ...hub.Message) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := cmp.Diff(texts(ms), texts(f.sent)); d != "" {
		t.Errorf("the bus was sent other messages (-want +got):\n%s", d)
	}
}

func (f *fake) wantCloses(t *testing.T, n int) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closes != n {
		t.Errorf("the bus was closed %d times, want %d", f.closes, n)
	}
}

func texts(ms []hub.Message) []string {
	all := []string{}
	for _, m := range ms {
		all = append(all, m.String())
	}
	return all
}

func ids(from, to uint32) (ms []hub.Message) {
	for id := from; id <= to; id++ {
		ms = append(ms, hub.Ext(id))
	}
	return ms
}

func wantCounts(t *testing.T, c *bridge.Counts, want bridge.Snapshot) {
	t.Helper()
	if d := cmp.Diff(want, c.Snapshot()); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
}
