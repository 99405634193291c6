// Package bus has what the buses of all transports have in common: in which order
// Send and Recv look at what has happened, and that nothing accepted is lost when
// Close comes.
package bus

import (
	"cmp"
	"context"
	"sync/atomic"

	"github.com/canhub-go/canhub/hub"
)

// A Life is that of a bus. It ends by the bus's Close or by itself.
type Life struct {
	closing chan struct{} // closed by the first Close, its first act
	closed  chan struct{} // closed by the first Close, its last act
	ended   chan struct{} // closed by the first End

	closes atomic.Bool           // there was a Close; a sync.Once makes the others wait for a mutex
	reason atomic.Pointer[error] // why it has ended; set by the first End before it closes ended
}

// NewLife returns one that has begun.
func NewLife() *Life {
	return &Life{
		closing: make(chan struct{}),
		closed:  make(chan struct{}),
		ended:   make(chan struct{}),
	}
}

// Close is the Close of a bus: the first call begins [Life.Closing] and runs
// leave, which has the bus end. Every call returns when leave has returned and
// the bus has ended.
func (l *Life) Close(leave func()) {
	if l.closes.CompareAndSwap(false, true) {
		close(l.closing)
		leave()
		close(l.closed)
	}
	<-l.closed
	<-l.ended
}

// End says that the bus has ended, and why; nil is [hub.ErrClosed]. The last act
// of who receives calls it, or whoever finds the end. Only the first call has an
// effect: it is reported.
func (l *Life) End(err error) (first bool) {
	err = cmp.Or(err, hub.ErrClosed)
	if !l.reason.CompareAndSwap(nil, &err) {
		return false
	}
	close(l.ended)
	return true
}

// Closing is closed when Close is called.
func (l *Life) Closing() <-chan struct{} { return l.closing }

// Ended is closed when the bus has ended.
func (l *Life) Ended() <-chan struct{} { return l.ended }

// Err returns why the bus has ended, or nil as long as it has not.
func (l *Life) Err() error {
	if err := l.reason.Load(); err != nil {
		return *err
	}
	return nil
}

// Over returns [hub.ErrClosed] after Close, otherwise why the bus has ended if it
// has, or nil.
func (l *Life) Over() error {
	select {
	case <-l.closing:
		return hub.ErrClosed
	default:
		return l.Err()
	}
}

// Recv is the Recv of a bus whose messages come through queue: after Close it
// returns [hub.ErrClosed]; otherwise what is queued, even if ctx is done or the
// bus has ended; then the ctx's error or Err.
func Recv[T any](ctx context.Context, l *Life, queue <-chan T) (v T, err error) {
	select {
	case <-l.closing:
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
	case <-l.closing:
		return v, hub.ErrClosed
	case <-l.ended:
	}
	select {
	case <-l.closing:
		return v, hub.ErrClosed
	case v = <-queue: // it came before the end
		return v, nil
	default:
		return v, l.Err()
	}
}
