package bus

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errLost = errors.New("lost")

// begin returns a life, and the two ways to end it.
func begin() (l *Life, quit, end func()) {
	life := NewLife()
	return &life, func() { close(life.Quit) }, func() { life.Err = errLost; close(life.Ended) }
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
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
		{"ended", context.Background(), false, true, nil, errLost},
		{"closed", context.Background(), true, false, hub.ErrClosed, hub.ErrClosed},
		{"closed and ended", context.Background(), true, true, hub.ErrClosed, hub.ErrClosed},
	} {
		l, quit, end := begin()
		queue := make(chan int, 2)
		queue <- 7
		if tt.closed {
			quit()
		}
		if tt.ended {
			end()
		}
		if v, err := Recv(tt.ctx, l, queue); err != tt.first || err == nil && v != 7 {
			t.Errorf("%s: %d, %v; want 7 or %v", tt.name, v, err, tt.first)
		}
		if tt.afterwards == nil {
			continue
		}
		if v, err := Recv(tt.ctx, l, queue); err != tt.afterwards {
			t.Errorf("%s, nothing queued: %d, %v; want %v", tt.name, v, err, tt.afterwards)
		}
	}
}

// What Recv and Put wait for ends both.
func TestWaitingEnds(t *testing.T) {
	for want, cause := range map[error]func(quit, end, cancel func()){
		hub.ErrClosed:    func(quit, _, _ func()) { quit() },
		errLost:          func(_, end, _ func()) { end() },
		context.Canceled: func(_, _, cancel func()) { cancel() },
	} {
		synctest.Test(t, func(t *testing.T) {
			l, quit, end := begin()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			full := NewOutbox[int](0)
			errs := make(chan error, 2)
			go func() { _, err := Recv(ctx, l, make(chan int)); errs <- err }()
			go func() { errs <- full.Put(ctx, l, 1) }()
			synctest.Wait()
			if len(errs) > 0 {
				t.Fatalf("%v before anything has happened", <-errs)
			}
			cause(quit, end, cancel)
			for range 2 {
				if err := <-errs; err != want {
					t.Errorf("%v, want %v", err, want)
				}
			}
		})
	}
}

func TestPutTakesNothingOnceItIsOver(t *testing.T) {
	for _, tt := range []struct {
		ctx           context.Context
		closed, ended bool
		want          error
	}{
		{canceled(), true, true, context.Canceled},
		{context.Background(), true, true, hub.ErrClosed},
		{context.Background(), false, true, errLost},
	} {
		l, quit, end := begin()
		if tt.closed {
			quit()
		}
		if tt.ended {
			end()
		}
		o := NewOutbox[int](8)
		if err := o.Put(tt.ctx, l, 1); err != tt.want {
			t.Errorf("%v, want %v", err, tt.want)
		}
		if v, ok := o.More(); ok {
			t.Errorf("%d was taken with the error %v", v, tt.want)
		}
	}
}

func TestCloseLosesNothingThatPutHasTaken(t *testing.T) {
	for range 2000 {
		l, quit, _ := begin()
		o := NewOutbox[int](4)
		taken := make(chan int, 1)
		go func() {
			n := 0
			for o.Put(context.Background(), l, n) == nil {
				n++
			}
			taken <- n
		}()
		o.Next(l)
		closed := make(chan struct{})
		go func() {
			quit()
			o.Close()
			close(closed)
		}()
		n := 1
		for {
			if _, ok := o.Next(l); !ok {
				break
			}
			n++
		}
		if want := <-taken; n != want {
			t.Fatalf("%d were taken, %d came", want, n)
		}
		<-closed
	}
}

func TestSeldomIsOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Seldom
		told := 0
		for range 25 { // 2.5 s: at 0, 1 and 2
			if s.Now() {
				told++
			}
			time.Sleep(time.Second / 10)
		}
		if told != 3 {
			t.Errorf("told %d times, want 3", told)
		}
	})
}

func TestSeldomIsNotSilentWhenTheClockWasSetBack(t *testing.T) {
	var s Seldom
	s.last.Store(time.Now().Add(time.Hour).UnixNano())
	if !s.Now() {
		t.Error("silent for an hour")
	}
	if s.Now() {
		t.Error("told twice")
	}
}

func TestPassesAsInPackageHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		h := hubtest.New(t)
		from := hubtest.Open(t, h, "can0", nil)
		for range 200 {
			filters := make([]hub.Filter, r.IntN(3))
			for i := range filters {
				filters[i] = hub.Filter{ID: r.Uint32N(8), Mask: r.Uint32() & 0x80000007, Invert: r.IntN(4) == 0}
				switch r.IntN(4) {
				case 0:
					filters[i].StandardOnly = true
				case 1:
					filters[i].ExtendedOnly = true
				}
			}
			to := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{Filters: filters})
			var want []hub.Message
			for id := range uint32(8) {
				for _, m := range []hub.Message{hub.Std(id), hub.Ext(id), {ID: id, Flags: hub.Error}} {
					if err := from.Send(t.Context(), m); err != nil {
						t.Fatal(err)
					}
					if Passes(filters, &m) {
						want = append(want, m)
					}
				}
			}
			hubtest.Want(t, to, want...)
			hubtest.WantNone(t, to)
			to.Close()
		}
	})
}
