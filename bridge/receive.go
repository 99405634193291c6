package bridge

import (
	"context"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// receive hands what the bus delivers on to the other side, until an error.
func (s *side) receive(ctx context.Context) error {
	s.refused = reporter{log: s.all.Logger, what: "bridge: rewritten message refused", side: s.name}
	defer s.refused.end()
	for {
		s.held = s.out.push(ctx, s.held)
		if err := ctx.Err(); err != nil { // a receive would go on with what is queued
			return err
		}
		batch, err := s.next(ctx)
		if err != nil {
			return err
		}
		s.received.Received.Add(uint64(len(batch)))
		var at time.Duration
		if s.all.LifeSpan > 0 {
			at = time.Since(s.began)
		}
		s.held = s.space[:0]
		for i := range batch {
			s.held = append(s.held, item{batch[i], about{at: at}})
			if !s.judge(&s.held[len(s.held)-1]) {
				s.held = s.held[:len(s.held)-1]
			}
		}
		s.space = s.held
	}
}

// next returns one message, or more where that is cheaper. They are valid until
// the next call.
func (s *side) next(ctx context.Context) ([]hub.Message, error) {
	if s.batches != nil {
		return s.batches.RecvBatch(ctx)
	}
	var err error
	s.one[0], err = s.bus.Recv(ctx)
	return s.one[:], err
}

// judge makes of a message what is to be forwarded, or counts it as something
// else and returns false.
func (s *side) judge(it *item) bool {
	m := &it.m
	if m.Flags&hub.Own != 0 {
		s.received.Looped.Add(1)
		return false
	}
	if s.echo != nil {
		if _, ok := s.echo.take(m); ok {
			s.received.Looped.Add(1)
			return false
		}
	}
	if s.port != nil {
		it.way = s.all.Ring.arrived(s.port, m)
		if it.way.buses > s.all.HopLimit || it.way.leadsTo(s.other) {
			s.received.Looped.Add(1)
			return false
		}
	}
	if s.dir.Off || !bus.Passes(s.dir.Filters, m) {
		s.received.Filtered.Add(1)
		return false
	}
	if s.seen != nil && !s.seen.isNew(m) {
		s.received.Looped.Add(1)
		return false
	}
	if s.dir.Rewrite == nil || m.Flags&hub.Error != 0 {
		return true
	}
	id, extended := s.dir.Rewrite(m.ID, m.Flags&hub.Extended != 0)
	m.ID, m.Flags = id, m.Flags&^hub.Extended
	if extended {
		m.Flags |= hub.Extended
	}
	if err := m.Validate(); err != nil {
		s.received.Refused.Add(1)
		s.refused.report(m, 1, err)
		return false
	}
	if s.seen != nil {
		s.seen.expect(m, nil) // it may come around as it is now
	}
	return true
}
