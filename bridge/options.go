package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// Options configure [Run]. Nil or the zero value forwards everything in both
// directions.
type Options struct {
	// A and B say how to treat the two buses.
	A, B Side
	// AToB and BToA say what is forwarded.
	AToB, BToA Direction
	// Queue is how many messages of each direction wait for the other bus,
	// beyond those that were received at one go with the latest of them, and but
	// for buses that wait for each other; see the package comment.
	// 1 to 1048576. Default: 256.
	Queue int
	// LifeSpan is how long after its receipt by the bridge a message may still
	// be sent; older ones are dropped. Timestamps do not matter, for the clocks
	// of two machines may differ. Default: 0, no limit.
	LifeSpan time.Duration
	// SeenFor is how long the bridge knows a frame that it has forwarded: an equal
	// one, from either bus, is dropped meanwhile. For rings of bridges in
	// different processes; see the package comment. Default: 0, not at all.
	SeenFor time.Duration
	// Ring is shared by bridges of one process that may form rings; both
	// sides then need a Name. Default: nil, none.
	Ring *Ring
	// HopLimit is how many bridges of the Ring a message may pass.
	// 1 to 255. Default: 16.
	HopLimit int
	// Stats is counted up while Run works, and may be read at any time. Several
	// Runs, also one after the other, may add to the same. Default: nil, not kept.
	Stats *Stats
	// Logger hears of lost and new connections, and of messages that are Refused
	// or Stalled: of those at most once a second for each direction and reason,
	// with the latest and the count since the last time. Run waits for its
	// handler. Default: nil, silent.
	Logger *slog.Logger
}

// A Side says how to treat one of the two buses.
type Side struct {
	// Name is the bus's name in the Ring, the same in all bridges on that bus.
	// Default: empty.
	Name string
	// Echo is how long after a Send began this bus may deliver it to the bridge
	// itself, not marked [hub.Own]. See the package comment. Default: 0, the bus
	// does not.
	Echo time.Duration
	// Redial connects again after a failure. Its buses are closed by Run; the
	// one given to Run is not. It must return when ctx is done. An error is logged,
	// and after a pause it is called again. Default: nil, a failure ends Run.
	Redial func(ctx context.Context) (hub.Bus, error)
	// MinPause and MaxPause bound the pause before each Redial. It starts at
	// MinPause, doubles each time, and starts over after a connection that lasted
	// MaxPause. Defaults: 100 ms and 30 s, but either is what the other is set to
	// where that leaves no room for it.
	MinPause, MaxPause time.Duration
	// Jitter is the fraction of a pause, 0 to 1, that is subtracted at random at
	// most. Default: 0, pauses are exact.
	Jitter float64
}

// A Direction says what is forwarded from one bus to the other.
type Direction struct {
	// Off forwards nothing. Messages are still received, so that the bus does
	// not wait for the bridge, and counted as Filtered. A bus that one can only
	// listen to needs it: [hub.ErrListenOnly] is a failure. Default: false.
	Off bool
	// Filters select what to forward: any match is enough. They see the message
	// as received, before Rewrite; error frames pass. Default: none, everything.
	Filters []hub.Filter
	// Rewrite returns the identifier under which to forward a message. It is
	// called for data and remote frames, not for error frames, which have no
	// identifier. A result that is no valid message is counted as Refused and
	// logged, never sent. It is called by one goroutine of Run. Default: nil,
	// identifiers stay.
	Rewrite func(id uint32, extended bool) (newID uint32, newExtended bool)
}

func (o *Options) withDefaults() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	if r.Queue == 0 {
		r.Queue = 256
	}
	if r.HopLimit == 0 {
		r.HopLimit = 16
	}
	if r.Stats == nil {
		r.Stats = new(Stats)
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	r.AToB.Filters = slices.Clone(r.AToB.Filters)
	r.BToA.Filters = slices.Clone(r.BToA.Filters)
	switch {
	case r.Queue < 0 || r.Queue > maxQueue:
		return r, fmt.Errorf("bridge: Queue %d: want 1 to %d, or 0 for 256", r.Queue, maxQueue)
	case r.HopLimit < 0 || r.HopLimit > 255:
		return r, fmt.Errorf("bridge: HopLimit %d: want 1 to 255, or 0 for 16", r.HopLimit)
	case r.LifeSpan < 0:
		return r, fmt.Errorf("bridge: LifeSpan %v: negative", r.LifeSpan)
	case r.SeenFor < 0:
		return r, fmt.Errorf("bridge: SeenFor %v: negative", r.SeenFor)
	case r.Ring != nil && (r.A.Name == "" || r.B.Name == "" || r.A.Name == r.B.Name):
		return r, fmt.Errorf("bridge: Ring with Names %q and %q: want two different ones", r.A.Name, r.B.Name)
	}
	if err := r.A.setDefaults("A"); err != nil {
		return r, err
	}
	if err := r.B.setDefaults("B"); err != nil {
		return r, err
	}
	if err := r.AToB.validate("AToB"); err != nil {
		return r, err
	}
	if err := r.BToA.validate("BToA"); err != nil {
		return r, err
	}
	return r, nil
}

const (
	defaultMinPause = 100 * time.Millisecond
	defaultMaxPause = 30 * time.Second
)

func (s *Side) setDefaults(name string) error {
	if s.MinPause == 0 {
		s.MinPause = defaultMinPause
		if s.MaxPause > 0 {
			s.MinPause = min(s.MinPause, s.MaxPause)
		}
	}
	if s.MaxPause == 0 {
		s.MaxPause = max(defaultMaxPause, s.MinPause)
	}
	switch {
	case s.Echo < 0:
		return fmt.Errorf("bridge: %s.Echo %v: negative", name, s.Echo)
	case s.MinPause < 0:
		return fmt.Errorf("bridge: %s.MinPause %v: negative", name, s.MinPause)
	case s.MaxPause < s.MinPause:
		return fmt.Errorf("bridge: %s.MaxPause %v: shorter than MinPause, %v", name, s.MaxPause, s.MinPause)
	case !(s.Jitter >= 0 && s.Jitter <= 1): // nor NaN
		return fmt.Errorf("bridge: %s.Jitter %v: want 0 to 1", name, s.Jitter)
	}
	return nil
}

func (d *Direction) validate(name string) error {
	for i, f := range d.Filters {
		if f.StandardOnly && f.ExtendedOnly {
			return fmt.Errorf("bridge: %s.Filters[%d]: StandardOnly and ExtendedOnly, which nothing matches", name, i)
		}
	}
	return nil
}
