package bridge

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

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
// What was received before a side failed is still sent to the other, unless that
// one fails too or takes nothing for 5 seconds: so the end of a log arrives. When
// ctx is done nothing more is sent.
//
// Run alone receives from a and b meanwhile; others may send. It closes neither,
// only what it dialled itself. When it returns, its goroutines have ended.
// Closing a bus is a failure of that side. Nil options are the defaults.
func Run(ctx context.Context, a, b hub.Bus, o *Options) error {
	opts, err := o.withDefaults()
	if err != nil {
		return err
	}
	st := opts.Stats
	queues, nameA, nameB := new(mesh), "a", "b"
	if opts.Ring != nil {
		queues, nameA, nameB = &opts.Ring.queues, opts.A.Name, opts.B.Name
	}
	toA, toB := queues.join(nameA, nameB, opts.Queue, &st.BToA, &st.AToB)
	defer toA.leave()
	var seen *memory
	if opts.SeenFor > 0 {
		seen = &memory{keep: opts.SeenFor}
	}
	began := time.Now()
	sa := &side{name: "a", bus: a, opts: opts.A, other: opts.B.Name, all: &opts, dir: opts.AToB,
		in: toA, out: toB, seen: seen, began: began, received: &st.AToB, sent: &st.BToA}
	sb := &side{name: "b", bus: b, opts: opts.B, other: opts.A.Name, all: &opts, dir: opts.BToA,
		in: toB, out: toA, seen: seen, began: began, received: &st.BToA, sent: &st.AToB}
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var failed atomic.Pointer[SideError] // the first one
	for _, s := range []*side{sa, sb} {
		wg.Go(func() {
			if err := s.run(inner); err != nil {
				failed.CompareAndSwap(nil, &SideError{s.name, err})
				s.in.setAway()
				s.out.finish(inner, s.held)
				cancel(failed.Load())
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return context.Cause(inner)
}
