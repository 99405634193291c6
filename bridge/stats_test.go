package bridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// Every kind of outcome at once, and a reader that looks all the while.
func TestReceivedIsTheSumOfAllOtherCounts(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		const n = 8 * 2000
		var sends, forwarded, unsupported, stalls uint64
		a, first := newFake(), newFake()
		trouble := func(_ context.Context, m hub.Message) error {
			sends++
			time.Sleep(time.Microsecond)
			switch {
			case sends%997 == 0:
				return errLost
			case sends%499 < 2: // twice in a row, or it is sent again
				stalls++
				return hub.ErrStalled
			case sends%101 == 0:
				time.Sleep(20 * time.Millisecond) // and others get old
			case m.Flags&hub.FDF != 0:
				unsupported++
				return errors.ErrUnsupported
			}
			forwarded++
			return nil
		}
		first.onSend = trouble
		var st bridge.Stats
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			bridge.Run(ctx, a, first, &bridge.Options{
				Queue: 50, LifeSpan: 10 * time.Millisecond, Stats: &st,
				AToB: bridge.Direction{
					Filters: []hub.Filter{{ID: 1, Mask: 0x7FF, Invert: true}},
					Rewrite: func(id uint32, extended bool) (uint32, bool) { return id << 4, extended },
				},
				B: bridge.Side{MinPause: time.Millisecond, Redial: func(context.Context) (hub.Bus, error) {
					f := newFake()
					f.onSend = trouble
					return f, nil
				}},
			})
		}()
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			for ctx.Err() == nil {
				if s := st.AToB.Snapshot(); s.Waiting > s.Received || s.Waiting > 50+2 {
					t.Errorf("counts %+v", s)
					return
				}
				time.Sleep(20 * time.Microsecond)
			}
		}()
		for i := range n {
			m := hub.Std(2)
			switch i % 8 {
			case 0:
				m.Flags = hub.Own
			case 1:
				m.ID = 1
			case 2:
				m.ID = 0x100
			case 3:
				m = hub.FD(3)
			}
			a.deliver(m)
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		began := time.Now()
		for s := st.AToB.Snapshot(); s.Received < n || s.Waiting > 0; s = st.AToB.Snapshot() {
			if time.Since(began) > time.Minute {
				t.Fatalf("counts %+v after a minute, want all messages done", s)
			}
			time.Sleep(time.Millisecond)
		}
		cancel()
		<-done
		<-looked
		got := st.AToB.Snapshot()
		if got.Received != n || got.Waiting != 0 || got.Looped != n/8 || got.Filtered != n/8 ||
			got.Refused != n/8+unsupported || got.Forwarded != forwarded || got.Stalled > stalls/2 ||
			got.Stale == 0 || got.Overflow == 0 || got.Stalled == 0 || unsupported == 0 {
			t.Errorf("counts %+v, want %d received, %d forwarded, %d unsupported and at most %d stalled",
				got, n, forwarded, unsupported, stalls/2)
		}
	})
}

func TestWhatWaitsWhenRunEndsIsCounted(t *testing.T) {
	defer bridge.Watch(t).Stop()
	h := hubtest.New(t)
	x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
	var st bridge.Stats
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	a, b := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
	go func() { defer close(done); bridge.Run(ctx, a, b, &bridge.Options{Stats: &st}) }()
	go func() {
		for x.Send(ctx, hub.Std(1)) == nil {
		}
	}()
	for range 10_000 {
		if _, err := y.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	go func() { // for those that are on their way
		for range y.All(context.Background()) {
		}
	}()
	<-done
	s := st.AToB.Snapshot()
	if got := a.Stats().Received; s.Received != got {
		t.Errorf("counts %+v, but the subscriber received %d", s, got)
	}
	if got := b.Stats().Sent; s.Forwarded != got {
		t.Errorf("counts %+v, but the subscriber sent %d", s, got)
	}
	if s.Received != s.Forwarded+s.Waiting {
		t.Errorf("counts %+v do not add up", s)
	}
}

func TestASnapshotAsJSON(t *testing.T) {
	defer bridge.Watch(t).Stop()
	var c bridge.Counts
	c.Received.Add(7)
	c.Forwarded.Add(4)
	c.Looped.Add(1)
	got, err := json.Marshal(c.Snapshot())
	want := `{"received":7,"forwarded":4,"filtered":0,"looped":1,"stale":0,"refused":0,"overflow":0,"stalled":0,"waiting":2}`
	if err != nil || string(got) != want {
		t.Errorf("JSON is %s, %v\nwant %s", got, err, want)
	}
}

func TestNoAllocationForAMessageBetweenHubChannels(t *testing.T) {
	defer bridge.Watch(t).Stop()
	for name, o := range map[string]bridge.Options{
		"plain":    {},
		"lifespan": {LifeSpan: time.Minute},
		"filters": {AToB: bridge.Direction{Filters: []hub.Filter{{}},
			Rewrite: func(id uint32, extended bool) (uint32, bool) { return id + 1, extended }}},
		"ring": {Ring: new(bridge.Ring), A: bridge.Side{Name: "a"}, B: bridge.Side{Name: "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := hubtest.New(t)
			x, y := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
			start(t, h, "a", "b", &o)
			ctx := context.Background()
			hubtest.WaitPeers(t, h, "b", 2)
			perRun := testing.AllocsPerRun(100, func() {
				for range 100 {
					x.Send(ctx, hub.Std(1))
				}
				for range 100 {
					y.Recv(ctx)
				}
			})
			if perRun > 50 { // the hub's slabs
				t.Errorf("%v allocations for 100 messages, want almost none", perRun)
			}
		})
	}
}
