package hub_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/canhub-go/canhub/hub"
)

// Polls of a subscriber that has used C before. A goroutine stands between the
// queue and the chan then, and a poll does not miss what it has in hand.

func TestAPollAfterCReturnsWhatIsQueuedWhileTheHubCloses(t *testing.T) {
	for _, poll := range polls {
		for _, o := range []hub.SubscriberOptions{
			{Queue: 1}, {Queue: 1, Filters: []hub.Filter{{}}}, {Queue: 8}, {Queue: 100, Filters: []hub.Filter{{}}},
			{Queue: 200, Policy: hub.DropOldest}, {Queue: 200, Policy: hub.DropNewest},
		} {
			t.Run(fmt.Sprintf("%s/queue %d, %v, filters %v", poll.name, o.Queue, o.Policy, o.Filters), func(t *testing.T) {
				for range 20 { // what the goroutine is at is chance
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						rx := openOn(t, h, "can0", &o)
						rx.C()
						for n := range uint32(100) {
							sendIDs(t, tx, n+1)
						}
						ended := make(chan struct{})
						go func() {
							defer close(ended)
							h.Close()
						}()
						synctest.Wait() // the channel has done its work
						got, err := pollFrames(rx, poll.recv)
						if want := frames1(1, 100); got != want {
							t.Errorf("polled %d messages, then %v, want all 100", len(strings.Fields(got)), err)
						} else if synctest.Wait(); err != hub.ErrClosed {
							if got, err = pollFrames(rx, poll.recv); got != "" || err != hub.ErrClosed {
								t.Errorf("polled all, and then %q, %v, want ErrClosed", got, err)
							}
						}
						rx.Close()
						<-ended
					})
				}
			})
		}
	}
}

func TestAPollAfterCTellsALossBeforeItsError(t *testing.T) {
	for _, poll := range polls {
		for _, policy := range []hub.Policy{hub.DropNewest, hub.DropOldest} {
			for _, closing := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%v/hub closes %v", poll.name, policy, closing), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2, Policy: policy, ErrorFrames: true})
						rx.C()
						sendIDs(t, tx, 1)
						synctest.Wait() // one is on offer
						sendIDs(t, tx, 2, 3, 4, 5, 6)
						synctest.Wait()
						want, wantErr := "1:1 2:2 !", context.Canceled
						if policy == hub.DropOldest {
							want = "1:1 ! 5:5 6:6"
						}
						ended := make(chan struct{})
						go func() {
							defer close(ended)
							if closing {
								h.Close()
							}
						}()
						if synctest.Wait(); closing {
							wantErr = hub.ErrClosed
						}
						if got, err := pollFrames(rx, poll.recv); got != want {
							t.Errorf("polled %q, then %v, want %q, then %v", got, err, want, wantErr)
						}
						synctest.Wait() // the end may take a moment
						if got, err := pollFrames(rx, poll.recv); got != "" || err != wantErr {
							t.Errorf("and then %q, %v, want %v", got, err, wantErr)
						}
						<-ended
					})
				})
			}
		}
	}
}
