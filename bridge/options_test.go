package bridge_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

func TestAWrongOptionIsAnErrorThatNamesIt(t *testing.T) {
	defer bridge.Watch(t).Stop()
	ring := new(bridge.Ring)
	nothing := bridge.Direction{Filters: []hub.Filter{{}, {StandardOnly: true, ExtendedOnly: true}}}
	for _, c := range []struct {
		want string
		o    bridge.Options
	}{
		{"bridge: Queue -1: want 1 to 1048576, or 0 for 256", bridge.Options{Queue: -1}},
		{"bridge: Queue 1048577: want 1 to 1048576, or 0 for 256", bridge.Options{Queue: 1<<20 + 1}},
		{"bridge: HopLimit -1: want 1 to 255, or 0 for 16", bridge.Options{HopLimit: -1}},
		{"bridge: HopLimit 256: want 1 to 255, or 0 for 16", bridge.Options{HopLimit: 256}},
		{"bridge: LifeSpan -1ns: negative", bridge.Options{LifeSpan: -1}},
		{"bridge: SeenFor -1ns: negative", bridge.Options{SeenFor: -1}},
		{`bridge: Ring with Names "" and "": want two different ones`, bridge.Options{Ring: ring}},
		{`bridge: Ring with Names "x" and "": want two different ones`, bridge.Options{Ring: ring, A: bridge.Side{Name: "x"}}},
		{`bridge: Ring with Names "" and "x": want two different ones`, bridge.Options{Ring: ring, B: bridge.Side{Name: "x"}}},
		{`bridge: Ring with Names "x" and "x": want two different ones`,
			bridge.Options{Ring: ring, A: bridge.Side{Name: "x"}, B: bridge.Side{Name: "x"}}},
		{"bridge: A.Echo -1ns: negative", bridge.Options{A: bridge.Side{Echo: -1}}},
		{"bridge: B.MinPause -1s: negative", bridge.Options{B: bridge.Side{MinPause: -time.Second}}},
		{"bridge: A.MaxPause 1s: shorter than MinPause, 2s",
			bridge.Options{A: bridge.Side{MinPause: 2 * time.Second, MaxPause: time.Second}}},
		{"bridge: A.MaxPause -1s: shorter than MinPause, 100ms", bridge.Options{A: bridge.Side{MaxPause: -time.Second}}},
		{"bridge: B.Jitter -0.1: want 0 to 1", bridge.Options{B: bridge.Side{Jitter: -0.1}}},
		{"bridge: B.Jitter 1.1: want 0 to 1", bridge.Options{B: bridge.Side{Jitter: 1.1}}},
		{"bridge: B.Jitter NaN: want 0 to 1", bridge.Options{B: bridge.Side{Jitter: math.NaN()}}},
		{"bridge: AToB.Filters[1]: StandardOnly and ExtendedOnly, which nothing matches", bridge.Options{AToB: nothing}},
		{"bridge: BToA.Filters[1]: StandardOnly and ExtendedOnly, which nothing matches", bridge.Options{BToA: nothing}},
	} {
		a, b := newFake(), newFake()
		if err := bridge.Run(t.Context(), a, b, &c.o); err == nil || err.Error() != c.want {
			t.Errorf("Run = %v, want %s", err, c.want)
		}
	}
}

func TestAnyLimitOfAnOptionWorks(t *testing.T) {
	for _, o := range []bridge.Options{
		{Queue: 1, HopLimit: 1, LifeSpan: 1},
		{Queue: 1 << 20, HopLimit: 255, LifeSpan: math.MaxInt64},
		{A: bridge.Side{Jitter: 1, MinPause: time.Hour}, B: bridge.Side{Echo: math.MaxInt64, MaxPause: 1}},
	} {
		bridge.Bubble(t, func(t *testing.T) {
			a, b := newFake(), newFake()
			run(t, a, b, &o)
			a.deliver(ids(1, 1000)...)
			b.deliver(ids(1001, 2000)...)
			synctest.Wait()
			b.wantSent(t, ids(1, 1000)...)
			a.wantSent(t, ids(1001, 2000)...)
		})
	}
}

func TestFiltersSeeIdentifiersBeforeRewriteAndErrorFramesPassUnchanged(t *testing.T) {
	errFrame := hub.Message{ID: 0x42, Flags: hub.Error, Len: 8, Data: [64]byte{1: 2}}
	asked := 0
	d := bridge.Direction{
		Filters: []hub.Filter{{ID: 0x10, Mask: 0x7FF, StandardOnly: true}, {ID: 0x20, Mask: 0x1FFFFFFF, ExtendedOnly: true}},
		Rewrite: func(id uint32, extended bool) (uint32, bool) {
			asked++
			return id + 1, !extended
		},
	}
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		var st bridge.Stats
		back := bridge.Direction{Filters: []hub.Filter{{ID: 0x30, Mask: 0x7FF}}}
		start(t, h, "a", "b", &bridge.Options{AToB: d, BToA: back, Stats: &st})
		synctest.Wait()
		d.Filters[0].ID = 0x11 // of no consequence: Run has begun
		back.Filters[0].ID = 0x31
		rtr := hub.RTR(0x10, 4)
		send(t, x, hub.Std(0x10, 1), hub.Std(0x11), hub.Ext(0x10), hub.Ext(0x20), hub.Std(0x20), errFrame, rtr)
		rtr.ID, rtr.Flags = 0x11, rtr.Flags|hub.Extended
		hubtest.Want(t, y, hub.Ext(0x11, 1), hub.Std(0x21), errFrame, rtr)
		hubtest.WantNone(t, y)
		send(t, y, hub.Std(0x31), hub.Std(0x30))
		hubtest.Want(t, x, hub.Std(0x30))
		if asked != 3 {
			t.Errorf("Rewrite was called %d times, want 3", asked)
		}
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 7, Forwarded: 4, Filtered: 3})
	})
}

func TestOffReceivesAndForwardsNothing(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		var st bridge.Stats
		start(t, h, "a", "b", &bridge.Options{Stats: &st, AToB: bridge.Direction{Off: true,
			Rewrite: func(uint32, bool) (uint32, bool) { panic("not to be called") }}})
		send(t, x, ids(1, 2000)...) // more than all queues hold: somebody receives
		send(t, x, hub.Message{ID: 4, Flags: hub.Error, Len: 8})
		hubtest.WantNone(t, y)
		send(t, y, hub.Std(3))
		hubtest.Want(t, x, hub.Std(3))
		synctest.Wait()
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 2001, Filtered: 2001})
		wantCounts(t, &st.BToA, bridge.Snapshot{Received: 1, Forwarded: 1})
	})
}

func TestADoneContextIsReturnedAsItIs(t *testing.T) {
	defer bridge.Watch(t).Stop()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&bridge.SideError{Side: "a"}) // a cause of somebody else's
	a, b := newFake(), newFake()
	a.deliver(hub.Std(1))
	var st bridge.Stats
	if err := bridge.Run(ctx, a, b, &bridge.Options{Stats: &st}); err != context.Canceled {
		t.Errorf("Run = %v, want context.Canceled", err)
	}
	b.wantSent(t)
	wantCounts(t, &st.AToB, bridge.Snapshot{}) // nor is anything received
}
