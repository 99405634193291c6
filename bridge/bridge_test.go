package bridge_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a bridge between two channels until the test ends.
func start(t *testing.T, h *hub.Hub, a, b string, o *bridge.Options) {
	t.Helper()
	run(t, hubtest.Open(t, h, a, nil), hubtest.Open(t, h, b, nil), o)
}

func run(t *testing.T, a, b hub.Bus, o *bridge.Options) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bridge.Run(ctx, a, b, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
	})
}

func send(t *testing.T, bus hub.Bus, ms ...hub.Message) {
	t.Helper()
	for _, m := range ms {
		if err := bus.Send(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEachDirectionForwardsExactlyOnce(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		var st bridge.Stats
		start(t, h, "a", "b", &bridge.Options{Stats: &st})
		send(t, x, hub.Std(1), hub.Std(2))
		hubtest.Want(t, y, hub.Std(1), hub.Std(2))
		send(t, y, hub.Ext(3))
		hubtest.Want(t, x, hub.Ext(3))
		hubtest.WantNone(t, x)
		hubtest.WantNone(t, y)
		if a, b := st.AToB.Forwarded.Load(), st.BToA.Forwarded.Load(); a != 2 || b != 1 {
			t.Errorf("forwarded %d and %d, want 2 and 1", a, b)
		}
	})
}

func TestFilterRewriteAndRefusalAreCounted(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		var st bridge.Stats
		start(t, h, "a", "b", &bridge.Options{Stats: &st, BToA: bridge.Direction{Off: true}, AToB: bridge.Direction{
			Filters: []hub.Filter{{ID: 0x100, Mask: 0x700}},
			Rewrite: func(id uint32, ext bool) (uint32, bool) {
				if id == 0x1FF {
					return 0x800, false
				}
				return id + 1, true
			},
		}})
		errFrame := hub.Message{ID: 4, Flags: hub.Error, Len: 8}
		send(t, x, hub.Std(0x100), hub.Std(0x200), hub.Std(0x1FF), errFrame)
		hubtest.Want(t, y, hub.Ext(0x101), errFrame)
		send(t, y, hub.Std(1))
		hubtest.WantNone(t, x)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 4, Forwarded: 2, Filtered: 1, Refused: 1})
		wantCounts(t, &st.BToA, bridge.Snapshot{Received: 1, Filtered: 1})
	})
}

func TestEqualPeriodicMessagesPassARingOfThreeThatEnds(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x := hubtest.Open(t, h, "a", nil)
		y := hubtest.Open(t, h, "b", nil)
		var ring bridge.Ring
		for _, p := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "a"}} {
			start(t, h, p[0], p[1], &bridge.Options{Ring: &ring,
				A: bridge.Side{Name: p[0]}, B: bridge.Side{Name: p[1]}})
		}
		synctest.Wait() // all are in the ring
		const n = 50
		for range n {
			send(t, x, hub.Std(1, 2))
			time.Sleep(10 * time.Millisecond)
		}
		for range 2 * n { // there are two ways from a to b
			hubtest.Want(t, y, hub.Std(1, 2))
		}
		hubtest.WantNone(t, y)
		hubtest.WantNone(t, x)
	})
}

func TestOneWayRingEnds(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x := hubtest.Open(t, h, "a", nil)
		var ring bridge.Ring
		for _, p := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "a"}} {
			start(t, h, p[0], p[1], &bridge.Options{Ring: &ring, BToA: bridge.Direction{Off: true},
				A: bridge.Side{Name: p[0]}, B: bridge.Side{Name: p[1]}})
		}
		synctest.Wait() // all are in the ring
		send(t, x, hub.Std(1))
		hubtest.WantNone(t, x)
	})
}

func TestEchoIsNotForwardedButEqualMessagesAre(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		var st bridge.Stats
		run(t, hubtest.Open(t, h, "a", nil), unmarked{hubtest.Open(t, h, "b", &hub.SubscriberOptions{OwnMessages: true})},
			&bridge.Options{B: bridge.Side{Echo: time.Second}, Stats: &st})
		for range 5 {
			send(t, x, hub.Std(7))
			hubtest.Want(t, y, hub.Std(7))
		}
		hubtest.WantNone(t, x)
		send(t, y, hub.Std(7))
		hubtest.Want(t, x, hub.Std(7))
		synctest.Wait()
		wantCounts(t, &st.BToA, bridge.Snapshot{Received: 6, Looped: 5, Forwarded: 1})
	})
}

func TestAnEchoIsKnownThoughALaterMessageIsRefused(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		b.onSend = func(_ context.Context, m hub.Message) error {
			if m.ID == 2 {
				return hub.ErrInvalid
			}
			return nil
		}
		run(t, a, b, &bridge.Options{B: bridge.Side{Echo: time.Second}})
		a.deliver(hub.Std(1), hub.Std(2))
		synctest.Wait()
		b.deliver(hub.Std(1), hub.Std(2))
		synctest.Wait()
		a.wantSent(t, hub.Std(2))
	})
}

// unmarked delivers own messages as if they were others'.
type unmarked struct{ hub.Bus }

func (u unmarked) Recv(ctx context.Context) (hub.Message, error) {
	m, err := u.Bus.Recv(ctx)
	m.Flags &^= hub.Own
	return m, err
}

func TestAFailureNamesItsSideAndClosesNothing(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		a, b := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		b.Close()
		err := bridge.Run(t.Context(), a, b, nil)
		var side *bridge.SideError
		if !errors.As(err, &side) || side.Side != "b" || !errors.Is(err, hub.ErrClosed) {
			t.Errorf("Run = %v, want closed side b", err)
		}
		send(t, a, hub.Std(1))
	})
}

func TestRedialBacksOffAndStaleOrExcessMessagesAreDropped(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		b := hubtest.Open(t, h, "b", nil)
		var st bridge.Stats
		began, tries := time.Now(), []time.Duration{}
		run(t, hubtest.Open(t, h, "a", nil), b, &bridge.Options{
			Queue: 2, LifeSpan: 3 * time.Second, Stats: &st,
			B: bridge.Side{MinPause: time.Second, MaxPause: 4 * time.Second,
				Redial: func(context.Context) (hub.Bus, error) {
					if tries = append(tries, time.Since(began)); len(tries) < 4 {
						return nil, errors.New("no")
					}
					return h.Open("b", nil)
				}}})
		b.Close() // at 0 s; tried at 1, 3, 7 and 11 s
		time.Sleep(500 * time.Millisecond)
		send(t, x, hub.Std(1), hub.Std(2), hub.Std(3))
		time.Sleep(9 * time.Second)
		send(t, x, hub.Std(4))
		time.Sleep(2 * time.Second)
		hubtest.Want(t, y, hub.Std(4))
		hubtest.WantNone(t, y)
		if got := fmt.Sprint(tries); got != "[1s 3s 7s 11s]" {
			t.Errorf("dialled at %v", got)
		}
		if c := &st.AToB; c.Overflow.Load() != 2 || c.Stale.Load() != 1 || c.Forwarded.Load() != 1 {
			t.Errorf("overflow %d, stale %d, forwarded %d", c.Overflow.Load(), c.Stale.Load(), c.Forwarded.Load())
		}
	})
}

func TestManyMessagesKeepTheirOrderWithoutLoss(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		start(t, h, "a", "b", nil)
		const n = 100_000
		go func() {
			for i := range uint32(n) {
				x.Send(context.Background(), hub.Ext(i))
			}
		}()
		for i := range uint32(n) {
			if m, err := y.Recv(t.Context()); err != nil || m.ID != i {
				t.Fatalf("message %d is %v, %v", i, m, err)
			}
		}
	})
}
