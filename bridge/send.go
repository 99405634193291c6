package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// maxBatch bounds what is sent at once, and so what it is copied to.
const maxBatch = 256

// send sends what the other side has received, until an error. The messages that
// could not be sent stay in the queue.
func (s *side) send(ctx context.Context) error {
	alone := 0 // so many are sent one by one, for they were refused together
	refused := reporter{log: s.all.Logger, what: "bridge: message refused", side: s.name}
	defer refused.end()
	stalls := reporter{log: s.all.Logger, what: "bridge: the buses wait for each other: message dropped", side: s.name}
	defer stalls.end()
	stalled := false
	defer func() { stalls.n += s.in.setStalled(false) }()
	for {
		items, err := s.in.front(ctx)
		if err != nil {
			return err
		}
		if n := s.stale(items); n > 0 {
			s.sent.Stale.Add(uint64(n))
			s.in.drop(n)
			alone = max(0, alone-n)
			continue
		}
		if s.batches == nil || alone > 0 {
			items = items[:1]
		}
		items = items[:min(len(items), maxBatch)]
		s.expect(items)
		err = s.put(ctx, items)
		if err != nil {
			for _, n := range s.notes {
				n.revoke()
			}
		}
		switch {
		case err == nil:
			s.sent.Forwarded.Add(uint64(len(items)))
			if stalled {
				stalled = false
				stalls.n += s.in.setStalled(false)
			}
		case errors.Is(err, hub.ErrStalled):
			stalled = true
			stalls.n += s.in.setStalled(true)
			items = items[:1]
			s.sent.Stalled.Add(1)
			stalls.report(&items[0].m, err)
		case !errors.Is(err, hub.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported):
			return err
		case len(items) > 1:
			alone = len(items)
			continue
		default:
			s.sent.Refused.Add(1)
			refused.report(&items[0].m, err)
		}
		s.in.drop(len(items))
		alone = max(0, alone-len(items))
	}
}

// stale returns how many of the first items are older than LifeSpan.
func (s *side) stale(items []item) (n int) {
	if s.all.LifeSpan == 0 {
		return 0
	}
	now := time.Since(s.began)
	for n < len(items) && now-items[n].at > s.all.LifeSpan {
		n++
	}
	return n
}

// put sends all items or none.
func (s *side) put(ctx context.Context, items []item) error {
	if len(items) == 1 {
		return s.bus.Send(ctx, items[0].m)
	}
	s.batch = s.batch[:0]
	for i := range items {
		s.batch = append(s.batch, items[i].m)
	}
	return s.batches.SendBatch(ctx, s.batch)
}

// expect takes note that items will be on this bus, before they are, for others
// may receive them before put returns.
func (s *side) expect(items []item) {
	s.notes = s.notes[:0]
	for i := range items {
		it := &items[i]
		if s.port != nil {
			s.notes = s.all.Ring.expect(s.port, &it.m, it.way, s.notes)
		}
		if s.echo != nil {
			s.notes = append(s.notes, s.echo.expect(&it.m, nil))
		}
	}
}
