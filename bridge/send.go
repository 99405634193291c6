package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// send sends what the other side has received, until an error. The messages that
// could not be sent stay in the queue.
func (s *side) send(ctx context.Context) error {
	alone := 0 // so many are sent one by one, for they were refused together
	refused := reporter{log: s.all.Logger, what: "bridge: message refused", side: s.name}
	defer refused.end()
	stalls := reporter{log: s.all.Logger, what: "bridge: the buses wait for each other: message dropped", side: s.name}
	defer stalls.end()
	stalled := false // the last one was, and is sent again
	for {
		msgs, abouts, err := s.in.front(ctx)
		if err != nil {
			return err
		}
		if n := s.stale(abouts); n > 0 {
			s.sent.Stale.Add(uint64(n))
			s.in.drop(n)
			alone = max(0, alone-n)
			continue
		}
		if s.batches == nil || alone > 0 {
			msgs = msgs[:1]
		}
		n := len(msgs)
		s.expect(msgs, abouts)
		if n == 1 {
			err = s.bus.Send(ctx, msgs[0])
		} else {
			err = s.batches.SendBatch(ctx, msgs)
		}
		if err != nil {
			for _, n := range s.notes {
				n.revoke()
			}
		}
		switch {
		case err == nil:
			s.sent.Forwarded.Add(uint64(n))
			stalled = false
		case errors.Is(err, hub.ErrStalled):
			if n = min(n, s.in.stalled(stalled)); n == 0 {
				stalled = true
				continue
			}
			stalled = false
			s.sent.Stalled.Add(uint64(n))
			stalls.report(&msgs[0], n, err)
		case !errors.Is(err, hub.ErrInvalid) && !errors.Is(err, errors.ErrUnsupported):
			return err
		case n > 1:
			alone = n
			continue
		default:
			s.sent.Refused.Add(1)
			refused.report(&msgs[0], 1, err)
		}
		s.in.drop(n)
		alone = max(0, alone-n)
	}
}

// stale returns how many of the first messages are older than LifeSpan.
func (s *side) stale(abouts []about) (n int) {
	if s.all.LifeSpan == 0 {
		return 0
	}
	now := time.Since(s.began)
	for n < len(abouts) && now-abouts[n].at > s.all.LifeSpan {
		n++
	}
	return n
}

// expect takes note that messages will be on this bus, before they are, for
// others may receive them before the send returns.
func (s *side) expect(msgs []hub.Message, abouts []about) {
	s.notes = s.notes[:0]
	for i := range msgs {
		if s.port != nil {
			s.notes = s.all.Ring.expect(s.port, &msgs[i], abouts[i].way, s.notes)
		}
		if s.echo != nil {
			s.notes = append(s.notes, s.echo.expect(&msgs[i], nil))
		}
	}
}
