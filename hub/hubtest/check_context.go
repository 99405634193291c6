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

// recvQueued cannot know when messages have arrived, so it polls after pauses
// that grow. If one series of polls takes all of them in a row, the promise is
// kept: a bus that leaves it to chance would need luck for each message.
func recvQueued(p *pair) {
	done := doneContexts()[0]
	msgs := counters(queued)
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
			return
		}
	}
	p.Errorf("B.Recv under a done context never returned %d messages in a row that were queued", len(msgs))
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
