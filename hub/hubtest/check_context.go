package hubtest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// doneContexts returns contexts of every kind that are done. A cause is not the
// context's error.
func doneContexts() []context.Context {
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	caused, cancelCause := context.WithCancelCause(context.Background())
	cancelCause(errors.New("the cause"))
	late, cancelLate := context.WithDeadline(context.Background(), time.Now().Add(-time.Hour))
	cancelLate()
	return []context.Context{canceled, caused, late}
}

// bare fails the test if err is not exactly the error of ctx.
func (p *pair) bare(what string, err error, ctx context.Context) {
	p.Helper()
	switch want := ctx.Err(); {
	case err == want:
	case errors.Is(err, want):
		p.Errorf("%s = %q, want the context's error bare: %q", what, err, want)
	default:
		p.Errorf("%s = %v, want the context's error: %v", what, err, want)
	}
}

func recvDone(p *pair) {
	for _, ctx := range doneContexts() {
		for _, n := range []node{p.a, p.b} {
			_, err := p.recv(ctx, n)
			p.bare(n.name+".Recv under a done context, with nothing queued,", err, ctx)
		}
	}
	p.transfer(p.a, p.b, counters(3))
}

func recvQueued(p *pair) { p.arrivalTime(counters(queued)) }

// arrivalTime sends messages and has B poll them. It cannot know when they have
// arrived, so it polls after pauses that grow. If one series of polls takes all
// of them in a row, the promise is kept: a bus that leaves it to chance would need
// luck for each message. It returns the pause that was long enough; if none was,
// that fails the test.
func (p *pair) arrivalTime(msgs []hub.Message) time.Duration {
	p.Helper()
	done := doneContexts()[0]
	for pause := time.Millisecond; pause < 2*time.Second; pause *= 2 {
		p.start("A.Send", sendAll(p.a, msgs, nil)).must()
		time.Sleep(pause)
		var got []hub.Message
		for range msgs {
			m, err := p.recv(done, p.b)
			if err != nil {
				p.bare("B.Recv under a done context", err, done)
				break
			}
			got = append(got, m)
		}
		polled := len(got)
		p.start("B.Recv", recvN(p.b, &got, len(msgs)-polled, nil)).must()
		p.same(msgs, got)
		if polled == len(msgs) || p.Failed() {
			return pause
		}
	}
	p.Errorf("B.Recv under a done context never returned %d messages in a row that were queued", len(msgs))
	return 0
}

// pollsAtTheEnd ends the bus and polls what has arrived at B meanwhile. In a
// bubble it is certain that it has: time passes when nothing is under way.
func pollsAtTheEnd(p *pair) {
	if p.opts.EndBus == nil {
		p.Skip("nothing ends this bus")
	}
	msgs := counters(queued)
	pause := p.arrivalTime(msgs)
	p.start("A.Send", sendAll(p.a, msgs, nil)).must()
	time.Sleep(max(8*pause, 5*soon))
	ending := p.start("EndBus", func(context.Context) error { p.opts.EndBus(); return nil })
	done := doneContexts()[0]
	var got []hub.Message
	p.start("B.Recv while the bus ends", func(ctx context.Context) error {
		for i := range msgs {
			if i == len(msgs)/2 {
				time.Sleep(soon) // those before are for the first moments of the end
			}
			m, err := p.b.Recv(done)
			if err == done.Err() {
				p.Errorf("B.Recv under a done context was refused while the bus ends, when %d messages were queued", len(msgs)-i)
				m, err = p.b.Recv(ctx)
			}
			if err != nil {
				p.Errorf("B.Recv while the bus ends has returned %d of %d messages that were queued, then %v", i, len(msgs), err)
				return nil
			}
			got = append(got, m)
		}
		return nil
	}).must()
	p.same(msgs, got)
	ending.must()
	p.endIsTold()
}

// endIsTold fails the test unless B has nothing but an error any more.
func (p *pair) endIsTold() {
	p.Helper()
	err := p.start("B.Recv after the end of the bus", func(ctx context.Context) error {
		m, err := p.b.Recv(ctx)
		if err == nil {
			return fmt.Errorf("message %s", text(m))
		}
		if ctx.Err() != nil {
			return errors.New("nothing")
		}
		return nil
	}).wait()
	if err != nil {
		p.Errorf("B.Recv returns %v after the end of the bus, want an error", err)
	}
}

// pollsAfterTheEnd has A send more than B can queue and ends the bus. What that
// has then given to B must come out in a row. Only in a bubble is it known when
// the bus has given all, which can be later than Send and sooner than EndBus.
func pollsAfterTheEnd(p *pair) {
	switch {
	case p.opts.EndBus == nil:
		p.Skip("nothing ends this bus")
	case !p.opts.Synctest:
		p.Skip("only a bubble tells when the bus has given all")
	case p.opts.Window != 0:
		p.Skip("this bus loses messages of a node that does not receive")
	}
	sending := p.start("A.Send while the bus ends", sendAll(p.a, counters(150), nil))
	time.Sleep(soon)
	ending := p.start("EndBus", func(context.Context) error { p.opts.EndBus(); return nil })
	time.Sleep(time.Nanosecond)
	done := doneContexts()[0]
	var got []hub.Message
	p.start("B.Recv after the end of the bus", func(ctx context.Context) error {
		for refused := false; ; {
			poll := done
			if refused {
				poll = ctx // what does come now was there before
			}
			m, err := p.b.Recv(poll)
			switch {
			case err == nil && refused:
				p.Errorf("B.Recv under a done context was refused after %d messages, though another was queued", len(got))
				refused = false
				fallthrough
			case err == nil:
				got = append(got, m)
			case err == done.Err() && !refused:
				refused = true
			default:
				return nil // the end
			}
		}
	}).must()
	if len(got) < queued {
		p.Errorf("B.Recv after the end of the bus has returned %d messages, want %d at least", len(got), queued)
	}
	p.same(counters(len(got)), got)
	ending.must()
	if err := sending.wait(); err != nil && !errors.Is(err, hub.ErrClosed) {
		p.Errorf("A.Send while the bus ends = %v, want nil or hub.ErrClosed", err)
	}
	p.endIsTold()
}

func sendDone(p *pair) {
	for range 25 {
		for _, ctx := range doneContexts() {
			p.bare("A.Send under a done context", p.send(ctx, p.a, counter(0)), ctx)
		}
		if p.Failed() {
			break
		}
	}
	p.nothingElse(p.a, p.b, "Send was under a done context")
}

// soon is long enough for a call to block. Nothing goes wrong if it does not.
const soon = 10 * time.Millisecond

func contextUnblocksRecv(p *pair) {
	for _, n := range []node{p.a, p.b} {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(soon, cancel)
		_, err := p.recv(ctx, n)
		p.bare(n.name+".Recv whose context is canceled", err, ctx)

		ctx, cancel = context.WithTimeout(context.Background(), soon)
		_, err = p.recv(ctx, n)
		p.bare(n.name+".Recv whose context's deadline passes", err, ctx)
		cancel()
	}
	bothDirections(p)
}

// flood is how many messages a node sends until its Send blocks. A bus that
// never blocks is left alone after them.
const flood = 20000

// contextUnblocksSend has a node send until its Send blocks, for nobody
// receives. What was sent arrives, and what was not does not.
func contextUnblocksSend(p *pair) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*soon)
	defer cancel()
	sent := 0
	err := p.start("A.Send until its context ends", func(context.Context) error {
		for ; sent < flood; sent++ {
			if err := p.a.Send(ctx, counter(sent)); err != nil {
				return err
			}
		}
		return nil
	}).wait()
	if err != nil {
		p.bare("A.Send whose context's deadline passes", err, ctx)
	}
	if p.opts.Window == 0 {
		var got []hub.Message
		receiving := p.start("B.Recv", recvN(p.b, &got, sent, nil))
		if err := receiving.wait(); err != nil {
			p.Errorf("B.Recv: %v", err)
		}
		p.same(counters(sent), got)
	} else {
		p.drain(p.b)
	}
	p.nothingElse(p.a, p.b, "Send has returned an error for it")
	bothDirections(p)
}

// drain receives counters until nothing comes for a while, on a bus that may
// have lost some, and may tell so by error frames.
func (p *pair) drain(n node) {
	p.Helper()
	last := -1
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 50*soon)
		m, err := p.recv(ctx, n)
		cancel()
		if err != nil {
			p.bare(n.name+".Recv", err, ctx)
			return
		}
		if m.Flags&hub.Error != 0 {
			continue
		}
		if i := count(m); !m.Equal(counter(i)) || i <= last {
			p.Errorf("%s received %s behind %s", n.name, text(m), text(counter(last)))
		} else {
			last = i
		}
	}
}

// cancelledRecv receives under contexts that are done, or are soon to be: a
// message that is just coming must be there for the next Recv.
func cancelledRecv(p *pair) {
	msgs := counters(600)
	f := p.newFlow()
	done := doneContexts()[0]
	sending := p.start("A.Send", sendAll(p.a, msgs, f))
	var got []hub.Message
	receiving := p.start("B.Recv", func(ctx context.Context) error {
		for i := 0; len(got) < len(msgs); i++ {
			m, err := recvImpatiently(ctx, p.b, done, i)
			switch {
			case err == nil:
				f.received()
				got = append(got, m)
			case err != context.Canceled && err != context.DeadlineExceeded:
				return err
			case ctx.Err() != nil:
				return fmt.Errorf("%d of %d messages received: %w", len(got), len(msgs), err)
			}
		}
		return nil
	})
	if err := receiving.wait(); err != nil {
		p.Errorf("B.Recv, often cancelled: %v", err)
	}
	p.same(msgs, got)
	sending.must()
}

func recvImpatiently(ctx context.Context, n node, done context.Context, i int) (hub.Message, error) {
	switch i % 3 {
	case 0:
		return n.Recv(done)
	case 1:
		short, cancel := context.WithTimeout(ctx, time.Duration(i%200)*time.Microsecond)
		defer cancel()
		return n.Recv(short)
	}
	return n.Recv(ctx)
}
