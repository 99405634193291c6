package hubtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
)

func closeUnblocksRecv(p *pair) {
	for _, n := range []node{p.a, p.b} {
		blocked := p.start(n.name+".Recv while "+n.name+" closes", func(ctx context.Context) error {
			_, err := n.Recv(ctx)
			return err
		})
		time.Sleep(soon) // most likely it blocks by now; it need not
		p.mustClose(n)
		blocked.mustBeClosed()
	}
}

// mustClose closes n, which ends the test if it hangs.
func (p *pair) mustClose(n node) {
	p.Helper()
	if err := p.close(n); err != nil {
		p.Errorf("%s.Close() = %v, want nil", n.name, err)
	}
}

// closeUnblocksSend has A send until its Send blocks, for nobody receives, or
// until it is clear that this bus does not block.
func closeUnblocksSend(p *pair) {
	var sent atomic.Int64
	sending := p.start("A.Send while A closes", func(ctx context.Context) error {
		for sent.Load() < flood {
			if err := p.a.Send(ctx, counter(int(sent.Load()))); err != nil {
				return err
			}
			sent.Add(1)
		}
		return nil
	})
	for before := int64(-1); before != sent.Load(); {
		before = sent.Load()
		time.Sleep(2 * soon)
	}
	p.mustClose(p.a)
	if err := sending.wait(); err != nil && !errors.Is(err, hub.ErrClosed) {
		p.Errorf("A.Send while A closes = %v, want hub.ErrClosed", err)
	}
}

func closeAgain(p *pair) {
	for _, n := range []node{p.a, p.b} {
		blocked := p.start(n.name+".Recv while "+n.name+" closes", func(ctx context.Context) error {
			_, err := n.Recv(ctx)
			return err
		})
		var closing []*step
		for range 8 {
			closing = append(closing, p.start(n.name+".Close in several goroutines", func(context.Context) error {
				return n.Close()
			}))
		}
		for _, s := range closing {
			if err := s.wait(); err != nil {
				p.Errorf("%s = %v, want nil", s.what, err)
			}
		}
		blocked.mustBeClosed()
		p.mustClose(n)
	}
}

// closeTwice has two goroutines close a node that has work to do, and another
// node if there may be a third one. None of the calls may return before the
// others can: each waits for all that the node has.
func closeTwice(p *pair) {
	if p.opts.Join != nil {
		before := p.settled()
		c := p.join("C")
		p.start("C.Send", sendAll(c, counters(1), nil)).must()
		p.closeInTwo(c)
		for number, stack := range p.settled() {
			if before[number] == "" {
				p.Errorf("C.Close has returned, but a goroutine of C is left:\n%s", stack)
			}
		}
	}
	p.start("A.Send", sendAll(p.a, counters(queued-1), nil)).must()
	p.closeInTwo(p.a)
	p.closeInTwo(p.b)
}

// settled returns the goroutines of the bubble, each of which waits for something.
// Outside one it cannot know.
func (p *pair) settled() map[string]string {
	if !p.opts.Synctest {
		return nil
	}
	time.Sleep(time.Nanosecond) // passes when all others wait
	return inBubble()
}

// closeInTwo closes n in two goroutines at once, and then again.
func (p *pair) closeInTwo(n node) {
	p.Helper()
	returned := make(chan struct{}, 2)
	var closing []*step
	for range 2 {
		closing = append(closing, p.start(n.name+".Close in two goroutines", func(context.Context) error {
			defer func() { returned <- struct{}{} }()
			return n.Close()
		}))
	}
	moment := graceTime // for a slow machine
	if p.opts.Synctest {
		moment = time.Nanosecond
	}
	select {
	case <-returned:
		select {
		case <-returned:
		case <-time.After(moment):
			p.Errorf("one %s.Close has returned, and another is still at work", n.name)
		}
	case <-time.After(stepTime + graceTime): // wait tells
	}
	for _, s := range closing {
		if err := s.wait(); err != nil {
			p.Errorf("%s = %v, want nil", s.what, err)
		}
	}
	p.mustClose(n)
}

// afterClose closes a node that has, most likely, messages that it has not
// received: they are gone, as the closer does not want them.
func afterClose(p *pair) {
	p.start("A.Send", sendAll(p.a, counters(queued), nil)).must()
	var got []hub.Message
	p.start("B.Recv", recvN(p.b, &got, 1, nil)).must()
	time.Sleep(soon)
	for _, n := range []node{p.b, p.a} {
		p.mustClose(n)
		for range 3 {
			ctx, cancel := context.WithTimeout(context.Background(), stepTime)
			if m, err := p.recv(ctx, n); !errors.Is(err, hub.ErrClosed) {
				p.Errorf("%s.Recv after Close = %s, %v, want hub.ErrClosed", n.name, text(m), err)
			}
			if err := p.send(ctx, n, counter(0)); !errors.Is(err, hub.ErrClosed) {
				p.Errorf("%s.Send after Close = %v, want hub.ErrClosed", n.name, err)
			}
			cancel()
		}
	}
}

// closeDelivers closes the sender at once after its last message. The other node
// receives meanwhile, so that a bus can hand over what it has accepted.
func closeDelivers(p *pair) {
	number := 200
	if w := p.opts.Window; w > 0 {
		number = min(number, w)
	}
	msgs := counters(number)
	var got []hub.Message
	receiving := p.start("B.Recv", recvN(p.b, &got, number, nil))
	p.start("A.Send", sendAll(p.a, msgs, nil)).must()
	p.mustClose(p.a)
	if err := receiving.wait(); err != nil {
		p.Errorf("A has sent and closed; B.Recv: %v", err)
	}
	p.same(msgs, got)
}

// closeLeavesOther closes B while A waits for a message. A goes on, alone: its
// Recv waits, its Send does not hang, and it can be closed.
func closeLeavesOther(p *pair) {
	p.transfer(p.b, p.a, counters(3))
	ctx, cancel := context.WithCancel(context.Background())
	waiting := p.start("A.Recv while B closes", func(context.Context) error {
		_, err := p.a.Recv(ctx)
		return err
	})
	p.mustClose(p.b)
	time.AfterFunc(2*soon, cancel)
	switch err := waiting.wait(); {
	case p.mayEnd(err):
	case ctx.Err() == nil:
		p.Errorf("A.Recv has ended with %v because B has closed, want it to wait", err)
	default:
		p.bare("A.Recv while B closes", err, ctx)
	}
	alone := p.start("A.Send after B has closed", func(ctx context.Context) error {
		for i := range 2000 { // more than any queue holds
			if err := p.a.Send(ctx, counter(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := alone.wait(); err != nil && !p.mayEnd(err) {
		p.Errorf("A.Send after B has closed = %v, want nil", err)
	}
	p.mustClose(p.a)
}

// mayEnd reports whether err is what a node may return when the other has
// closed.
func (p *pair) mayEnd(err error) bool {
	return p.opts.PointToPoint && errors.Is(err, hub.ErrClosed)
}

// closeEndsBusyCalls closes a node in the middle of traffic in both directions.
// The race detector looks on.
func closeEndsBusyCalls(p *pair) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	var calls atomic.Int64      // on A that have succeeded
	busy := make(chan struct{}) // closed when there were many
	var over [2]endless         // of A and of B
	traffic := func(what string, n node, call func() error) *step {
		side := &over[0]
		if n == p.b {
			side = &over[1]
		}
		return p.start(n.name+"."+what+" while A closes", func(context.Context) error {
			return side.loop(func(int) error {
				err := call()
				if err == nil && n == p.a && calls.Add(1) == 2000 {
					close(busy)
				}
				return err
			})
		})
	}
	sending := func(n node) *step {
		return traffic("Send", n, func() error { return n.Send(ctx, counter(0)) })
	}
	receiving := func(n node) *step {
		return traffic("Recv", n, func() error { _, err := n.Recv(ctx); return err })
	}
	ofA := []*step{sending(p.a), sending(p.a), sending(p.a), receiving(p.a)}
	ofB := []*step{sending(p.b), receiving(p.b)}
	select {
	case <-busy:
	case <-ctx.Done():
		p.Errorf("%d calls have succeeded on A in %v, want 2000 at least", calls.Load(), stepTime)
	}
	p.mustClose(p.a)
	over[0].must.Store(true)
	for _, s := range ofA {
		s.mustBeClosed()
	}
	cancel()
	over[1].must.Store(true)
	for _, s := range ofB {
		if err := s.wait(); !p.mayEnd(err) {
			p.bare(s.what, err, ctx)
		}
	}
}

// endless runs calls until one fails. Fake time stands still while they succeed,
// so the end does not depend on time: once the calls must fail, only so many may
// still succeed. A Close that hangs in the middle of them is ended too, far off.
type endless struct{ must atomic.Bool }

func (e *endless) loop(call func(i int) error) error {
	late := 0
	for i := range 500 * flood {
		if err := call(i); err != nil {
			return err
		}
		if e.must.Load() {
			late++
		}
		if late > flood {
			break
		}
	}
	return errors.New("nil, again and again")
}

// peerCloses closes B in the middle of what it sends. What B's Send has accepted
// arrives, in order.
func peerCloses(p *pair) {
	f := p.newFlow()
	sent := 0
	var over endless
	ended, end := context.WithCancel(context.Background()) // B sends no more
	sending := p.start("B.Send while B closes", func(ctx context.Context) error {
		defer end()
		return over.loop(func(i int) error {
			if err := f.sent(ctx); err != nil {
				return err
			}
			err := p.b.Send(ctx, counter(i))
			if err == nil {
				sent++
			}
			return err
		})
	})
	var got []hub.Message
	flowing := make(chan struct{}) // closed when traffic is under way
	receiving := p.start("A.Recv while B closes", func(ctx context.Context) error {
		for len(got) < 500 || ended.Err() == nil {
			m, err := p.a.Recv(ended)
			if err != nil {
				if err == ended.Err() {
					break
				}
				return err
			}
			f.received()
			if got = append(got, m); len(got) == 500 {
				close(flowing)
			}
		}
		return recvN(p.a, &got, max(0, sent-len(got)), f)(ctx)
	})
	p.start("B sending to A", func(ctx context.Context) error {
		select {
		case <-flowing:
			return nil
		case <-ended.Done():
			return errors.New("its sends have ended")
		case <-ctx.Done():
			return fmt.Errorf("500 messages have not come: %w", ctx.Err())
		}
	}).must()
	p.mustClose(p.b)
	over.must.Store(true)
	sending.mustBeClosed()
	if err := receiving.wait(); err != nil && !p.mayEnd(err) {
		p.Errorf("A.Recv while B closes: %v", err)
	}
	// The message whose Send was interrupted may have come too: a network does
	// not always tell.
	p.same(counters(max(sent, min(len(got), sent+1))), got)
}
