// Package bus has what the buses of all transports have in common: in which order
// Send and Recv look at what has happened, and that nothing accepted is lost when
// Close comes.
package bus

import (
	"context"
	"sync"

	"github.com/canhub-go/canhub/hub"
)

// A Life is that of a bus. It ends by the bus's Close or by itself.
type Life struct {
	Quit  chan struct{} // closed by Close of the bus, once
	Ended chan struct{} // closed by who receives, its last act
	Err   error         // why it has ended; set before Ended is closed
}

// NewLife returns one that has begun.
func NewLife() Life {
	return Life{Quit: make(chan struct{}), Ended: make(chan struct{})}
}

// Over returns [hub.ErrClosed] after Close, otherwise why the bus has ended if it
// has, or nil.
func (l *Life) Over() error {
	select {
	case <-l.Quit:
		return hub.ErrClosed
	default:
	}
	select {
	case <-l.Ended:
		return l.Err
	default:
		return nil
	}
}

// Recv is the Recv of a bus whose messages come through queue: after Close it
// returns [hub.ErrClosed]; otherwise what is queued, even if ctx is done or the
// bus has ended; then the ctx's error or Err.
func Recv[T any](ctx context.Context, l *Life, queue <-chan T) (v T, err error) {
	select {
	case <-l.Quit:
		return v, hub.ErrClosed
	default:
	}
	select {
	case v = <-queue:
		return v, nil
	default:
	}
	select {
	case v = <-queue:
		return v, nil
	case <-ctx.Done():
		return v, ctx.Err()
	case <-l.Quit:
		return v, hub.ErrClosed
	case <-l.Ended:
	}
	select {
	case <-l.Quit:
		return v, hub.ErrClosed
	case v = <-queue: // it came before the end
		return v, nil
	default:
		return v, l.Err
	}
}

// An Outbox takes what Send accepts to the goroutine that writes it.
type Outbox[T any] struct {
	out   chan T        // Put sends, who writes receives; never closed
	last  chan struct{} // closed by Close: out has all that it will ever have
	sends sync.RWMutex  // held for reading by each Put; Close waits for them with it
}

// NewOutbox returns one with room for n.
func NewOutbox[T any](n int) *Outbox[T] {
	return &Outbox[T]{out: make(chan T, n), last: make(chan struct{})}
}

// Put waits for room. With an error v was not taken: the ctx's, or that of
// [Life.Over].
func (o *Outbox[T]) Put(ctx context.Context, l *Life, v T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o.sends.RLock()
	defer o.sends.RUnlock()
	if err := l.Over(); err != nil {
		return err
	}
	select {
	case o.out <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.Quit:
		return hub.ErrClosed
	case <-l.Ended:
		return l.Err
	}
}

// Next waits for what is to be written next. It returns false when the bus has
// ended, or when Close was called and everything has been taken.
func (o *Outbox[T]) Next(l *Life) (v T, ok bool) {
	select {
	case v = <-o.out:
		return v, true
	case <-l.Ended:
		return v, false
	case <-o.last:
		return o.More()
	}
}

// More is Next for what is there already.
func (o *Outbox[T]) More() (v T, ok bool) {
	select {
	case v = <-o.out:
		return v, true
	default:
		return v, false
	}
}

// Close waits for each Put that is at work, once Quit is closed. Who writes then
// gets what they left.
func (o *Outbox[T]) Close() {
	o.sends.Lock()
	close(o.last)
	o.sends.Unlock()
}
