package bridge

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A side is one of the two buses while Run works. Per connection it has two
// goroutines, one that receives and one that sends.
type side struct {
	name  string
	bus   hub.Bus
	opts  Side
	all   *Options
	dir   Direction // from here to the other
	other string    // name of the other bus in the Ring
	in    *queue    // messages for this side
	out   *queue    // for the other one

	received, sent *Counts
	port           *memory // in the Ring, or nil
	held           *item   // received, waits for room; the receiver's alone

	mu   sync.Mutex // of echo, never held across a wait
	echo memory
}

// run returns nil when ctx is done, or the error that this side failed with.
func (s *side) run(ctx context.Context) error {
	pause, dialled := s.opts.MinPause, false
	for {
		began := time.Now()
		err := s.connected(ctx)
		if dialled {
			s.bus.Close()
		}
		if ctx.Err() != nil {
			return nil
		}
		if s.opts.Redial == nil {
			return err
		}
		s.all.Logger.Warn("bridge: connection lost", "side", s.name, "err", err)
		s.in.setAway(true)
		if time.Since(began) >= s.opts.MaxPause {
			pause = s.opts.MinPause
		}
		for {
			wait := pause - time.Duration(s.opts.Jitter*rand.Float64()*float64(pause))
			pause = min(2*pause, s.opts.MaxPause)
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return nil
			}
			bus, err := s.opts.Redial(ctx)
			if err == nil {
				s.bus, dialled = bus, true
				break
			}
			s.all.Logger.Warn("bridge: redial", "side", s.name, "err", err)
		}
		s.in.setAway(false)
		s.all.Logger.Info("bridge: connected again", "side", s.name)
	}
}

// connected works until the bus fails or ctx is done, and returns why.
func (s *side) connected(ctx context.Context) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(s.receive(inner)) })
	wg.Go(func() { cancel(s.send(inner)) })
	wg.Wait()
	return context.Cause(inner)
}

func (s *side) receive(ctx context.Context) error {
	for {
		if s.held != nil {
			dropped, err := s.out.push(ctx, *s.held)
			s.received.Overflow.Add(dropped)
			if err != nil {
				return err
			}
			s.held = nil
		}
		if err := ctx.Err(); err != nil {
			return err // Recv would go on with what is queued
		}
		m, err := s.bus.Recv(ctx)
		if err != nil {
			return err
		}
		s.received.Received.Add(1)
		s.held = s.judge(m)
	}
}

// judge returns what is to be forwarded for m, or nil.
func (s *side) judge(m hub.Message) *item {
	if m.Flags&hub.Own != 0 || s.isEcho(m) {
		s.received.Looped.Add(1)
		return nil
	}
	it := &item{at: time.Now()}
	if s.port != nil {
		it.way = append(slices.Clone(s.all.Ring.arrived(s.port, m)), s.opts.Name)
		if len(it.way) > s.all.HopLimit || slices.Contains(it.way, s.other) {
			s.received.Looped.Add(1)
			return nil
		}
	}
	match := func(f hub.Filter) bool { return f.Match(m) }
	if s.dir.Off || len(s.dir.Filters) > 0 && m.Flags&hub.Error == 0 && !slices.ContainsFunc(s.dir.Filters, match) {
		s.received.Filtered.Add(1)
		return nil
	}
	if s.dir.Rewrite != nil && m.Flags&hub.Error == 0 {
		id, extended := s.dir.Rewrite(m.ID, m.Flags&hub.Extended != 0)
		m.ID, m.Flags = id, m.Flags&^hub.Extended
		if extended {
			m.Flags |= hub.Extended
		}
		if err := m.Validate(); err != nil {
			s.received.Refused.Add(1)
			s.all.Logger.Warn("bridge: rewritten message refused", "side", s.name, "err", err)
			return nil
		}
	}
	it.m = m
	return it
}

func (s *side) isEcho(m hub.Message) bool {
	if s.opts.Echo == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.echo.take(m) != nil
}

func (s *side) send(ctx context.Context) error {
	for {
		it, err := s.in.first(ctx)
		if err != nil {
			return err
		}
		if s.all.LifeSpan > 0 && time.Since(it.at) > s.all.LifeSpan {
			s.sent.Stale.Add(1)
			s.in.drop()
			continue
		}
		revoke := s.expect(it)
		err = s.bus.Send(ctx, it.m)
		switch {
		case err == nil:
			s.sent.Forwarded.Add(1)
			s.in.drop()
			continue
		case errors.Is(err, hub.ErrInvalid), errors.Is(err, errors.ErrUnsupported):
			s.sent.Refused.Add(1)
		case errors.Is(err, hub.ErrStalled):
			s.sent.Stalled.Add(1)
		default:
			revoke()
			return err // the message stays first
		}
		revoke()
		s.in.drop()
		s.all.Logger.Warn("bridge: message refused", "side", s.name, "message", it.m, "err", err)
	}
}

// expect takes note that it will be on this bus, before it is, for others may
// receive it before Send returns.
func (s *side) expect(it item) (revoke func()) {
	revoke = func() {}
	if s.port != nil {
		revoke = s.all.Ring.expect(s.port, it.m, it.way)
	}
	if s.opts.Echo == 0 {
		return revoke
	}
	s.mu.Lock()
	n := s.echo.add(it.m, nil, s.opts.Echo)
	s.mu.Unlock()
	ring := revoke
	return func() {
		ring()
		s.mu.Lock()
		s.echo.remove(it.m, n)
		s.mu.Unlock()
	}
}
