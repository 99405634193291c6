package bridge

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

var errNoBus = errors.New("bridge: Redial returned neither a bus nor an error")

// A side is one of the two buses while Run works. Per connection it has two
// goroutines, one that receives and one that sends.
type side struct {
	name  string
	opts  Side
	all   *Options
	dir   Direction // from here to the other
	other string    // name of the other bus in the Ring
	in    *queue    // messages for this side
	out   *queue    // for the other one
	seen  *memory   // of what came from both sides, for SeenFor; or nil
	began time.Time // Run did

	received, sent *Counts

	// Of the connection; see connected.
	bus     hub.Bus
	batches *hub.Subscriber // the same, or nil. No interface: a type that embeds
	// a Subscriber to change its Send or Recv has the batch forms too, unchanged.
	port *memory // in the Ring, or nil
	echo *memory // of what was sent, or nil

	// Of the goroutine that receives.
	one     [1]hub.Message
	held    []item // received, waits for room; a new connection goes on with it
	space   []item // that held lies in
	refused reporter

	// Of the one that sends.
	notes []*note // for what is being sent
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
		s.in.setAway()
		if time.Since(began) >= s.opts.MaxPause {
			pause = s.opts.MinPause
		}
		for {
			wait := pause - time.Duration(s.opts.Jitter*rand.Float64()*float64(pause))
			pause += min(pause, s.opts.MaxPause-pause)
			t := time.NewTimer(wait)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return nil
			}
			bus, err := s.opts.Redial(ctx)
			if bus == nil && err == nil {
				err = errNoBus
			}
			if err == nil {
				s.bus, dialled = bus, true
				break
			}
			s.all.Logger.Warn("bridge: redial", "side", s.name, "err", err)
		}
		s.all.Logger.Info("bridge: connected again", "side", s.name)
	}
}

// connected works until the bus fails or ctx is done, and returns why. What an
// earlier connection expected to receive will not come on this one.
func (s *side) connected(ctx context.Context) error {
	s.batches, _ = s.bus.(*hub.Subscriber)
	s.in.setConnected(s.batches != nil)
	if s.opts.Echo > 0 {
		s.echo = &memory{keep: s.opts.Echo}
	}
	if s.all.Ring != nil {
		s.port = s.all.Ring.join(s.opts.Name)
		defer s.all.Ring.leave(s.port)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(s.receive(inner)) })
	wg.Go(func() { cancel(s.send(inner)) })
	wg.Wait()
	return context.Cause(inner)
}
