package bridge_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// flood sends on the channel until the test is over.
func flood(t *testing.T, h *hub.Hub, name string) {
	s := hubtest.Open(t, h, name, &hub.SubscriberOptions{SendOnly: true})
	go func() {
		for s.Send(context.Background(), hub.Std(1)) == nil {
		}
	}()
}

func TestRunUnderLoadEndsAtOnceWithItsContext(t *testing.T) {
	defer bridge.Watch(t).Stop()
	for _, o := range []bridge.Options{
		{},
		{Queue: 1},
		{LifeSpan: time.Second, Ring: new(bridge.Ring), A: bridge.Side{Name: "a", Echo: time.Second}, B: bridge.Side{Name: "b"}},
	} {
		h := hubtest.New(t)
		flood(t, h, "a")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		var st bridge.Stats
		o.Stats = &st
		a, b := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		go func() { done <- bridge.Run(ctx, a, b, &o) }()
		for st.AToB.Forwarded.Load() < 1000 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		select {
		case err := <-done:
			if err != context.Canceled {
				t.Errorf("Run = %v, want context.Canceled", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Run has not returned after 10 seconds")
		}
		h.Close()
	}
}

func TestRunEndsWhileABusMakesItWait(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		b.onSend = func(ctx context.Context, _ hub.Message) error { <-ctx.Done(); return ctx.Err() }
		var st bridge.Stats
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- bridge.Run(ctx, a, b, &bridge.Options{Queue: 2, Stats: &st}) }()
		a.deliver(ids(1, 10)...)
		synctest.Wait()
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 3, Waiting: 3})
	})
}

func TestClosingABusUnderLoadEndsRunAndNamesTheSide(t *testing.T) {
	for i, name := range []string{"a", "b"} {
		bridge.Bubble(t, func(t *testing.T) {
			h := hubtest.New(t)
			flood(t, h, "a")
			sides := []*hub.Subscriber{hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)}
			done := make(chan error, 1)
			var st bridge.Stats
			go func() { done <- bridge.Run(t.Context(), sides[0], sides[1], &bridge.Options{Stats: &st}) }()
			for st.AToB.Forwarded.Load() < 100 {
				runtime.Gosched() // the bubble is never idle, so its time stands still
			}
			sides[i].Close()
			err := <-done
			var side *bridge.SideError
			if !errors.As(err, &side) || side.Side != name || !errors.Is(err, hub.ErrClosed) {
				t.Errorf("Run = %v, want closed side %s", err, name)
			}
			if want := "bridge: side " + name + ": hub: closed"; err.Error() != want {
				t.Errorf("Run = %v, want %s", err, want)
			}
		})
	}
}

func TestAnErrorOfRecvEndsRunAndWhatCameBeforeIsSent(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		b.onSend = func(context.Context, hub.Message) error { time.Sleep(4 * time.Second); return nil }
		errLine := errors.New("drive.log:4: no frame")
		a.deliver(ids(1, 600)...)
		a.in <- received{err: errLine}
		a.deliver(hub.Std(1))
		var st bridge.Stats
		err := bridge.Run(t.Context(), a, b, &bridge.Options{Stats: &st})
		if !errors.Is(err, errLine) || err.Error() != "bridge: side a: drive.log:4: no frame" {
			t.Errorf("Run = %v, want the line error of side a", err)
		}
		b.wantSent(t, ids(1, 600)...)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 600, Forwarded: 600})
	})
}

// The last one is received, and still waits for room in the queue.
func TestWhatWasReceivedIsSentAlsoWhenItsSideFailsToSend(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		a.onSend = func(context.Context, hub.Message) error { return errLost }
		b.onSend = func(context.Context, hub.Message) error { time.Sleep(time.Second); return nil }
		a.deliver(ids(1, 3)...)
		go func() {
			time.Sleep(time.Second / 2)
			b.deliver(hub.Std(1))
		}()
		var st bridge.Stats
		if err := bridge.Run(t.Context(), a, b, &bridge.Options{Queue: 1, Stats: &st}); !errors.Is(err, errLost) {
			t.Errorf("Run = %v, want that side a was lost", err)
		}
		b.wantSent(t, ids(1, 2)...)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 2, Forwarded: 2})
		wantCounts(t, &st.BToA, bridge.Snapshot{Received: 1, Waiting: 1})
	})
}

// endless always has a message, also for a ctx that is done.
type endless struct{ *fake }

func (endless) Recv(context.Context) (hub.Message, error) { return hub.Std(1), nil }

func TestRunEndsThoughABusDeliversWithoutEnd(t *testing.T) {
	defer bridge.Watch(t).Stop()
	for _, off := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		var st bridge.Stats
		go func() {
			done <- bridge.Run(ctx, endless{newFake()}, newFake(), &bridge.Options{Stats: &st, AToB: bridge.Direction{Off: off}})
		}()
		for st.AToB.Received.Load() < 1000 {
			runtime.Gosched()
		}
		cancel()
		select {
		case err := <-done:
			if err != context.Canceled {
				t.Errorf("Run = %v, want context.Canceled", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Run has not returned after 10 seconds")
		}
	}
}

func TestAfterAFailureRunWaitsFiveSecondsForABusThatTakesNothing(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		b.onSend = func(ctx context.Context, _ hub.Message) error { <-ctx.Done(); return ctx.Err() }
		a.deliver(hub.Std(1), hub.Std(2))
		a.in <- received{err: errLost}
		began := time.Now()
		var st bridge.Stats
		if err := bridge.Run(t.Context(), a, b, &bridge.Options{Stats: &st}); !errors.Is(err, errLost) {
			t.Errorf("Run = %v, want that side a was lost", err)
		}
		if d := time.Since(began); d != 5*time.Second {
			t.Errorf("Run returned after %v, want 5s", d)
		}
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 2, Waiting: 2})
	})
}

// Nobody is left to take anything, and the one that failed first is named.
func TestWhenBothSidesFailRunReturnsTheFirstFailureAtOnce(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		for _, f := range []*fake{a, b} {
			f.onSend = func(ctx context.Context, _ hub.Message) error {
				select {
				case <-f.failed:
					return f.err
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		a.deliver(hub.Std(1))
		b.deliver(ids(1, 1000)...)
		done := make(chan error, 1)
		began := time.Now()
		go func() { done <- bridge.Run(t.Context(), a, b, nil) }()
		synctest.Wait()
		a.fail(errLost)
		time.Sleep(time.Second)
		b.fail(errors.New("another"))
		err := <-done
		if !errors.Is(err, errLost) || err.Error() != "bridge: side a: line cut" {
			t.Errorf("Run = %v, want side a, which failed first", err)
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("Run returned after %v, want 1s", d)
		}
	})
}

func TestABusThatOnlyListensFailsUnlessItsDirectionIsOff(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		b := hubtest.Open(t, h, "b", &hub.SubscriberOptions{ListenOnly: true})
		send(t, x, hub.Std(1)) // nobody else is there yet
		run(t, hubtest.Open(t, h, "a", nil), b, &bridge.Options{AToB: bridge.Direction{Off: true}})
		send(t, x, hub.Std(2))
		send(t, y, hub.Std(3))
		hubtest.Want(t, x, hub.Std(3))

		a := newFake()
		a.deliver(hub.Std(1))
		b = hubtest.Open(t, h, "c", &hub.SubscriberOptions{ListenOnly: true})
		if err := bridge.Run(t.Context(), a, b, nil); !errors.Is(err, hub.ErrListenOnly) {
			t.Errorf("Run = %v, want ErrListenOnly", err)
		}
	})
}
