package hubtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// queued is how many messages a node must be able to keep.
const queued = 16

// A node is one side of a pair.
type node struct {
	hub.Bus
	name string // "A" or "B"
}

// A pair is what a check works with: two nodes of one bus, and the test.
type pair struct {
	testing.TB
	a, b     node
	opts     BusOptions
	progress *progress // nil outside a bubble
	hung     bool      // a step has hung: the others get less time. Of the test's goroutine
}

// A step is a part of a check that runs in a goroutine of its own, so that a
// call that never returns can be told.
type step struct {
	p     *pair
	what  string
	done  chan error // has f's result in the end; room for it
	limit time.Duration
	late  *time.Timer
}

// start runs f. The context that f gets ends after stepTime. As f does not run
// in the test's goroutine, it returns errors and does not end the test.
func (p *pair) start(what string, f func(ctx context.Context) error) *step {
	s := &step{p: p, what: what, done: make(chan error, 1), limit: stepTime + graceTime}
	if p.hung {
		s.limit = graceTime / 4
	}
	s.late = time.NewTimer(s.limit)
	end := p.progress.begin(what)
	go func() {
		var err error
		defer func() { // also if f ends its goroutine
			end()
			s.done <- err
		}()
		ctx, cancel := context.WithTimeout(context.Background(), stepTime)
		defer cancel()
		err = f(ctx)
	}()
	return s
}

// end waits for f and returns its error. It returns false if f hangs.
func (s *step) end() (err error, ok bool) {
	defer s.late.Stop()
	select {
	case err := <-s.done:
		return err, true
	case <-s.late.C:
		s.p.hung = true
		return nil, false
	}
}

func (s *step) hangs() error { return hangs(s.what, s.limit) }

// wait waits for f and returns its error. If f hangs, that ends the test.
func (s *step) wait() error {
	s.p.Helper()
	err, ok := s.end()
	if !ok {
		s.p.Fatal(s.hangs())
	}
	return err
}

// must waits for f, whose errors end the test.
func (s *step) must() {
	s.p.Helper()
	if err := s.wait(); err != nil {
		s.p.Fatalf("%s: %v", s.what, err)
	}
}

// mustBeClosed waits for f, which is to return ErrClosed.
func (s *step) mustBeClosed() {
	s.p.Helper()
	if err := s.wait(); !errors.Is(err, hub.ErrClosed) {
		s.p.Errorf("%s = %v, want hub.ErrClosed", s.what, err)
	}
}

// send and recv make one call under a context of the caller's choice, and close
// is Close. They return what the call returns, and end the test if it hangs.
func (p *pair) send(ctx context.Context, n node, m hub.Message) error {
	p.Helper()
	return p.start(n.name+".Send", func(context.Context) error { return n.Send(ctx, m) }).wait()
}

func (p *pair) recv(ctx context.Context, n node) (m hub.Message, err error) {
	p.Helper()
	err = p.start(n.name+".Recv", func(context.Context) (err error) {
		m, err = n.Recv(ctx)
		return err
	}).wait()
	return m, err
}

func (p *pair) close(n node) error {
	p.Helper()
	return p.start(n.name+".Close", func(context.Context) error { return n.Close() }).wait()
}

// counter returns a message that carries a number, so that order and loss show.
func counter(i int) hub.Message {
	var data [8]byte
	binary.BigEndian.PutUint64(data[:], uint64(i))
	return hub.Std(0x123, data[:]...)
}

// counters returns the messages that carry the numbers below n.
func counters(n int) []hub.Message {
	msgs := make([]hub.Message, n)
	for i := range msgs {
		msgs[i] = counter(i)
	}
	return msgs
}

// count is the reverse of counter.
func count(m hub.Message) int { return int(binary.BigEndian.Uint64(m.Data[:8])) }

// A flow keeps the messages under way in one direction within the window of the
// bus. It is nil where there is none.
type flow chan struct{}

func (p *pair) newFlow() flow {
	if p.opts.Window == 0 {
		return nil
	}
	return make(flow, p.opts.Window)
}

// sent takes a place in the window before a Send.
func (f flow) sent(ctx context.Context) error {
	if f == nil {
		return nil
	}
	select {
	case f <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// received gives a place back after a Recv.
func (f flow) received() {
	if f != nil {
		<-f
	}
}

// sendAll returns what a step needs to send messages.
func sendAll(n node, msgs []hub.Message, f flow) func(context.Context) error {
	return func(ctx context.Context) error {
		for i, m := range msgs {
			if err := f.sent(ctx); err != nil {
				return fmt.Errorf("the receiver is behind, %d of %d messages sent: %w", i, len(msgs), err)
			}
			if err := n.Send(ctx, m); err != nil {
				return fmt.Errorf("message %d of %d, %s: %w", i+1, len(msgs), text(m), err)
			}
		}
		return nil
	}
}

// recvN returns what a step needs to add n messages to got.
func recvN(n node, got *[]hub.Message, number int, f flow) func(context.Context) error {
	return func(ctx context.Context) error {
		for i := range number {
			m, err := n.Recv(ctx)
			if err != nil {
				return fmt.Errorf("%d of %d messages received: %w", i, number, err)
			}
			f.received()
			*got = append(*got, m)
		}
		return nil
	}
}

// transfer sends messages from one node to the other and returns what came, as
// many at most. Where they differ it fails the test.
func (p *pair) transfer(from, to node, msgs []hub.Message) []hub.Message {
	p.Helper()
	var got []hub.Message
	f := p.newFlow()
	sending := p.start(from.name+".Send", sendAll(from, msgs, f))
	receiving := p.start(to.name+".Recv", recvN(to, &got, len(msgs), f))
	if err := receiving.wait(); err != nil {
		p.Errorf("%s.Recv: %v", to.name, err)
	}
	p.same(msgs, got)
	sending.must()
	return got
}

// same fails the test if got is not want.
func (p *pair) same(want, got []hub.Message) {
	p.Helper()
	if d := diff(want, got); d != "" {
		p.Errorf("received other messages than were sent (-want +got):\n%s", d)
	}
}

// nothingElse fails the test if something comes before the marker that it sends.
func (p *pair) nothingElse(from, to node, why string) {
	p.Helper()
	marker := hub.Std(0x7FE, 0xE0)
	p.start(from.name+".Send", sendAll(from, []hub.Message{marker}, nil)).must()
	var extra []string
	for len(extra) < 10 {
		var got []hub.Message
		p.start(to.name+".Recv", recvN(to, &got, 1, nil)).must()
		if got[0].Equal(marker) {
			break
		}
		extra = append(extra, text(got[0]))
	}
	if extra != nil {
		p.Errorf("%s received %q, want nothing: %s", to.name, extra, why)
	}
}

// make has makePair make the two nodes.
func (p *pair) make(makePair func(t testing.TB) (a, b hub.Bus)) {
	p.Helper()
	p.setUp("makePair", func(t testing.TB) {
		a, b := makePair(t)
		p.a, p.b = node{a, "A"}, node{b, "B"}
	})
	p.closeAtTheEnd(p.b)
	p.closeAtTheEnd(p.a)
}

// join returns a third node, or a fourth.
func (p *pair) join(name string) node {
	p.Helper()
	n := node{name: name}
	p.setUp("Join", func(t testing.TB) { n.Bus = p.opts.Join(t) })
	p.closeAtTheEnd(n)
	return n
}

// setUp runs a function that may end the test.
func (p *pair) setUp(what string, f func(t testing.TB)) {
	p.Helper()
	done := false
	p.start(what, func(context.Context) error {
		f(&guarded{p.TB, p})
		done = true
		return nil
	}).must()
	switch {
	case done:
	case p.Skipped():
		p.SkipNow()
	default: // it has ended its goroutine by t.Fatal
		p.FailNow()
	}
}

func (p *pair) closeAtTheEnd(n node) {
	p.Cleanup(func() {
		s := p.start(n.name+".Close", func(context.Context) error { return n.Close() })
		if err, ok := s.end(); !ok {
			p.Errorf("%v", s.hangs())
		} else if err != nil {
			p.Errorf("%s.Close() = %v, want nil", n.name, err)
		}
	})
}

// A guarded is the test as makePair sees it. Its cleanup functions are steps.
type guarded struct {
	testing.TB
	p *pair
}

func (g *guarded) Cleanup(f func()) {
	g.TB.Cleanup(func() {
		what := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
		s := g.p.start("a cleanup function of makePair, "+what+",", func(context.Context) error {
			f()
			return nil
		})
		if _, ok := s.end(); !ok {
			g.Errorf("%v", s.hangs())
		}
	})
}
