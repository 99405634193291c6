package hub_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// So many messages in one batch take 24 MiB. No more than 1 MiB of that may stay
// for one message that is still queued, and so it is with any more.
const largeBatch = 1 << 18

// A channel and its subscribers, and whom a test is about, before it begins: all
// have their buffers.
func memoryPair(t *testing.T, h *hub.Hub, o hub.SubscriberOptions) (tx, rx *hub.Subscriber) {
	t.Helper()
	tx = openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
	rx = openOn(t, h, "can0", &o)
	for range 20 {
		memorySendBatch(t, tx, 200)
		memorySettle(t, tx)
		for {
			if _, err := rx.Recv(doneCtx()); err != nil {
				break
			}
		}
	}
	return tx, rx
}

// One message that is queued does not keep the batch that it was sent in.
func TestAQueuedMessageKeepsLittleOfALargeBatch(t *testing.T) {
	for _, o := range []hub.SubscriberOptions{
		{Queue: 1000},
		{Queue: 1},
		{Queue: 2, Policy: hub.DropOldest},
		{Queue: 2, Policy: hub.DropNewest},
		{Queue: 2, BlockFor: time.Millisecond},
		{Queue: 1000, Filters: []hub.Filter{{}}},
	} {
		t.Run(fmt.Sprintf("%v, queue %d, BlockFor %v, %d filters", o.Policy, o.Queue, o.BlockFor, len(o.Filters)), func(t *testing.T) {
			inTime(t, "sending a large batch", func() {
				h := hub.New(nil)
				defer h.Close()
				if o.BlockFor > 0 {
					openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1, Policy: hub.DropOldest})
				}
				tx, rx := memoryPair(t, h, hub.SubscriberOptions{Queue: max(o.Queue, 300)})
				rx.Close()
				rx = openOn(t, h, "can0", &o)
				before := heap()
				sent := make(chan error, 1)
				go func() { sent <- tx.SendBatch(context.Background(), make([]hub.Message, largeBatch)) }()
				if o.Policy == hub.Block && o.BlockFor == 0 {
					memoryRecv(t, rx, largeBatch-1) // one stays
					for rx.Stats().Queued == 0 {
						runtime.Gosched()
					}
				}
				if err := <-sent; err != nil {
					t.Fatal(err)
				}
				if o.Policy != hub.Block || o.BlockFor > 0 {
					memorySettle(t, tx)
				}
				if st := rx.Stats(); st.Queued < 1 || st.Queued > 2 {
					t.Errorf("Stats %+v, want one or two queued", st)
				}
				wantHeap(t, "one queued message of a large batch", before, 1<<20)
				runtime.KeepAlive(rx)
			})
		})
	}
}

// Nor does a receiver that has had everything and waits, however it waits.
func TestAReceiverThatWaitsKeepsLittleOfALargeBatch(t *testing.T) {
	for _, way := range ways {
		for _, policy := range []hub.Policy{hub.Block, hub.DropOldest, hub.DropNewest} {
			t.Run(way.name+"/"+policy.String(), func(t *testing.T) {
				inTime(t, "sending a large batch", func() {
					h := hub.New(nil)
					defer h.Close()
					tx, rx := memoryPair(t, h, hub.SubscriberOptions{Queue: 1000, Policy: policy})
					before := heap()
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						for {
							if _, err := way.recv(ctx, rx); err != nil {
								return
							}
						}
					}()
					settled := rx.Stats()
					memorySendBatch(t, tx, largeBatch)
					for st := settled; st.Received+st.Dropped < settled.Received+settled.Dropped+largeBatch; st = rx.Stats() {
						runtime.Gosched()
					}
					wantHeap(t, "a receiver that waits", before, 1<<20)
					cancel()
					<-ended
					runtime.KeepAlive(rx)
				})
			})
		}
	}
}

// A queue takes memory for what is in it, not for what may be.
func TestALongQueueThatIsEmptyTakesLittleMemory(t *testing.T) {
	for _, policy := range []hub.Policy{hub.Block, hub.DropOldest, hub.DropNewest} {
		t.Run(policy.String(), func(t *testing.T) {
			h := hub.New(nil)
			defer h.Close()
			openOn(t, h, "can0", nil)
			before := heap()
			var subs []*hub.Subscriber
			for range 4 {
				subs = append(subs, openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 << 20, Policy: policy}))
			}
			wantHeap(t, "4 empty queues of a million places", before, 1<<20)
			runtime.KeepAlive(subs)
		})
	}
}
