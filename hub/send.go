package hub

import (
	"context"
	"fmt"
	"slices"
)

// Send puts m on the channel: when it returns nil, m has its place in the order
// that all subscribers see. It does not wait for them to receive m, but while
// the channel's inbox is full it waits: a slow subscriber under [Block] slows
// the senders down.
//
// It returns the ctx's error if ctx is done, and then m was not sent;
// an error that matches [ErrInvalid] if m cannot exist on a bus;
// [ErrClosed], [ErrListenOnly] or [ErrStalled]. With an error m was not sent.
func (s *Subscriber) Send(ctx context.Context, m Message) error {
	if err := s.checkSend(ctx); err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	return s.send(ctx, envelope{span: s.channel.memory.write(&m, &s.sender)}, s.stall)
}

// SendBatch sends messages as [Subscriber.Send] does, all or none of them,
// without those of others in between. It copies msgs.
func (s *Subscriber) SendBatch(ctx context.Context, msgs []Message) error {
	if err := s.checkSend(ctx); err != nil {
		return err
	}
	if len(msgs) == 0 {
		return nil
	}
	for i := range msgs {
		if err := msgs[i].Validate(); err != nil {
			return fmt.Errorf("message %d of %d: %w", i+1, len(msgs), err)
		}
	}
	first := min(len(msgs), maxSlab)
	e := envelope{span: s.channel.memory.writeAll(msgs[:first], &s.sender)}
	if len(msgs) > first {
		e.request = &request{kind: askMore}
		for piece := range slices.Chunk(msgs[first:], maxSlab) {
			e.request.pieces = append(e.request.pieces, s.channel.memory.writeAll(piece, &s.sender))
		}
	}
	return s.send(ctx, e, s.stall)
}

// SendWait sends m and waits until every subscriber that is to have it has it
// in its queue. If the policy of some of them refused it, the error is a
// [*DeliveryError] that names them.
//
// Any other error is as for Send. If it comes while SendWait waits for the
// delivery, m was sent and may still be delivered.
func (s *Subscriber) SendWait(ctx context.Context, m Message) error {
	if err := s.checkSend(ctx); err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	r := &request{kind: askReport, reply: make(chan []string, 1)}
	if err := s.send(ctx, envelope{request: r, span: s.channel.memory.write(&m, &s.sender)}, s.stall); err != nil {
		return err
	}
	var missed []string
	select {
	case missed = <-r.reply:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stall:
		s.bell.sayStalled()
		return ErrStalled
	case <-s.quit:
		select {
		case missed = <-r.reply:
		default:
			return ErrClosed
		}
	}
	if missed != nil {
		return &DeliveryError{Missed: missed}
	}
	return nil
}

// checkSend returns why s cannot send now. It does not wait.
func (s *Subscriber) checkSend(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.isShut.Load() {
		return ErrClosed
	}
	if s.opts.ListenOnly {
		return ErrListenOnly
	}
	return nil
}

// send is the one way in for all that is sent. A token in stall ends the wait for
// room there.
func (s *Subscriber) send(ctx context.Context, e envelope, stall <-chan struct{}) error {
	n := e.count()
	if err := s.channel.send(ctx, e, s.quit, stall); err != nil {
		return err
	}
	s.sent.Add(uint64(n))
	return nil
}
