package hub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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

// Also to a reader that waits when the next messages come: it has the error frame
// where something was lost, and nowhere else.
func TestAReaderThatWaitsInBatchesIsToldOfLossesWhereTheyAre(t *testing.T) {
	for policy, want := range map[hub.Policy]string{
		hub.Block:      "1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:8 9:9 10:A",
		hub.DropNewest: "1:1 2:2 3:3 4:4 5:5 ! 10:A",
		hub.DropOldest: "1:1 2:2 3:3 4:4 ! 8:8 9:9 10:A", // 4 is on offer
	} {
		t.Run(policy.String(), func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2, Policy: policy, ErrorFrames: true})
				in := rx.Batches()
				send := func(ids ...uint32) {
					for _, id := range ids {
						sendIDs(t, tx, id)
						synctest.Wait()
					}
				}
				var got []hub.Message
				read := func(d time.Duration) (ended chan struct{}) {
					ended = make(chan struct{})
					end := time.After(d)
					go func() {
						defer close(ended)
						for {
							select {
							case batch := <-in:
								got = append(got, batch...)
							case <-end:
								return
							}
						}
					}()
					synctest.Wait()
					return ended
				}
				ended := read(time.Second)
				send(1, 2, 3)
				<-ended
				send(4, 5, 6, 7, 8, 9) // nobody reads
				ended = read(time.Second)
				send(10)
				<-ended
				if frames(got) != want {
					t.Errorf("received %q, want %q", frames(got), want)
				}
				if st := rx.Stats(); st.Queued != 0 || st.Received+st.Dropped != 10 {
					t.Errorf("Stats %+v, and 10 messages were sent", st)
				}
			})
		})
	}
}

// What was sent before new filters and is still to be handed over they hold for as
// well, also where a reader waits for it already.
func TestNewFiltersHoldForAReaderThatWaitsInBatches(t *testing.T) {
	for _, filters := range [][]hub.Filter{nil, {{ID: 0, Mask: 0x700}}} {
		t.Run(fmt.Sprintf("before: %v", filters), func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				createOn(t, h, "can0", 100)
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Filters: filters})
				in := rx.Batches()
				var got []hub.Message
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for batch := range in {
						got = append(got, batch...)
					}
				}()
				for n := range uint32(6) {
					sendIDs(t, tx, n+1)
					synctest.Wait()
				}
				rx.SetFilters(only(4))
				sendIDs(t, tx, 7, 4)
				slow.Close() // so far the channel has waited for it
				synctest.Wait()
				h.Close()
				<-ended
				if want := "1:1 2:2 4:4 8:4"; frames(got) != want {
					t.Errorf("received %q, want %q", frames(got), want)
				}
			})
		})
	}
}

func TestRecvBatchBesideBatchesReturnsWhatWasSentTogether(t *testing.T) {
	for name, ctx := range map[string]context.Context{"waiting": context.Background(), "a poll": doneCtx()} {
		t.Run(name, func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				rx := openOn(t, h, "can0", nil)
				rx.Batches()
				for range 3 {
					transmitBatch(t, tx, numbered(1, 100))
					synctest.Wait()
					if msgs, err := rx.RecvBatch(ctx); err != nil || len(msgs) != 100 {
						t.Fatalf("RecvBatch returned %d messages, %v, want all 100", len(msgs), err)
					}
				}
			})
		})
	}
}

// What a reader had while it waited takes no room in the queue, and makes none either.
func TestBehindAReaderThatWaitedInBatchesTheQueueIsAsLongAsBefore(t *testing.T) {
	for policy, want := range map[hub.Policy]string{
		hub.Block:      "1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:8 9:9",
		hub.DropNewest: "1:1 2:2 3:3 4:4 5:5 6:6 7:7",
	} {
		t.Run(policy.String(), func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2, Policy: policy})
				in := rx.Batches()
				var got []hub.Message
				read := make(chan struct{})
				go func() {
					defer close(read)
					for len(got) < 5 {
						got = append(got, <-in...)
					}
				}()
				st := hub.Stats{Capacity: 2}
				for n := range uint32(9) {
					synctest.Wait()
					sendIDs(t, tx, n+1)
					synctest.Wait()
					switch {
					case n < 5:
						st.Received++
					case n < 7:
						st.Queued++
					case policy == hub.DropNewest:
						st.Dropped++
					}
					if diff := cmp.Diff(st, rx.Stats()); diff != "" {
						t.Errorf("Stats after message %d (-want +got):\n%s", n+1, diff)
					}
				}
				<-read
				for rest, _ := pollAll(rx); len(rest) > 0; rest, _ = pollAll(rx) {
					got = append(got, rest...)
					synctest.Wait() // there is room
				}
				if frames(got) != want {
					t.Errorf("received %q, want %q", frames(got), want)
				}
			})
		})
	}
}

// While others send without a pause, also at the moment when the channel would hand
// a batch to the reader that waits.
func TestASubscriberMayCloseWhileItsBatchesAreRead(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	ctx, cancel := context.WithCancel(context.Background())
	tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		msgs := numbered(0, 255)
		for tx.SendBatch(ctx, msgs) == nil {
		}
	}()
	inPieces := &hub.SubscriberOptions{Filters: []hub.Filter{{ID: 8, Mask: 8}}} // of 8 messages
	inTime(t, "every subscriber closes, and its chan of Batches with it", func() {
		for range 1500 {
			var all sync.WaitGroup
			for range 8 {
				s := openOn(t, h, "can0", inPieces)
				in := s.Batches()
				all.Go(func() {
					for range in {
					}
				})
				all.Go(func() { s.Close() })
			}
			all.Wait()
		}
	})
	cancel()
	<-sent
}
