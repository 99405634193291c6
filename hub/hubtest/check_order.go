package hubtest

import (
	"context"
	"fmt"

	"github.com/canhub-go/canhub/hub"
)

func orderIsKept(p *pair) {
	p.transfer(p.a, p.b, counters(5000))
	p.nothingElse(p.a, p.b, "all has been received")
	p.transfer(p.b, p.a, counters(1000))
}

const (
	senders   = 8 // goroutines on each node
	perSender = 300
)

// manySenders has several goroutines of both nodes send while both receive, and
// so is also ground for the race detector.
func manySenders(p *pair) {
	var sending []*step
	var receiving []*step
	var got [2][]hub.Message
	for side, ends := range [][2]node{{p.a, p.b}, {p.b, p.a}} {
		from, to := ends[0], ends[1]
		f := p.newFlow()
		for s := range senders {
			msgs := counters(perSender)
			for i := range msgs {
				msgs[i].ID = uint32(s)
			}
			sending = append(sending, p.start(from.name+".Send", sendAll(from, msgs, f)))
		}
		receiving = append(receiving, p.start(to.name+".Recv", recvN(to, &got[side], senders*perSender, f)))
	}
	for _, s := range receiving {
		if err := s.wait(); err != nil {
			p.Errorf("%s: %v", s.what, err)
		}
	}
	for side := range got {
		var next [senders]int
		for i, m := range got[side] {
			if m.ID >= senders || count(m) != next[m.ID] {
				p.Errorf("%s: message %d is %s, which is not the next of any sender", receiving[side].what, i+1, text(m))
				break
			}
			next[m.ID]++
		}
	}
	for _, s := range sending {
		s.must()
	}
}

// receiveLoops sends each message on from a loop that receives: nobody needs a
// goroutine more to answer.
func receiveLoops(p *pair) {
	const rounds = 500
	loop := p.start("answering in B", func(ctx context.Context) error {
		for range rounds {
			m, err := p.b.Recv(ctx)
			if err != nil {
				return err
			}
			m.ID++
			if err := p.b.Send(ctx, m); err != nil {
				return err
			}
		}
		return nil
	})
	p.start("asking in A", func(ctx context.Context) error {
		for i := range rounds {
			if err := p.a.Send(ctx, counter(i)); err != nil {
				return err
			}
			m, err := p.a.Recv(ctx)
			if err != nil {
				return fmt.Errorf("answer %d of %d: %w", i+1, rounds, err)
			}
			want := counter(i)
			want.ID++
			if !m.Equal(want) {
				return fmt.Errorf("answer %d is %s, want %s", i+1, text(m), text(want))
			}
		}
		return nil
	}).must()
	loop.must()
}

// sendInTurn has A and B send in turn, each after the other's Send has returned,
// and looks at what two others receive. A and B receive as well: one that does
// not may stop the bus.
func sendInTurn(p *pair) {
	switch {
	case p.opts.OrdersItself:
		p.Skip("this bus orders the messages of different nodes itself")
	case p.opts.Join == nil:
		p.Skip("this bus has no third node")
	}
	c, d := p.join("C"), p.join("D")
	for range 50 {
		msgs := counters(queued)
		var ofA, ofB []hub.Message
		for i, m := range msgs {
			if i%2 == 0 {
				ofA = append(ofA, m)
			} else {
				ofB = append(ofB, m)
			}
		}
		p.start("A.Send and B.Send in turn", func(ctx context.Context) error {
			for i := range ofA {
				if err := p.a.Send(ctx, ofA[i]); err != nil {
					return fmt.Errorf("by A: %w", err)
				}
				if err := p.b.Send(ctx, ofB[i]); err != nil {
					return fmt.Errorf("by B: %w", err)
				}
			}
			return nil
		}).must()
		for _, r := range []struct {
			node
			want []hub.Message
		}{{c, msgs}, {d, msgs}, {p.a, ofB}, {p.b, ofA}} {
			var got []hub.Message
			if err := p.start(r.name+".Recv", recvN(r.node, &got, len(r.want), nil)).wait(); err != nil {
				p.Errorf("%s.Recv: %v", r.name, err)
			}
			p.same(r.want, got)
		}
		if p.Failed() {
			return
		}
	}
}
