package hub_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/canhub-go/canhub/hub"
)

// What was queued and not received is gone when the subscriber has closed, also
// where somebody still holds it, to read its Stats, say.
func TestAClosedSubscriberThatIsHeldKeepsNothingThatWasQueued(t *testing.T) {
	for _, o := range []hub.SubscriberOptions{
		{Queue: 1 << 15},
		{Queue: 1 << 15, Policy: hub.DropNewest},
		{Queue: 1 << 15, Policy: hub.DropOldest},
		{Queue: 1 << 15, Filters: []hub.Filter{{}}},
	} {
		for _, how := range []string{"Close", "Close after Recv", "Close after C", "the hub's Close, then Close"} {
			t.Run(fmt.Sprintf("%v, %d filters/%s", o.Policy, len(o.Filters), how), func(t *testing.T) {
				inTime(t, "sending and closing", func() {
					h := hub.New(nil)
					defer h.Close()
					tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					before := heap()
					rx := openOn(t, h, "can0", &o)
					for range 100 {
						memorySendBatch(t, tx, 256)
					}
					memorySettle(t, tx)
					switch how {
					case "Close after Recv":
						memoryRecv(t, rx, 10)
					case "Close after C":
						<-rx.C()
					case "the hub's Close, then Close":
						h.Close()
					}
					if got := rx.Stats().Queued; got < 25_000 {
						t.Errorf("%d are queued, want 25,600 or so", got)
					}
					rx.Close()
					wantHeap(t, "a closed subscriber", before, 1<<20)
					runtime.KeepAlive(rx)
				})
			})
		}
	}
}
