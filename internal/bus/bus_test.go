package bus_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errLost = errors.New("lost")

// A life is one of which a test can begin the close without waiting for its end.
type life struct {
	*bus.Life
	t testing.TB
}

func begin(t testing.TB) life {
	l := life{bus.NewLife(), t}
	t.Cleanup(func() { l.End(nil) }) // for the Close of quit
	return l
}

// quit returns when the life is closing.
func (l life) quit() {
	closed := make(chan struct{})
	go func() {
		l.Close(func() {})
		close(closed)
	}()
	l.t.Cleanup(func() {
		l.End(nil)
		<-closed
	})
	<-l.Closing()
}

// bubble runs f in a bubble. Who waits for a mutex there stops its clock, so what
// hangs is found outside, in real time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	late := time.AfterFunc(8*time.Second, func() {
		panic(t.Name() + ": a goroutine of the bubble hangs in a way that is not durable, such as a mutex")
	})
	defer late.Stop()
	synctest.Test(t, f)
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func late() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 0)
	cancel()
	return ctx
}

// A hook is a context that does something at the last moment: when a call asks
// for Done, it has looked at everything and is about to wait.
type hook struct {
	context.Context
	at func()
}

func (h hook) Done() <-chan struct{} {
	h.at()
	return h.Context.Done()
}

// often is enough for a select with two ready cases to have taken both.
const often = 100

func TestCloseLeavesOnceAndEachCallWaitsForTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := bus.NewLife()
		start := time.Now()
		left := 0
		done := make(chan time.Duration, 3)
		closeIt := func() {
			l.Close(func() {
				select {
				case <-l.Closing():
				default:
					t.Error("leave runs before Closing is closed")
				}
				left++
				time.Sleep(time.Second)
			})
			done <- time.Since(start)
		}
		go closeIt()
		synctest.Wait()
		go closeIt()
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if len(done) > 0 {
			t.Error("Close has returned, but the bus has not ended")
		}
		l.End(errLost)
		go closeIt()
		for range 3 {
			if d := <-done; d != 2*time.Second {
				t.Errorf("a Close has returned after %v, want 2s", d)
			}
		}
		if left != 1 {
			t.Errorf("leave has run %d times, want once", left)
		}
	})
}

func TestEachCloseWaitsForLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := bus.NewLife()
		l.End(errLost)
		start := time.Now()
		done := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				l.Close(func() { time.Sleep(time.Second) })
				done <- time.Since(start)
			}()
		}
		for range 2 {
			if d := <-done; d != time.Second {
				t.Errorf("a Close has returned after %v, want 1s", d)
			}
		}
	})
}

func TestTheFirstReasonForTheEndStands(t *testing.T) {
	for _, first := range []error{errLost, nil} {
		l := bus.NewLife()
		if err := l.Err(); err != nil {
			t.Errorf("Err = %v before the end, want nil", err)
		}
		if !l.End(first) {
			t.Error("the first End reports that it was not")
		}
		if l.End(errors.New("another")) {
			t.Error("the second End reports that it was the first")
		}
		want := first
		if first == nil {
			want = hub.ErrClosed
		}
		if err := l.Err(); err != want {
			t.Errorf("Err = %v, want %v", err, want)
		}
		select {
		case <-l.Ended():
		default:
			t.Error("Ended is not closed after End")
		}
		if err := l.Over(); err != want {
			t.Errorf("Over = %v, want %v", err, want)
		}
	}
}

func TestAfterEndErrTellsWhoeverWasFirst(t *testing.T) {
	for range 20_000 {
		l := bus.NewLife()
		var ready atomic.Int32
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				ready.Add(1)
				for ready.Load() < 2 { // so that both are at it at once
					runtime.Gosched()
				}
				l.End(errLost)
				errs <- l.Err()
			}()
		}
		for range 2 {
			if err := <-errs; err != errLost {
				t.Fatalf("Err = %v after End, want %v", err, errLost)
			}
		}
	}
}

func TestOverIsErrClosedAfterCloseWhateverHasEndedTheBus(t *testing.T) {
	l := begin(t)
	if err := l.Over(); err != nil {
		t.Errorf("Over = %v at the beginning, want nil", err)
	}
	l.quit()
	if err := l.Over(); err != hub.ErrClosed {
		t.Errorf("Over = %v while Close runs, want hub.ErrClosed", err)
	}
	l.End(errLost)
	if err := l.Over(); err != hub.ErrClosed {
		t.Errorf("Over = %v after the end, want hub.ErrClosed", err)
	}
}

func TestRecvHandsOutWhatIsQueuedUnlessTheBusIsClosed(t *testing.T) {
	for _, tt := range []struct {
		name              string
		ctx               context.Context
		closed, ended     bool
		first, afterwards error
	}{
		{"alive", context.Background(), false, false, nil, nil},
		{"ctx done", canceled(), false, false, nil, context.Canceled},
		{"ctx's time is over", late(), false, false, nil, context.DeadlineExceeded},
		{"ended", context.Background(), false, true, nil, errLost},
		{"closed", context.Background(), true, false, hub.ErrClosed, hub.ErrClosed},
		{"closed and ended", context.Background(), true, true, hub.ErrClosed, hub.ErrClosed},
	} {
		for range often {
			l := begin(t)
			queue := make(chan int, 2)
			queue <- 7
			if tt.closed {
				l.quit()
			}
			if tt.ended {
				l.End(errLost)
			}
			if v, err := bus.Recv(tt.ctx, l.Life, queue); err != tt.first || err == nil && v != 7 {
				t.Fatalf("%s: %d, %v; want 7 or %v", tt.name, v, err, tt.first)
			}
			if tt.afterwards == nil {
				continue
			}
			if v, err := bus.Recv(tt.ctx, l.Life, queue); err != tt.afterwards {
				t.Fatalf("%s, nothing queued: %d, %v; want %v", tt.name, v, err, tt.afterwards)
			}
		}
	}
}

func TestRecvReturnsWhatCameAtTheVeryEnd(t *testing.T) {
	for range often {
		l := begin(t)
		queue := make(chan int, 1)
		v, err := bus.Recv(hook{context.Background(), func() {
			queue <- 7
			l.End(errLost)
		}}, l.Life, queue)
		if v != 7 || err != nil {
			t.Fatalf("%d, %v; want 7: it came before the end", v, err)
		}
	}
}

func TestRecvIsClosedWhenCloseAndTheEndComeAtOnce(t *testing.T) {
	for range often {
		l := begin(t)
		_, err := bus.Recv(hook{context.Background(), func() {
			l.quit()
			l.End(errLost)
		}}, l.Life, make(chan int))
		if err != hub.ErrClosed {
			t.Fatalf("%v, want hub.ErrClosed", err)
		}
	}
}

// What Recv and Put wait for ends both.
func TestWaitingEnds(t *testing.T) {
	for want, cause := range map[error]func(l life, cancel func()){
		hub.ErrClosed:    func(l life, _ func()) { l.quit() },
		errLost:          func(l life, _ func()) { l.End(errLost) },
		context.Canceled: func(_ life, cancel func()) { cancel() },

		context.DeadlineExceeded: func(life, func()) {}, // an hour later
	} {
		bubble(t, func(t *testing.T) {
			l := begin(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			full := bus.NewOutbox[int](0)
			errs := make(chan error, 2)
			go func() { _, err := bus.Recv(ctx, l.Life, make(chan int)); errs <- err }()
			go func() { errs <- full.Put(ctx, l.Life, 1) }()
			synctest.Wait()
			if len(errs) > 0 {
				t.Fatalf("%v before anything has happened", <-errs)
			}
			cause(l, cancel)
			for range 2 {
				if err := <-errs; err != want {
					t.Errorf("%v, want %v", err, want)
				}
			}
		})
	}
}

func TestWaitingRecvGetsWhatComes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := begin(t)
		queue := make(chan int)
		go func() {
			synctest.Wait()
			queue <- 7
		}()
		if v, err := bus.Recv(t.Context(), l.Life, queue); v != 7 || err != nil {
			t.Errorf("%d, %v; want 7", v, err)
		}
	})
}
