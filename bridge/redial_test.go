package bridge_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

var errLost = errors.New("line cut")

// A dialer hands out buses and notes when. A nil bus is a failed attempt, and so
// is every one beyond the last.
type dialer struct {
	began time.Time
	buses []*fake
	at    []time.Duration
}

func (d *dialer) dial(context.Context) (hub.Bus, error) {
	n := len(d.at)
	d.at = append(d.at, time.Since(d.began))
	if n >= len(d.buses) || d.buses[n] == nil {
		return nil, errors.New("nobody there")
	}
	return d.buses[n], nil
}

func TestAMessageThatWasNotSentIsKeptAndSentOnceAfterReconnection(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, lost, next := newFake(), newFake(), newFake()
		lost.onSend = func(_ context.Context, m hub.Message) error {
			if m.ID == 2 {
				return errLost
			}
			return nil
		}
		d := dialer{buses: []*fake{nil, next}}
		var st bridge.Stats
		var log logBuffer
		run(t, a, lost, &bridge.Options{Stats: &st, Logger: log.logger(), B: bridge.Side{Redial: d.dial}})
		a.deliver(ids(1, 3)...)
		synctest.Wait()
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 3, Forwarded: 1, Waiting: 2})
		time.Sleep(time.Second)
		lost.wantSent(t, hub.Ext(1))
		next.wantSent(t, hub.Ext(2), hub.Ext(3))
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 3, Forwarded: 3})
		log.want(t, 1, "connection lost", "side=b", "line cut")
		log.want(t, 1, "bridge: redial", "side=b", "nobody there")
		log.want(t, 1, "connected again", "side=b")
	})
}

// The side that receives is lost while what it received waits for the other.
func TestWhatWasReceivedSurvivesTheLossOfItsSide(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x := hubtest.Open(t, h, "a", nil)
		a, b := hubtest.Open(t, h, "a", nil), newFake()
		b.onSend = func(context.Context, hub.Message) error { time.Sleep(time.Second); return nil }
		var st bridge.Stats
		run(t, a, b, &bridge.Options{Stats: &st, Queue: 1, A: bridge.Side{
			Redial: func(context.Context) (hub.Bus, error) { return h.Open("a", nil) }}})
		send(t, x, ids(1, 10)...)
		synctest.Wait()
		a.Close()
		time.Sleep(time.Minute)
		send(t, x, hub.Ext(11))
		time.Sleep(2 * time.Second)
		got := st.AToB.Snapshot()
		b.wantSent(t, append(ids(1, uint32(got.Received)-1), hub.Ext(11))...)
		if got.Received < 2 || got.Forwarded != got.Received {
			t.Errorf("counts %+v, want all that was received forwarded", got)
		}
	})
}

func TestWhileABusIsAwayTheOldestMessagesAreDropped(t *testing.T) {
	for _, queue := range []int{1, 3, 100} {
		bridge.Bubble(t, func(t *testing.T) {
			a, lost, next := newFake(), newFake(), newFake()
			d := dialer{buses: []*fake{next}}
			var st bridge.Stats
			run(t, a, lost, &bridge.Options{Stats: &st, Queue: queue,
				B: bridge.Side{Redial: d.dial, MinPause: time.Minute, MaxPause: time.Minute}})
			lost.fail(errLost)
			synctest.Wait()
			a.deliver(ids(1, 250)...)
			synctest.Wait()
			wantCounts(t, &st.AToB, bridge.Snapshot{Received: 250, Overflow: 250 - uint64(queue), Waiting: uint64(queue)})
			time.Sleep(time.Minute)
			synctest.Wait()
			next.wantSent(t, ids(251-uint32(queue), 250)...)
			wantCounts(t, &st.AToB, bridge.Snapshot{Received: 250, Overflow: 250 - uint64(queue), Forwarded: uint64(queue)})
		})
	}
}

// As above, but they come in batches, which may be longer than the queue.
func TestABatchLongerThanTheQueueOverflowsToo(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x := hubtest.Open(t, h, "a", nil)
		lost, next := newFake(), newFake()
		d := dialer{buses: []*fake{next}}
		run(t, hubtest.Open(t, h, "a", nil), lost, &bridge.Options{Queue: 3,
			B: bridge.Side{Redial: d.dial, MinPause: time.Minute, MaxPause: time.Minute}})
		lost.fail(errLost)
		synctest.Wait()
		if err := x.SendBatch(t.Context(), ids(1, 100)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		next.wantSent(t, ids(98, 100)...)
	})
}

func TestStaleMessagesAreNotFlushedOnReconnection(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, lost, next := newFake(), newFake(), newFake()
		d := dialer{buses: []*fake{next}}
		var st bridge.Stats
		run(t, a, lost, &bridge.Options{Stats: &st, LifeSpan: 3 * time.Second,
			B: bridge.Side{Redial: d.dial, MinPause: 10 * time.Second}})
		lost.fail(errLost)
		time.Sleep(6 * time.Second)
		a.deliver(ids(1, 5)...)
		time.Sleep(2 * time.Second)
		a.deliver(ids(6, 9)...)
		time.Sleep(3 * time.Second)
		next.wantSent(t, ids(6, 9)...)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 9, Stale: 5, Forwarded: 4})
	})
}

func TestARedialThatReturnsNothingHasFailed(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, lost, next := newFake(), newFake(), newFake()
		tries := 0
		var log logBuffer
		run(t, a, lost, &bridge.Options{Logger: log.logger(), B: bridge.Side{MinPause: time.Second,
			Redial: func(context.Context) (hub.Bus, error) {
				if tries++; tries < 3 {
					return nil, nil
				}
				return next, nil
			}}})
		lost.fail(errLost)
		time.Sleep(6 * time.Second) // at 1 and 3 s
		log.want(t, 2, "bridge: redial", "side=b", "neither a bus nor an error")
		a.deliver(hub.Std(1))
		time.Sleep(time.Second) // 7 s
		synctest.Wait()
		next.wantSent(t, hub.Std(1))
	})
}

func TestThePauseGrowsAndStartsOverAfterALongConnection(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		first, short, long, last := newFake(), newFake(), newFake(), newFake()
		d := dialer{began: time.Now(), buses: []*fake{nil, nil, nil, nil, short, long, nil, last}}
		run(t, newFake(), first, &bridge.Options{
			B: bridge.Side{Redial: d.dial, MinPause: time.Second, MaxPause: 5 * time.Second}})
		first.fail(errLost) // tried at 1, 3, 7 and 12 s, connected at 17
		time.Sleep(21 * time.Second)
		short.fail(errLost) // after 4 s; connected at 26
		time.Sleep(10 * time.Second)
		long.fail(errLost) // after 5 s, at 31; tried at 32, connected at 34
		time.Sleep(time.Minute)
		synctest.Wait()
		s := time.Second
		want := []time.Duration{1 * s, 3 * s, 7 * s, 12 * s, 17 * s, 26 * s, 32 * s, 34 * s}
		if diff := cmp.Diff(want, d.at); diff != "" {
			t.Errorf("dialled at other times (-want +got):\n%s", diff)
		}
	})
}

func TestPausesAre100MillisecondsTo30SecondsByDefault(t *testing.T) {
	for _, c := range []struct {
		side        bridge.Side
		first, last time.Duration
	}{
		{bridge.Side{}, 100 * time.Millisecond, 30 * time.Second},
		{bridge.Side{MinPause: time.Minute}, time.Minute, time.Minute},
		{bridge.Side{MaxPause: 10 * time.Millisecond}, 10 * time.Millisecond, 10 * time.Millisecond},
	} {
		bridge.Bubble(t, func(t *testing.T) {
			first := newFake()
			d := dialer{began: time.Now()}
			c.side.Redial = d.dial
			run(t, newFake(), first, &bridge.Options{B: c.side})
			first.fail(errLost)
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			n := len(d.at)
			if got := d.at[0]; got != c.first {
				t.Errorf("first pause %v, want %v", got, c.first)
			}
			if got := d.at[n-1] - d.at[n-2]; got != c.last {
				t.Errorf("last pause %v, want %v", got, c.last)
			}
		})
	}
}

func TestJitterShortensPausesByItsFractionAtMost(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		first := newFake()
		d := dialer{began: time.Now()}
		run(t, first, newFake(), &bridge.Options{
			A: bridge.Side{Redial: d.dial, MinPause: time.Second, MaxPause: time.Second, Jitter: 0.5}})
		first.fail(errLost)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		var pauses []time.Duration
		for i := range d.at[1:] {
			pauses = append(pauses, d.at[i+1]-d.at[i])
		}
		least, most := slices.Min(pauses), slices.Max(pauses)
		if least < time.Second/2 || most > time.Second {
			t.Errorf("pauses from %v to %v, want 500ms to 1s", least, most)
		}
		if least > 600*time.Millisecond || most < 900*time.Millisecond {
			t.Errorf("%d pauses from %v to %v, want them spread from 500ms to 1s", len(pauses), least, most)
		}
	})
}

func TestRunClosesWhatItDialledOnceAndNothingElse(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		lost, last := newFake(), newFake()
		lastA := newFake()
		da, db := dialer{buses: []*fake{lastA}}, dialer{buses: []*fake{lost, nil, last}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- bridge.Run(ctx, a, b, &bridge.Options{A: bridge.Side{Redial: da.dial}, B: bridge.Side{Redial: db.dial}})
		}()
		a.fail(errLost)
		b.fail(errLost)
		time.Sleep(time.Minute)
		lost.wantCloses(t, 0)
		lost.fail(errLost)
		time.Sleep(time.Minute)
		lost.wantCloses(t, 1)
		last.wantCloses(t, 0)
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
		for _, c := range []struct {
			bus  *fake
			want int
		}{{a, 0}, {b, 0}, {lastA, 1}, {lost, 1}, {last, 1}} {
			c.bus.wantCloses(t, c.want)
		}
	})
}

func TestADialledBusIsClosedWhenTheOtherSideEndsRun(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b, next := newFake(), newFake(), newFake()
		d := dialer{buses: []*fake{next}}
		done := make(chan error, 1)
		go func() { done <- bridge.Run(t.Context(), a, b, &bridge.Options{B: bridge.Side{Redial: d.dial}}) }()
		b.fail(errLost)
		time.Sleep(time.Second)
		a.fail(errors.New("the end"))
		if err := <-done; err == nil || err.Error() != "bridge: side a: the end" {
			t.Errorf("Run = %v, want the end of side a", err)
		}
		next.wantCloses(t, 1)
	})
}

func TestRunEndsWhileItPausesOrDials(t *testing.T) {
	for _, wait := range []time.Duration{500 * time.Millisecond, 2 * time.Second} {
		bridge.Bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			b := newFake()
			b.fail(errLost)
			done := make(chan error, 1)
			go func() {
				done <- bridge.Run(ctx, newFake(), b, &bridge.Options{B: bridge.Side{MinPause: time.Second,
					Redial: func(ctx context.Context) (hub.Bus, error) { <-ctx.Done(); return nil, ctx.Err() }}})
			}()
			time.Sleep(wait)
			cancel()
			began := time.Now()
			if err := <-done; err != context.Canceled || time.Since(began) != 0 {
				t.Errorf("Run = %v after %v, want context.Canceled at once", err, time.Since(began))
			}
		})
	}
}

// A bus that was away has not received what was expected to arrive there.
func TestWhatWasSentOnALostConnectionIsNotExpectedOnTheNext(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, lost, next := newFake(), newFake(), newFake()
		d := dialer{buses: []*fake{next}}
		run(t, a, lost, &bridge.Options{B: bridge.Side{Redial: d.dial, Echo: time.Hour}})
		a.deliver(hub.Std(1))
		synctest.Wait()
		lost.fail(errLost)
		time.Sleep(time.Second)
		next.deliver(hub.Std(1)) // no echo
		synctest.Wait()
		a.wantSent(t, hub.Std(1))
	})
}

func TestABusThatWasStalledAndIsBackLosesNothing(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, lost, next := newFake(), newFake(), newFake()
		lost.onSend = func(_ context.Context, m hub.Message) error {
			if m.ID == 1 {
				return hub.ErrStalled
			}
			return errLost
		}
		next.onSend = func(context.Context, hub.Message) error { time.Sleep(time.Second); return nil }
		d := dialer{buses: []*fake{next}}
		var st bridge.Stats
		run(t, a, lost, &bridge.Options{Queue: 3, Stats: &st, B: bridge.Side{Redial: d.dial}})
		a.deliver(ids(1, 2)...)
		time.Sleep(time.Second / 2)
		a.deliver(ids(3, 20)...)
		time.Sleep(time.Minute)
		next.wantSent(t, ids(2, 20)...)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 20, Forwarded: 19, Stalled: 1})
	})
}

func TestABusThatGoesAwayNoLongerKeepsTheBridgeFromReceiving(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, lost := newFake(), newFake()
		lost.onSend = func(context.Context, hub.Message) error { <-lost.failed; return lost.err }
		var d dialer
		var st bridge.Stats
		run(t, a, lost, &bridge.Options{Queue: 2, Stats: &st, B: bridge.Side{Redial: d.dial}})
		a.deliver(ids(1, 10)...)
		synctest.Wait()
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 3, Waiting: 3})
		lost.fail(errLost)
		synctest.Wait()
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 10, Overflow: 8, Waiting: 2})
	})
}
