package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// C of a hub that is closed, and then of a subscriber that is: what was queued
// and not received is gone, by whatever way one asks for it.
func TestCOfAClosedHubGivesNothingAfterTheSubscribersClose(t *testing.T) {
	for _, first := range []string{"C, hub, subscriber", "hub, C, subscriber", "hub, subscriber, C"} {
		for _, o := range []hub.SubscriberOptions{
			{Queue: 1}, {Queue: 8}, {Queue: 8, Filters: []hub.Filter{{}}},
			{Queue: 100, Policy: hub.DropOldest}, {Queue: 100, Policy: hub.DropNewest},
		} {
			for _, take := range []int{0, 1, 5} {
				t.Run(fmt.Sprintf("%s/queue %d, %v, filters %v/%d taken", first, o.Queue, o.Policy, o.Filters, take), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						rx := openOn(t, h, "can0", &o)
						for n := range uint32(40) {
							sendIDs(t, tx, n)
						}
						if first == "C, hub, subscriber" {
							rx.C()
							synctest.Wait()
						}
						h.Close()
						received := uint64(0)
						for range take {
							if first == "hub, subscriber, C" {
								recvNext(t, rx)
							} else if _, ok := <-rx.C(); !ok {
								recvNext(t, rx) // nobody read C while the hub closed
							}
							received++
						}
						if first == "hub, C, subscriber" {
							rx.C()
						}
						rx.Close()
						for m := range rx.C() {
							t.Fatalf("%v came out of C after Close", m)
						}
						if m, err := rx.Recv(doneCtx()); err != hub.ErrClosed {
							t.Errorf("Recv: %v, %v, want ErrClosed", m, err)
						}
						if st := rx.Stats(); st.Received != received || st.Dropped != 0 {
							t.Errorf("Stats %+v, want %d received and none dropped", st, received)
						}
					})
				})
			}
		}
	}
}

// New filters hold also when the hub is closed: for what C gives then too, if the
// subscriber had filters, so that C has no buffer.
func TestNewFiltersHoldForCOfAClosedHub(t *testing.T) {
	for _, first := range []string{"C, hub, filters", "hub, C, filters", "hub, filters, C"} {
		for _, o := range []hub.SubscriberOptions{
			{Queue: 1}, {Queue: 8}, {Queue: 100},
			{Queue: 100, Policy: hub.DropOldest}, {Queue: 100, Policy: hub.DropNewest},
		} {
			for _, take := range []int{0, 1, 6} {
				t.Run(fmt.Sprintf("%s/queue %d, %v/%d taken", first, o.Queue, o.Policy, take), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						o.Filters = []hub.Filter{{}}
						rx := openOn(t, h, "can0", &o)
						for n := range uint32(40) {
							sendIDs(t, tx, n)
						}
						if first == "C, hub, filters" {
							rx.C()
							synctest.Wait()
						}
						h.Close()
						next := uint32(0)
						for range take {
							if first == "hub, filters, C" {
								recvNext(t, rx)
							} else if _, ok := <-rx.C(); !ok {
								recvNext(t, rx) // nobody read C while the hub closed
							}
							next++
						}
						if first == "hub, C, filters" {
							rx.C()
						}
						rx.SetFilters(hub.Filter{ID: 1, Mask: 1})
						for next |= 1; ; next += 2 {
							m, ok := <-rx.C()
							if !ok {
								break
							}
							if m.ID != next {
								t.Fatalf("%v came out, want %03X", m, next)
							}
						}
						rest, err := pollAll(rx) // what C was closed without
						for _, m := range rest {
							if m.ID != next {
								t.Fatalf("%v came out of Recv, want %03X", m, next)
							}
							next += 2
						}
						if err != hub.ErrClosed || next != 41 {
							t.Errorf("the last was before %03X, %v, want 027, then ErrClosed", next, err)
						}
						if st := rx.Stats(); st.Received != uint64(take+(41-take)/2) || st.Queued != 0 || st.Dropped != 0 {
							t.Errorf("Stats %+v, want %d received", st, take+(41-take)/2)
						}
					})
				})
			}
		}
	}
}

// A loop over C that is done and does not read on costs the hub's Close little:
// no more than it takes to see that nobody reads.
func TestAnUnreadCCostsHubCloseATenthOfASecond(t *testing.T) {
	for _, queue := range []int{1, 8, 256} {
		for _, n := range []int{1, 5} {
			for _, read := range []int{0, 1, 10} {
				t.Run(fmt.Sprintf("queue %d/%d subscribers/%d read", queue, n, read), func(t *testing.T) {
					noSpin(t)
					synctest.Test(t, func(t *testing.T) {
						h := hub.New(nil)
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						var subs []*hub.Subscriber
						for range n {
							rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
							rx.C()
							subs = append(subs, rx)
						}
						for range 200 {
							sendIDs(t, tx, 1)
						}
						for range read {
							for _, rx := range subs {
								<-rx.C()
							}
						}
						start := time.Now()
						h.Close() // in the goroutine that reads: nobody else does
						if d := time.Since(start); d > time.Second/10 {
							t.Errorf("Close took %v, want 100ms at most", d)
						}
						for _, rx := range subs { // and nothing is lost
							got, err := pollAll(rx)
							if len(got) != 200-read || err != hub.ErrClosed {
								t.Errorf("received %d more, then %v, want %d, then ErrClosed", len(got), err, 200-read)
							}
						}
					})
				})
			}
		}
	}
}
