package bus

import (
	"context"
	"math"
	"sync/atomic"

	"github.com/canhub-go/canhub/hub"
)

// An Outbox takes what Send accepts to the goroutine that writes it.
type Outbox[T any] struct {
	out  chan T // Put sends, who writes receives; never closed
	puts gate   // each Put is inside; shut by Close
}

// NewOutbox returns one with room for n.
func NewOutbox[T any](n int) *Outbox[T] {
	return &Outbox[T]{out: make(chan T, n), puts: gate{empty: make(chan struct{})}}
}

// Put waits for room. With nil v is on its way: it is written, or the bus ends
// later, with an error that says so. The error is that of ctx or of [Life.Over];
// v was not taken then, unless the bus has ended meanwhile: it may have been
// the last that was written.
func (o *Outbox[T]) Put(ctx context.Context, l *Life, v T) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !o.puts.enter() {
		return hub.ErrClosed
	}
	defer o.puts.leave()
	if err := l.Over(); err != nil {
		return err
	}
	select {
	case o.out <- v:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closing:
		return hub.ErrClosed
	case <-l.ended:
		return l.Err()
	}
	// There was room, but perhaps nobody any more who writes. To ask for the end
	// alone is right: with Close alone v is still written.
	return l.Err()
}

// Next waits for what is to be written next. It returns false when the bus has
// ended, or when Close was called and everything has been taken.
func (o *Outbox[T]) Next(l *Life) (v T, ok bool) {
	select {
	case v = <-o.out:
		return v, true
	case <-l.ended:
		return v, false
	case <-o.puts.empty:
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

// Close waits for each Put that is at work; [Life.Closing] ends those that wait.
// Who writes then gets what they left. It may be called again.
func (o *Outbox[T]) Close() { o.puts.shut() }

// A gate counts who is inside and lets nobody in once it is shut. It is that of
// package hub, which exports nothing for the sake of transports. A WaitGroup
// cannot refuse entry, and who waits for a mutex does not hear of the end of a ctx
// and is not at rest in a bubble of package synctest.
type gate struct {
	state atomic.Int64  // how many are inside; shutBit is set once it is shut
	empty chan struct{} // closed when it is shut and nobody is inside, by the last
}

const shutBit = math.MinInt64

// enter reports whether the gate was open. Who entered must leave.
func (g *gate) enter() bool {
	for {
		n := g.state.Load()
		if n&shutBit != 0 {
			return false
		}
		if g.state.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (g *gate) leave() {
	if g.state.Add(-1) == shutBit {
		close(g.empty)
	}
}

// shut waits until everybody has left.
func (g *gate) shut() {
	if g.state.Or(shutBit) == 0 {
		close(g.empty)
	}
	<-g.empty
}
