package hubtest_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// closeDefects concern Close and what is left after it.
var closeDefects = []defect{
	{"hangs in Close", "hangs",
		[]string{"CloseUnblocksRecv", "CloseMayBeCalledAgainAndAtOnce", "ASecondCloseWaitsAsTheFirstDoes", "OrderIsKept"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			b.close = func() error {
				<-s.release
				return nil
			}
		}},
	{"does not end calls in Close", "want hub.ErrClosed",
		[]string{"CloseUnblocksRecv", "CloseUnblocksSend",
			"AfterCloseAllCallsReturnErrClosed", "CloseEndsBusyCalls", "BusyNodeSurvivesThePeersClose"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) { b.close = func() error { return nil } }},
	{"refuses a second Close", "= hub: closed, want nil",
		[]string{"CloseMayBeCalledAgainAndAtOnce", "ASecondCloseWaitsAsTheFirstDoes"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			var closed atomic.Bool
			b.close = func() error {
				if closed.Swap(true) {
					return hub.ErrClosed
				}
				return b.Bus.Close()
			}
		}},
	{"hangs in a second Close", "hangs",
		[]string{"CloseMayBeCalledAgainAndAtOnce"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			var closed atomic.Bool
			b.close = func() error {
				if closed.Swap(true) {
					<-s.release
				}
				return b.Bus.Close()
			}
		}},
	{"does not wait in a second Close", "another is still at work",
		[]string{"ASecondCloseWaitsAsTheFirstDoes"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			var closed atomic.Bool
			b.close = func() error {
				if closed.Swap(true) {
					return nil
				}
				time.Sleep(10 * time.Millisecond) // a farewell
				return b.Bus.Close()
			}
		}},
	{"does not wait for a goroutine in Close", "a goroutine of C is left",
		[]string{"ASecondCloseWaitsAsTheFirstDoes"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			b.close = func() error {
				go func() {
					select {
					case <-time.After(10 * time.Millisecond):
					case <-s.release:
					}
				}()
				return b.Bus.Close()
			}
		}},
	{"returns what is queued after Close", "= 123#0000000000000001, <nil>",
		[]string{"AfterCloseAllCallsReturnErrClosed"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			b.close = func() error { return s.hub.Close() } // whose subscribers can do that
		}},
	{"returns EOF after Close", "EOF, want hub.ErrClosed",
		[]string{"AfterCloseAllCallsReturnErrClosed", "CloseUnblocksRecv"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.recv = func(ctx context.Context) (hub.Message, error) {
				m, err := b.Bus.Recv(ctx)
				if err == hub.ErrClosed {
					err = io.EOF
				}
				return m, err
			}
		}},
	{"returns an error of its own from Send after Close", "closed pipe, want hub.ErrClosed",
		[]string{"AfterCloseAllCallsReturnErrClosed", "CloseUnblocksSend", "CloseEndsBusyCalls"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				err := b.Bus.Send(ctx, m)
				if err == hub.ErrClosed {
					err = io.ErrClosedPipe
				}
				return err
			}
		}},
	{"forgets in Close what it has accepted", "messages received",
		[]string{"CloseDeliversWhatWasSent", "BusyNodeSurvivesThePeersClose"}, hubtest.BusOptions{},
		buffered(false)},
	{"closes the other node too", "because B has closed",
		[]string{"CloseLeavesTheOtherNodeAlone"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) { b.close = func() error { return s.hub.Close() } }},
	{"hangs in Send when it is alone", "A.Send after B has closed hangs",
		[]string{"CloseLeavesTheOtherNodeAlone"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if c := s.hub.Channels(); len(c) == 1 && c[0].Subscribers == 1 {
					<-s.release
				}
				return b.Bus.Send(ctx, m)
			}
		}},
	{"cannot send when it is alone", "nobody listens",
		[]string{"CloseLeavesTheOtherNodeAlone"}, hubtest.BusOptions{PointToPoint: true},
		func(b *broken, s surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if c := s.hub.Channels(); len(c) == 1 && c[0].Subscribers == 1 {
					return errors.New("nobody listens")
				}
				return b.Bus.Send(ctx, m)
			}
		}},
	{"leaves a goroutine behind", "left goroutines behind",
		[]string{"BothDirectionsCarryMessages", "CloseUnblocksRecv"}, hubtest.BusOptions{},
		func(_ *broken, s surrounding) { go func() { <-s.release }() }},
}

// buffered returns a bus that sends from a buffer, as a transport with a writer
// goroutine does. If it does not flush the buffer in Close, it is a defect.
func buffered(flush bool) func(b *broken, s surrounding) {
	return func(b *broken, _ surrounding) {
		var (
			buffer = make(chan hub.Message, 64)
			quit   = make(chan struct{}) // closed by Close: senders give up
			rest   = make(chan struct{}) // closed by Close: they all have
			done   = make(chan struct{}) // closed by the writer
			once   sync.Once
		)
		ctx, giveUp := context.WithCancel(context.Background())
		go func() {
			defer close(done)
			for {
				select {
				case m := <-buffer:
					time.Sleep(10 * time.Microsecond) // the network
					b.Bus.Send(ctx, m)
				case <-rest:
					for flush && len(buffer) > 0 {
						b.Bus.Send(ctx, <-buffer)
					}
					return
				}
			}
		}()
		var sending sync.RWMutex // held by senders
		b.send = func(ctx context.Context, m hub.Message) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := m.Validate(); err != nil {
				return err
			}
			sending.RLock()
			defer sending.RUnlock()
			select {
			case <-quit:
				return hub.ErrClosed
			default:
			}
			select {
			case buffer <- m:
				return nil
			case <-quit:
				return hub.ErrClosed
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		b.close = func() error {
			defer giveUp()
			once.Do(func() {
				close(quit)
				time.AfterFunc(time.Second, giveUp) // nobody may be receiving
				sending.Lock()
				close(rest)
				sending.Unlock()
			})
			<-done
			return b.Bus.Close()
		}
	}
}
