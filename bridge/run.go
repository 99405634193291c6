package bridge

import (
	"context"
	"fmt"
	"sync"

	"github.com/canhub-go/canhub/hub"
)

// A SideError tells which side ended [Run].
type SideError struct {
	Side string // "a" or "b"
	Err  error  // what its Send or Recv returned
}

// Error names the side and the cause.
func (e *SideError) Error() string { return fmt.Sprintf("bridge: side %s: %v", e.Side, e.Err) }

// Unwrap returns Err.
func (e *SideError) Unwrap() error { return e.Err }

// Run forwards messages between a and b until ctx is done, and then returns the
// ctx's error as it is, or until a side without Redial fails, and then returns a
// [*SideError]. A wrong option is an error at once. A message that a bus refuses
// with an error matching [hub.ErrInvalid] or [errors.ErrUnsupported] is counted
// as Refused and logged; every other error of Send is a failure, except
// [hub.ErrStalled].
//
// Run alone receives from a and b meanwhile; others may send. It closes neither,
// only what it dialled itself. When it returns, its goroutines have ended.
// Closing a bus is a failure of that side. Nil options are the defaults.
func Run(ctx context.Context, a, b hub.Bus, o *Options) error {
	opts, err := o.withDefaults()
	if err != nil {
		return err
	}
	toA, toB := newQueue(opts.Queue), newQueue(opts.Queue)
	sa := &side{name: "a", bus: a, opts: opts.A, all: &opts, dir: opts.AToB,
		in: toA, out: toB, received: &opts.Stats.AToB, sent: &opts.Stats.BToA}
	sb := &side{name: "b", bus: b, opts: opts.B, all: &opts, dir: opts.BToA,
		in: toB, out: toA, received: &opts.Stats.BToA, sent: &opts.Stats.AToB}
	sa.other, sb.other = opts.B.Name, opts.A.Name
	if opts.Ring != nil {
		sa.port, sb.port = opts.Ring.join(opts.A.Name), opts.Ring.join(opts.B.Name)
		defer opts.Ring.leave(sa.port)
		defer opts.Ring.leave(sb.port)
	}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, s := range []*side{sa, sb} {
		wg.Go(func() {
			if err := s.run(inner); err != nil {
				cancel(&SideError{s.name, err})
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return context.Cause(inner)
}
