package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// C has a buffer, which later filters do not reach into, under Block without a limit
// and without filters. For all others they hold for whatever has not come out yet.
func TestNewFiltersHoldForAllThatCHasNotGivenUnlessItHasABuffer(t *testing.T) {
	for _, o := range []hub.SubscriberOptions{
		{BlockFor: time.Hour},
		{Filters: []hub.Filter{{}}},
		{Policy: hub.DropOldest},
		{Policy: hub.DropNewest},
	} {
		t.Run(fmt.Sprintf("%v, BlockFor %v, filters %v", o.Policy, o.BlockFor, o.Filters), func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				rx := openOn(t, h, "can0", &o)
				in := rx.C()
				sendIDs(t, tx, 1, 2, 3, 4, 5, 6)
				synctest.Wait()
				rx.SetFilters(only(5))
				synctest.Wait()
				wantPolled(t, rx, "5:5")
				if n := cap(in); n != 0 {
					t.Errorf("C has a buffer of %d, want none", n)
				}
			})
		})
	}
}

// Batches that is first called when the hub has closed holds all that is left, and a
// poll finds it there.
func TestAPollReturnsWhatBatchesOfAClosedHubHolds(t *testing.T) {
	for _, poll := range polls {
		t.Run(poll.name, func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				var all []*hub.Subscriber
				for range 20 {
					all = append(all, openOn(t, h, "can0", nil))
				}
				for n := range uint32(3) {
					sendIDs(t, tx, n+1)
					synctest.Wait()
				}
				h.Close()
				for _, rx := range all {
					rx.Batches()
					if got, err := pollFrames(rx, poll.recv); got != frames1(1, 3) || err != hub.ErrClosed {
						t.Fatalf("polled %q, then %v, want 1 to 3, then ErrClosed", got, err)
					}
				}
			})
		})
	}
}
