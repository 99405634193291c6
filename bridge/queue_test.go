package bridge

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// The other side is quick: it may have emptied the queue whenever finish looks.
func TestTheLastItemsAreAllTakenThoughTheyAreMoreThanTheQueueHolds(t *testing.T) {
	defer Watch(t).Stop()
	const n = 8
	for range 5000 {
		_, q := new(net).join("a", "b", 1, new(Counts), new(Counts))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan uint32)
		go func() {
			var taken uint32
			for {
				msgs, _, err := q.front(ctx)
				if err != nil {
					done <- taken
					return
				}
				taken += uint32(len(msgs))
				q.drop(len(msgs))
			}
		}()
		var items []item
		for id := range uint32(n) {
			items = append(items, item{m: hub.Std(id)})
		}
		q.finish(ctx, items)
		cancel()
		if taken := <-done; taken != n {
			t.Fatalf("%d items were taken, want %d", taken, n)
		}
	}
}

// Both queues are as long as may be, and both buses wait. Then what has been
// received at one go for the one that says so makes way for it.
func TestWhereNoQueueMayGrowAsMuchIsDroppedAsWaits(t *testing.T) {
	defer Watch(t).Stop()
	toA, toB := new(net).join("a", "b", maxGrown, new(Counts), new(Counts))
	items := make([]item, maxGrown)
	for _, q := range []*queue{toA, toB} {
		q.setConnected(true)
		if n := q.put(items); n != maxGrown {
			t.Fatalf("%d items were pushed, want %d", n, maxGrown)
		}
		if msgs, _, err := q.front(t.Context()); err != nil || len(msgs) != maxBatch {
			t.Fatalf("%d items at the front, %v, want %d", len(msgs), err, maxBatch)
		}
	}
	toB.stalled(false)
	if got := toB.stalled(true); got != 1 {
		t.Errorf("stalled is %d though nothing waits, want 1", got)
	}
	for _, q := range []*queue{toA, toB} {
		if n := q.put(items[:100]); n != 0 {
			t.Fatalf("%d items were pushed, want none", n)
		}
		q.wait(100)
	}
	if toA.more || toB.more {
		t.Error("a queue was told to take more")
	}
	if got := toB.stalled(false); got != 0 {
		t.Errorf("stalled is %d the first time, want 0", got)
	}
	if got := toB.stalled(true); got != 100 {
		t.Errorf("stalled is %d the second time, want 100", got)
	}
}

// A queue that has opened a circle has its size and its memory back soon after,
// with and without traffic.
func TestAQueueThatHasGrownGivesItsMemoryBack(t *testing.T) {
	for name, traffic := range map[string]bool{"quiet": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			Bubble(t, func(t *testing.T) {
				toA, toB := new(net).join("a", "b", 4, new(Counts), new(Counts))
				for _, q := range []*queue{toA, toB} {
					q.setConnected(true)
					q.put(make([]item, 4))
					q.front(t.Context())
				}
				toA.wait(1000)
				toB.wait(1000) // closes the circle
				grown := toA
				if toB.more {
					grown = toB
				}
				if n := grown.put(make([]item, 1000)); n != 1000 {
					t.Fatalf("%d items were pushed beyond the limit, want 1000", n)
				}
				if n := grown.put(make([]item, 1)); n != 0 {
					t.Fatal("one more was pushed, though the circle is open")
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					for {
						msgs, _, err := grown.front(ctx)
						if err != nil {
							return
						}
						grown.drop(len(msgs))
					}
				}()
				if traffic {
					for range 150 {
						time.Sleep(10 * time.Millisecond)
						grown.push(ctx, make([]item, 1))
					}
				} else {
					time.Sleep(shrinkAfter)
				}
				synctest.Wait()
				cancel()
				<-done
				if len(grown.msgs) > 16 || len(grown.abouts) != len(grown.msgs) {
					t.Errorf("the queue has room for %d messages, want its limit", len(grown.msgs))
				}
			})
		})
	}
}
