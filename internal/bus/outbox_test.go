package bus_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

func TestPutTakesNothingOnceItIsOver(t *testing.T) {
	for _, tt := range []struct {
		ctx           context.Context
		closed, ended bool
		want          error
	}{
		{canceled(), true, true, context.Canceled},
		{canceled(), false, false, context.Canceled},
		{late(), false, false, context.DeadlineExceeded},
		{context.Background(), true, true, hub.ErrClosed},
		{context.Background(), true, false, hub.ErrClosed},
		{context.Background(), false, true, errLost},
	} {
		for range often {
			l := begin(t)
			if tt.closed {
				l.quit()
			}
			if tt.ended {
				l.End(errLost)
			}
			o := bus.NewOutbox[int](8)
			if err := o.Put(tt.ctx, l.Life, 1); err != tt.want {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if v, ok := o.More(); ok {
				t.Fatalf("%d was taken with the error %v", v, tt.want)
			}
		}
	}
}

// When Put was about to wait, the end came, and with it perhaps room: nobody
// will write what takes it.
func TestPutTellsOfAnEndThatCameWithRoom(t *testing.T) {
	for range often {
		l := begin(t)
		o := bus.NewOutbox[int](1)
		err := o.Put(hook{context.Background(), func() { l.End(errLost) }}, l.Life, 1)
		if err != errLost {
			t.Fatalf("%v, want %v: nobody writes any more", err, errLost)
		}
	}
}

func TestPutReturnsNilExactlyForWhatIsWrittenWhenCloseCameWithRoom(t *testing.T) {
	taken := 0
	for range often {
		l := begin(t)
		o := bus.NewOutbox[int](1)
		err := o.Put(hook{context.Background(), l.quit}, l.Life, 1)
		if err != nil && err != hub.ErrClosed {
			t.Fatal(err)
		}
		o.Close()
		_, ok := o.Next(l.Life)
		if ok != (err == nil) {
			t.Fatalf("Put = %v, there is something to write: %v", err, ok)
		}
		if ok {
			taken++
		}
	}
	if taken == 0 || taken == often {
		t.Errorf("%d of %d were taken: both ways were to be seen", taken, often)
	}
}

// A Put that waits for room keeps Close waiting, but nobody else: that is where
// a mutex would have a Put wait outside its ctx.
func TestPutDoesNotWaitForClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := begin(t)
		o := bus.NewOutbox[int](0)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		waiting := make(chan error, 1)
		go func() { waiting <- o.Put(ctx, l.Life, 1) }()
		synctest.Wait()
		closed := make(chan struct{})
		go func() { o.Close(); close(closed) }()
		synctest.Wait() // a wait for a mutex would not be durable
		if err := o.Put(ctx, l.Life, 2); err != hub.ErrClosed {
			t.Errorf("Put while Close waits = %v, want hub.ErrClosed", err)
		}
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close has not waited for the Put that is at work")
		default:
		}
		cancel()
		if err := <-waiting; err != context.Canceled {
			t.Errorf("Put = %v, want the ctx's error", err)
		}
		<-closed
		o.Close() // again
		if err := o.Put(t.Context(), l.Life, 3); err != hub.ErrClosed {
			t.Errorf("Put after Close = %v, want hub.ErrClosed", err)
		}
	})
}

// One Put that is counted wrongly would have Close wait for ever, or for none.
func TestCloseIsNotLedAstrayByManyPutsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := begin(t)
		l.End(errLost)
		o := bus.NewOutbox[int](0)
		done := make(chan struct{}, 4)
		for range cap(done) {
			go func() {
				for range 100_000 {
					if err := o.Put(context.Background(), l.Life, 1); err != errLost {
						t.Errorf("Put = %v, want %v", err, errLost)
						break
					}
				}
				done <- struct{}{}
			}()
		}
		for range cap(done) {
			<-done
		}
		o.Close()
	})
}

func TestNextEndsWithTheBus(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := begin(t)
		o := bus.NewOutbox[int](1)
		done := make(chan bool, 1)
		go func() {
			_, ok := o.Next(l.Life)
			done <- ok
		}()
		synctest.Wait()
		if len(done) > 0 {
			t.Fatal("Next has not waited")
		}
		l.End(errLost)
		if <-done {
			t.Error("Next has something, want the end")
		}
	})
}

func TestNextWaitsForWhatIsPut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := begin(t)
		o := bus.NewOutbox[int](2)
		put := make(chan error, 2)
		go func() {
			synctest.Wait()
			put <- o.Put(t.Context(), l.Life, 1)
			put <- o.Put(t.Context(), l.Life, 2)
		}()
		if v, ok := o.Next(l.Life); v != 1 || !ok {
			t.Errorf("Next = %d, %v, want 1", v, ok)
		}
		for range 2 {
			if err := <-put; err != nil {
				t.Errorf("Put = %v, want nil", err)
			}
		}
		if v, ok := o.More(); v != 2 || !ok {
			t.Errorf("More = %d, %v, want 2", v, ok)
		}
		if v, ok := o.More(); ok {
			t.Errorf("More = %d, want nothing", v)
		}
	})
}

func TestNextAfterCloseHandsOutWhatIsLeft(t *testing.T) {
	for range often {
		l := begin(t)
		o := bus.NewOutbox[int](2)
		for v := range 2 {
			if err := o.Put(context.Background(), l.Life, v); err != nil {
				t.Fatal(err)
			}
		}
		l.quit()
		o.Close()
		for want := range 2 {
			if v, ok := o.Next(l.Life); v != want || !ok {
				t.Fatalf("Next = %d, %v, want %d", v, ok, want)
			}
		}
		if v, ok := o.Next(l.Life); ok {
			t.Fatalf("Next = %d, want the end", v)
		}
	}
}

func TestCloseLosesNothingThatPutHasTaken(t *testing.T) {
	for range 2000 {
		l := begin(t)
		o := bus.NewOutbox[int](4)
		taken := make(chan int, 1)
		go func() {
			n := 0
			for o.Put(context.Background(), l.Life, n) == nil {
				n++
			}
			taken <- n
		}()
		o.Next(l.Life)
		closed := make(chan struct{})
		go func() {
			l.quit()
			o.Close()
			close(closed)
		}()
		n := 1
		for {
			if _, ok := o.Next(l.Life); !ok {
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
