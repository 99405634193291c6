package bridge_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

func TestAMessagePassesAsManyBridgesAsTheHopLimitSays(t *testing.T) {
	for limit, last := range []string{1: "b", 2: "c", 3: "d"} {
		if limit == 0 {
			continue
		}
		bridge.Bubble(t, func(t *testing.T) {
			h := hubtest.New(t)
			names := []string{"a", "b", "c", "d", "e"}
			nodes := map[string]*hub.Subscriber{}
			var ring bridge.Ring
			for i, name := range names {
				nodes[name] = hubtest.Open(t, h, name, nil)
				if i > 0 {
					start(t, h, names[i-1], name, &bridge.Options{Ring: &ring, HopLimit: limit,
						A: bridge.Side{Name: names[i-1]}, B: bridge.Side{Name: name}})
				}
			}
			synctest.Wait()
			send(t, nodes["a"], hub.Std(1))
			for _, name := range names[1:] {
				if name <= last {
					hubtest.Want(t, nodes[name], hub.Std(1))
				} else {
					hubtest.WantNone(t, nodes[name])
				}
			}
			hubtest.WantNone(t, nodes["a"])
		})
	}
}

// Two bridges from b to channels that both say they are the bus a. What the
// first puts on b, the second does not forward: it was on a. The note of it that
// it takes outlives a frame that does not arrive there.
type twoWays struct {
	in, node, out *hub.Subscriber // on the first a, on b, on the second a
	at            *hub.Subscriber // of the second bridge, on b
	st            bridge.Stats    // of the second bridge
}

func newTwoWays(t *testing.T) *twoWays {
	h := hubtest.New(t)
	w := &twoWays{
		in:   hubtest.Open(t, h, "a1", nil),
		node: hubtest.Open(t, h, "b", &hub.SubscriberOptions{Queue: 1 << 17}),
		out:  hubtest.Open(t, h, "a2", nil),
		at:   hubtest.Open(t, h, "b", nil),
	}
	var ring bridge.Ring
	names := bridge.Options{Ring: &ring, A: bridge.Side{Name: "a"}, B: bridge.Side{Name: "b"}}
	first, second := names, names
	second.Stats = &w.st
	start(t, h, "a1", "b", &first)
	run(t, hubtest.Open(t, h, "a2", nil), w.at, &second)
	synctest.Wait()
	return w
}

func TestARingExpectsAFrameForTenSeconds(t *testing.T) {
	for _, c := range []struct {
		after     time.Duration
		forwarded bool
	}{{bridge.RingMemory - 1, false}, {bridge.RingMemory, true}} {
		bridge.Bubble(t, func(t *testing.T) {
			w := newTwoWays(t)
			w.at.SetFilters(hub.Filter{ID: 2, Mask: 0x7FF}) // let it miss the frame
			send(t, w.in, hub.Std(1))
			hubtest.Want(t, w.node, hub.Std(1))
			synctest.Wait()
			w.at.SetFilters()
			time.Sleep(c.after)
			send(t, w.node, hub.Std(1))
			if c.forwarded {
				hubtest.Want(t, w.out, hub.Std(1))
			}
			hubtest.WantNone(t, w.out)
			send(t, w.node, hub.Std(1)) // the note served once
			hubtest.Want(t, w.out, hub.Std(1))
		})
	}
}

func TestARingExpectsNoMoreFramesThanRingNotes(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		w := newTwoWays(t)
		w.at.SetFilters(hub.Filter{ID: 0x7FF, Mask: 0x7FF, StandardOnly: true})
		const n = bridge.RingNotes + 2
		send(t, w.in, ids(1, n)...)
		for range n {
			if _, err := w.node.Recv(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		w.at.SetFilters()
		send(t, w.node, hub.Ext(3), hub.Ext(1), hub.Ext(n), hub.Ext(2))
		hubtest.Want(t, w.out, hub.Ext(1), hub.Ext(2)) // those two were forgotten
		hubtest.WantNone(t, w.out)
		wantCounts(t, &w.st.BToA, bridge.Snapshot{Received: 4, Forwarded: 2, Looped: 2})
	})
}

func TestAFrameThatWasRefusedIsNotExpected(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		node, out := hubtest.Open(t, h, "b", nil), hubtest.Open(t, h, "a2", nil)
		var ring bridge.Ring
		names := bridge.Options{Ring: &ring, A: bridge.Side{Name: "a"}, B: bridge.Side{Name: "b"}}
		first, second := names, names
		a, b := newFake(), newFake() // b is the bus b too, and refuses all
		b.onSend = func(context.Context, hub.Message) error { return hub.ErrInvalid }
		run(t, a, b, &first)
		run(t, hubtest.Open(t, h, "a2", nil), hubtest.Open(t, h, "b", nil), &second)
		synctest.Wait()
		a.deliver(hub.Std(1))
		synctest.Wait()
		send(t, node, hub.Std(1))
		hubtest.Want(t, out, hub.Std(1))
	})
}

// Three bridges, each as if in a process of its own: they share nothing.
func TestSeenForEndsARingOfProcesses(t *testing.T) {
	for _, back := range []bridge.Direction{{}, {Off: true}} {
		bridge.Bubble(t, func(t *testing.T) {
			h := hubtest.New(t)
			x := hubtest.Open(t, h, "a", nil)
			nodes := []*hub.Subscriber{hubtest.Open(t, h, "b", nil), hubtest.Open(t, h, "c", nil)}
			var st [3]bridge.Stats
			for i, p := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "a"}} {
				start(t, h, p[0], p[1], &bridge.Options{SeenFor: 5 * time.Millisecond, BToA: back, Stats: &st[i]})
			}
			synctest.Wait()
			const n = 50
			for range n {
				send(t, x, hub.Std(1, 2))
				time.Sleep(10 * time.Millisecond)
			}
			time.Sleep(time.Hour)
			for i := range st {
				if got := st[i].AToB.Forwarded.Load() + st[i].BToA.Forwarded.Load(); got != n {
					t.Errorf("bridge %d forwarded %d messages, want %d", i, got, n)
				}
			}
			for _, bus := range nodes {
				if got := bus.Stats().Queued; got < n {
					t.Errorf("%s received %d messages, want at least %d", bus.Channel(), got, n)
				}
			}
		})
	}
}

func TestAFrameThatWasSeenIsKnownAsItCameAndAsItWent(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		var st bridge.Stats
		run(t, a, b, &bridge.Options{SeenFor: time.Second, Stats: &st,
			AToB: bridge.Direction{Rewrite: func(id uint32, x bool) (uint32, bool) { return id + 1, x }}})
		a.deliver(hub.Std(1), hub.Std(1), hub.Std(1, 0), hub.Std(1, 5))
		synctest.Wait()
		b.deliver(hub.Std(2), hub.Std(1), hub.Std(7))
		time.Sleep(time.Second - 1)
		a.deliver(hub.Std(1))
		synctest.Wait()
		b.wantSent(t, hub.Std(2), hub.Std(2, 0), hub.Std(2, 5))
		a.wantSent(t, hub.Std(7))
		time.Sleep(time.Nanosecond)
		a.deliver(hub.Std(1))
		synctest.Wait()
		b.wantSent(t, hub.Std(2), hub.Std(2, 0), hub.Std(2, 5), hub.Std(2))
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 6, Forwarded: 4, Looped: 2})
		wantCounts(t, &st.BToA, bridge.Snapshot{Received: 3, Forwarded: 1, Looped: 2})
	})
}
