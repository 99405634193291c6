package hubtest_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// contextDefects concern contexts.
var contextDefects = []defect{
	{"ignores the context in Recv", "A.Recv hangs",
		[]string{"RecvUnderDoneContextReturnsItsError", "ContextUnblocksRecv"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.recv = func(context.Context) (hub.Message, error) { return b.Bus.Recv(context.Background()) }
		}},
	{"wraps the context's error", "error bare",
		[]string{"RecvUnderDoneContextReturnsItsError", "ContextUnblocksRecv",
			"SendUnderDoneContextSendsNothing", "ContextUnblocksSend"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			wrap := func(err error) error {
				if err == context.Canceled || err == context.DeadlineExceeded {
					return fmt.Errorf("bus: %w", err)
				}
				return err
			}
			b.send = func(ctx context.Context, m hub.Message) error { return wrap(b.Bus.Send(ctx, m)) }
			b.recv = func(ctx context.Context) (hub.Message, error) {
				m, err := b.Bus.Recv(ctx)
				return m, wrap(err)
			}
		}},
	{"returns the cause instead of the context's error", "the cause, want",
		[]string{"RecvUnderDoneContextReturnsItsError", "SendUnderDoneContextSendsNothing"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				return b.Bus.Send(ctx, m)
			}
			b.recv = func(ctx context.Context) (hub.Message, error) {
				m, err := b.Bus.Recv(ctx)
				if err != nil && ctx.Err() != nil {
					err = context.Cause(ctx)
				}
				return m, err
			}
		}},
	{"asks the context before the queue", "in a row",
		[]string{"RecvUnderDoneContextHandsOutWhatIsQueued"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.recv = func(ctx context.Context) (hub.Message, error) {
				if err := ctx.Err(); err != nil {
					return hub.Message{}, err
				}
				return b.Bus.Recv(ctx)
			}
		}},
	{"leaves it to chance whether the queue or the context wins", "in a row",
		[]string{"RecvUnderDoneContextHandsOutWhatIsQueued"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.recv = func(ctx context.Context) (hub.Message, error) {
				if err := ctx.Err(); err != nil && rand.IntN(2) == 0 {
					return hub.Message{}, err
				}
				return b.Bus.Recv(ctx)
			}
		}},
	{"ignores a done context in Send", "A.Send",
		[]string{"SendUnderDoneContextSendsNothing", "ContextUnblocksSend"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.send = func(_ context.Context, m hub.Message) error { return b.Bus.Send(context.Background(), m) }
		}},
	{"sends under a done context now and then", "= <nil>, want the context",
		[]string{"SendUnderDoneContextSendsNothing"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if ctx.Err() != nil && rand.IntN(4) == 0 {
					return b.Bus.Send(context.Background(), m)
				}
				return b.Bus.Send(ctx, m)
			}
		}},
	{"looks at the context only at the beginning of Send", "hangs",
		[]string{"ContextUnblocksSend"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return b.Bus.Send(context.Background(), m)
			}
		}},
	{"sends what it returns an error for", "123#",
		[]string{"ContextUnblocksSend"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				err := b.Bus.Send(ctx, m)
				if err != nil && err == ctx.Err() {
					go b.Bus.Send(context.Background(), m)
				}
				return err
			}
		}},
	{"loses what comes just after a context is done", "of 600 messages received",
		[]string{"CancelledRecvLosesNothing"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.recv = func(ctx context.Context) (hub.Message, error) {
				m, err := b.Bus.Recv(ctx)
				if err == nil && ctx.Err() != nil {
					return hub.Message{}, ctx.Err()
				}
				return m, err
			}
		}},
	{"refuses polls while the bus ends", "was refused",
		[]string{"PollsWhileTheBusEndsHandOutWhatIsQueued", "PollsAfterTheBusHasEndedHandOutWhatIsQueued"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			polls := 0
			b.recv = func(ctx context.Context) (hub.Message, error) {
				if s.ended.Load() && ctx.Err() != nil {
					if polls++; polls == 5 {
						return hub.Message{}, ctx.Err()
					}
				}
				return b.Bus.Recv(ctx)
			}
		}},
	{"forgets what is queued when the bus ends", "has returned ",
		[]string{"PollsWhileTheBusEndsHandOutWhatIsQueued", "PollsAfterTheBusHasEndedHandOutWhatIsQueued"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			b.recv = func(ctx context.Context) (hub.Message, error) {
				if s.ended.Load() {
					return hub.Message{}, hub.ErrClosed
				}
				return b.Bus.Recv(ctx)
			}
		}},
	{"does not tell that the bus has ended", "returns nothing after the end",
		[]string{"PollsWhileTheBusEndsHandOutWhatIsQueued", "PollsAfterTheBusHasEndedHandOutWhatIsQueued"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			b.recv = func(ctx context.Context) (hub.Message, error) {
				m, err := b.Bus.Recv(ctx)
				if err == hub.ErrClosed {
					<-ctx.Done()
					return m, ctx.Err()
				}
				return m, err
			}
		}},
	{"returns its last message again after the end", "returns message",
		[]string{"PollsWhileTheBusEndsHandOutWhatIsQueued"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			b.recv = func(ctx context.Context) (hub.Message, error) {
				m, err := b.Bus.Recv(ctx)
				if err == hub.ErrClosed {
					return hub.Std(1), nil
				}
				return m, err
			}
		}},
}

// done returns a context that is done.
func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
