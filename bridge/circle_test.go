package bridge_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// Two hub channels are full of messages for each other, and their nodes read all
// the time. Each channel waits for the bridge to receive, and the bridge for the
// channels to take what it sends. That circle must open at once: the time of a
// bubble passes only while everybody in it waits.
func TestTwoBusyChannelsLoseNothingAndNeverStandStill(t *testing.T) {
	for _, queue := range []int{1, 7, 50, 256} {
		for _, c := range []struct{ inbox, subs, n int }{{1, 1, 500}, {2, 50, 1000}, {128, 256, 5000}} {
			for _, senders := range []int{1, 4} {
				t.Run(fmt.Sprintf("queue=%d/subscribers=%d/senders=%d", queue, c.subs, senders), func(t *testing.T) {
					bridge.Bubble(t, func(t *testing.T) {
						b := newBusy(t, c.inbox, c.subs, senders, c.n/senders)
						synctest.Wait() // all is full
						began := time.Now()
						b.bridge(t, b.sides[0], b.sides[1], queue)
						if d := time.Since(began); d != 0 {
							t.Errorf("all stood still for %v", d)
						}
					})
				})
			}
		}
	}
}

func TestTwoBusyChannelsLoseNothingOutsideOfABubble(t *testing.T) {
	for range 5 {
		b := newBusy(t, 0, 0, 4, 5_000)
		b.bridge(t, b.sides[0], b.sides[1], 0)
	}
}

// Three full channels and three bridges: the circle passes all of them, and no
// bridge alone can see it. In one direction not even ErrStalled would end it.
func TestARingOfBusyChannelsLosesNothingAndNeverStandsStill(t *testing.T) {
	for _, back := range []bridge.Direction{{Off: true}, {}} {
		for _, queue := range []int{1, 256} {
			t.Run(fmt.Sprintf("oneway=%v/queue=%d", back.Off, queue), func(t *testing.T) {
				bridge.Bubble(t, func(t *testing.T) {
					const n, names = 10_000, "abc"
					h := hubtest.New(t)
					ctx := soon(t)
					var wg sync.WaitGroup
					var received [3]int
					var sides [3][2]*hub.Subscriber
					for i := range sides {
						sides[i][0] = hubtest.Open(t, h, names[i:i+1], nil)
						sides[(i+2)%3][1] = hubtest.Open(t, h, names[i:i+1], nil)
						tx := hubtest.Open(t, h, names[i:i+1], &hub.SubscriberOptions{SendOnly: true})
						rx := hubtest.Open(t, h, names[i:i+1], nil)
						wg.Go(func() {
							for id := range uint32(n) {
								tx.Send(ctx, hub.Ext(id, names[i]))
							}
						})
						go func() {
							for range rx.All(context.Background()) {
								received[i]++
							}
						}()
					}
					synctest.Wait() // all is full
					began := time.Now()
					var ring bridge.Ring
					var st [3]bridge.Stats
					for i := range sides {
						run(t, sides[i][0], sides[i][1], &bridge.Options{Ring: &ring, Queue: queue, BToA: back, Stats: &st[i],
							A: bridge.Side{Name: names[i : i+1]}, B: bridge.Side{Name: names[(i+1)%3 : (i+1)%3+1]}})
					}
					wg.Wait()
					synctest.Wait()
					if d := time.Since(began); d != 0 {
						t.Errorf("all stood still for %v", d)
					}
					for i := range st {
						for _, c := range []*bridge.Counts{&st[i].AToB, &st[i].BToA} {
							if s := c.Snapshot(); s.Stalled != 0 || s.Waiting != 0 {
								t.Errorf("bridge %d: counts %+v, want none stalled or waiting", i, s)
							}
						}
						if received[i] < 3*n {
							t.Errorf("%d messages on channel %d, want those of three channels", received[i], i)
						}
					}
				})
			})
		}
	}
}

// Buses that are not known to be hub channels may just be slow, so the bridge
// looks for a moment before it takes more than its queues hold.
func TestTwoBusyChannelsBehindOtherTypesLoseNothing(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		b := newBusy(t, 0, 0, 1, 5_000)
		synctest.Wait()
		began := time.Now()
		b.bridge(t, plain{b.sides[0]}, plain{b.sides[1]}, 0)
		if d := time.Since(began); d >= time.Second {
			t.Errorf("all stood still for %v, as long as it takes the hub to say ErrStalled", d)
		}
	})
}

// Both queues are full and both sends take time: so they do on buses with more
// to carry than they can.
func TestTwoSlowBusesMakeTheBridgeWaitAndLoseNothing(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		const queue, n = 5, 1000
		a, b := newFake(), newFake()
		slowly := func(context.Context, hub.Message) error { time.Sleep(9 * time.Millisecond); return nil }
		a.onSend, b.onSend = slowly, slowly
		var st bridge.Stats
		run(t, a, b, &bridge.Options{Queue: queue, Stats: &st})
		a.deliver(ids(1, n)...)
		b.deliver(ids(1, n)...)
		for st.AToB.Forwarded.Load() < n/2 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
			for _, c := range []*bridge.Counts{&st.AToB, &st.BToA} {
				if s := c.Snapshot(); s.Waiting > queue+1 {
					t.Fatalf("counts %+v: %d wait, want at most the queue and one", s, s.Waiting)
				}
			}
		}
		time.Sleep(time.Minute)
		a.wantSent(t, ids(1, n)...)
		b.wantSent(t, ids(1, n)...)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: n, Forwarded: n})
		wantCounts(t, &st.BToA, bridge.Snapshot{Received: n, Forwarded: n})
	})
}

// A bus takes nothing, so the channel on the other side waits for the bridge, and
// the bridge for that channel. It hears so by ErrStalled, receives what its own
// queue has no room for, and what it had to send is sent.
func TestAStalledMessageIsSentWhenTheBridgeHasReceivedMore(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		if err := h.Create("b", &hub.ChannelOptions{Inbox: 1}); err != nil {
			t.Fatal(err)
		}
		node := hubtest.Open(t, h, "b", nil)
		a, b := newFake(), hubtest.Open(t, h, "b", &hub.SubscriberOptions{Queue: 1})
		stuck := make(chan struct{}) // closed below
		a.onSend = func(ctx context.Context, _ hub.Message) error {
			select {
			case <-stuck:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		const n = 50
		go func() {
			for i := range uint32(n) {
				node.Send(context.Background(), hub.Ext(i))
			}
		}()
		var st bridge.Stats
		run(t, a, b, &bridge.Options{Queue: 1, Stats: &st})
		synctest.Wait()
		a.deliver(ids(100, 109)...)
		time.Sleep(time.Minute)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 10, Forwarded: 10})
		close(stuck)
		hubtest.Want(t, node, ids(100, 109)...)
		time.Sleep(time.Second)
		wantCounts(t, &st.BToA, bridge.Snapshot{Received: n, Forwarded: n})
	})
}

// The bus says that it waits for the bridge, which does receive from it.
func TestAMessageThatStallsTwiceForNoReasonIsDroppedAlone(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		stalls := map[uint32]int{1: 1, 2: 1, 3: 2, 4: 1, 5: 3, 6: 4} // and then the bus takes it
		b.onSend = func(_ context.Context, m hub.Message) error {
			if stalls[m.ID]--; stalls[m.ID] >= 0 {
				time.Sleep(time.Second)
				return hub.ErrStalled
			}
			return nil
		}
		var st bridge.Stats
		run(t, a, b, &bridge.Options{Stats: &st})
		a.deliver(ids(1, 8)...)
		time.Sleep(time.Minute)
		b.wantSent(t, hub.Ext(1), hub.Ext(2), hub.Ext(4), hub.Ext(7), hub.Ext(8))
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 8, Forwarded: 5, Stalled: 3})
	})
}

// As above, but each time the bridge does receive something.
func TestAMessageIsSentAgainAsLongAsTheBridgeReceives(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		stalls := 0
		b.onSend = func(context.Context, hub.Message) error {
			if stalls++; stalls > 5 {
				return nil
			}
			b.deliver(hub.Ext(uint32(stalls)))
			time.Sleep(time.Second)
			return hub.ErrStalled
		}
		var st bridge.Stats
		run(t, a, b, &bridge.Options{Stats: &st})
		a.deliver(hub.Std(1))
		time.Sleep(time.Minute)
		b.wantSent(t, hub.Std(1))
		a.wantSent(t, ids(1, 5)...)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 1, Forwarded: 1})
	})
}

// busy is two channels with senders that have something to say and nodes that
// read, and a place for a bridge on each.
type busy struct {
	sides [2]*hub.Subscriber
	each  int // so many messages are for each direction
	wg    sync.WaitGroup
}

// newBusy has senders on each channel send n messages each. The nodes check that
// they receive those of both channels, and those of one sender in order.
func newBusy(t *testing.T, inbox, subs, senders, n int) *busy {
	b := &busy{each: senders * n}
	ctx := soon(t)
	for i := range b.sides {
		h := hubtest.New(t)
		if err := h.Create("can0", &hub.ChannelOptions{Inbox: inbox}); err != nil {
			t.Fatal(err)
		}
		b.sides[i] = hubtest.Open(t, h, "can0", &hub.SubscriberOptions{Queue: subs})
		node := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{Queue: subs})
		b.wg.Go(func() {
			next := map[uint32]uint32{}
			for range 2 * b.each {
				m, err := node.Recv(ctx)
				if err != nil {
					t.Errorf("a node on channel %d has received %v: %v", i, next, err)
					return
				}
				if seq := uint32(m.Data[0]) | uint32(m.Data[1])<<8; seq != next[m.ID] {
					t.Errorf("a node on channel %d received message %d of %x, want %d", i, seq, m.ID, next[m.ID])
					return
				}
				next[m.ID]++
			}
		})
		for k := range senders {
			s := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
			b.wg.Go(func() {
				for seq := range uint32(n) {
					if err := s.Send(ctx, hub.Ext(uint32(i<<8|k), byte(seq), byte(seq>>8))); err != nil {
						t.Errorf("sender %d on channel %d: %v", k, i, err)
						return
					}
				}
			})
		}
	}
	return b
}

// bridge joins the channels until the nodes have all they want, and checks the
// counts.
func (b *busy) bridge(t *testing.T, sideA, sideB hub.Bus, queue int) {
	t.Helper()
	var st bridge.Stats
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		bridge.Run(ctx, sideA, sideB, &bridge.Options{Queue: queue, Stats: &st})
	}()
	b.wg.Wait()
	cancel()
	<-done
	want := bridge.Snapshot{Received: uint64(b.each), Forwarded: uint64(b.each)}
	wantCounts(t, &st.AToB, want)
	wantCounts(t, &st.BToA, want)
}

// soon ends a wait that would never end, long before the test binary does.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
