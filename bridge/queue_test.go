package bridge

import (
	"context"
	"slices"
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
		_, q := new(mesh).join("a", "b", 1, new(Counts), new(Counts))
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

// closeCircle fills both queues, and has both sides wait for room.
func closeCircle(t *testing.T, qs ...*queue) {
	t.Helper()
	for i, q := range qs {
		if qs[0].more || qs[1].more {
			t.Fatalf("a queue may grow, and %d wait for room", i)
		}
		q.setConnected(true)
		if n := q.put(make([]item, q.limit)); n != q.limit {
			t.Fatalf("%d items were pushed, want %d", n, q.limit)
		}
		q.wait(1)
	}
	if qs[0].more == qs[1].more {
		t.Fatalf("both queues may grow, or none: %v", qs[0].more)
	}
}

// The one that waits is about to go on, for something was taken.
func TestAQueueWithRoomIsNoPartOfACircle(t *testing.T) {
	defer Watch(t).Stop()
	toA, toB := new(mesh).join("a", "b", 4, new(Counts), new(Counts))
	toA.setConnected(true)
	toA.put(make([]item, 4))
	toA.wait(1)
	toA.drop(1)
	toB.setConnected(true)
	toB.put(make([]item, 4))
	toB.wait(1)
	if toA.more || toB.more {
		t.Error("a queue may grow, though there is room in the other")
	}
	toA.put(make([]item, 1))
	toA.wait(1)
	if toA.more == toB.more {
		t.Errorf("both queues may grow, or none: %v", toA.more)
	}
}

// As long as a bus is not known to wait for others its sends may just be slow.
func TestASlowSendIsNoPartOfACircleUntilItIsStuck(t *testing.T) {
	defer Watch(t).Stop()
	toA, toB := new(mesh).join("a", "b", 4, new(Counts), new(Counts))
	for _, q := range []*queue{toA, toB} {
		q.put(make([]item, 4))
		if q.wait(1) {
			t.Error("a queue is sure that its send is not slow")
		}
	}
	toA.setStuck()
	toA.drop(1) // it was slow
	toA.put(make([]item, 1))
	toA.wait(1)
	toB.setStuck()
	toB.wait(1)
	if toA.more || toB.more {
		t.Error("a queue may grow for a send that is slow")
	}
	toA.stalled(false) // the bus says that it waits
	if !toA.wait(1) {
		t.Error("the queue is not sure of what the bus has said")
	}
	if toA.more == toB.more {
		t.Errorf("both queues may grow, or none: %v", toA.more)
	}
}

func TestACircleThatIsOlderThanTheConnectionOpens(t *testing.T) {
	defer Watch(t).Stop()
	toA, toB := new(mesh).join("a", "b", 4, new(Counts), new(Counts))
	for _, q := range []*queue{toA, toB} {
		q.put(make([]item, 4))
		q.wait(1)
	}
	toA.setConnected(true)
	if toA.more || toB.more {
		t.Error("a queue may grow for a send that is slow")
	}
	toB.setConnected(true)
	if toA.more == toB.more {
		t.Errorf("both queues may grow, or none: %v", toA.more)
	}
}

// a waits for b, and c for a, but b does not wait for c.
func TestWaitsThatDoNotMeetAreNoCircle(t *testing.T) {
	defer Watch(t).Stop()
	var m mesh
	_, ab := m.join("a", "b", 1, new(Counts), new(Counts))
	_, ca := m.join("c", "a", 1, new(Counts), new(Counts))
	for _, q := range []*queue{ab, ca} {
		q.setConnected(true)
		q.put(make([]item, 1))
		q.wait(1)
	}
	ab.wait(1) // that of c was not there yet
	if ab.more || ca.more {
		t.Error("a queue may grow")
	}
}

// One has grown, and is beyond its limit when something has been taken.
func TestTheShorterQueueOpensTheCircle(t *testing.T) {
	defer Watch(t).Stop()
	for _, more := range []int{1, 2} {
		toA, toB := new(mesh).join("a", "b", 4, new(Counts), new(Counts))
		closeCircle(t, toA, toB)
		grown, other := toA, toB
		if toB.more {
			grown, other = toB, toA
		}
		for range more {
			grown.letIn()
			grown.put(make([]item, 1))
		}
		grown.wait(1)
		if grown.more || !other.more {
			t.Errorf("the longer queue may grow: %v, the shorter one: %v", grown.more, other.more)
		}
		other.put(make([]item, 3))
		other.wait(1)
		if !grown.more || other.more {
			t.Errorf("the shorter queue may grow: %v, the longer one: %v", grown.more, other.more)
		}
		grown.put(make([]item, 9))
		grown.wait(1)
		if grown.more || !other.more {
			t.Errorf("the longer queue may grow: %v, the shorter one: %v", grown.more, other.more)
		}
		other.put(make([]item, 1))
		grown.drop(1) // and it is still beyond
		other.wait(1)
		if !other.more {
			t.Error("the shorter queue may not grow")
		}
	}
}

// b waits for c, c for b, and a for b: no circle leads through a.
func TestABusThatWaitsForACircleIsNoPartOfIt(t *testing.T) {
	defer Watch(t).Stop()
	var m mesh
	_, ab := m.join("a", "b", 1, new(Counts), new(Counts))
	cb, bc := m.join("b", "c", 1, new(Counts), new(Counts))
	for _, q := range []*queue{cb, bc} {
		q.sure, q.wanted = true, 1
	}
	ab.sure = true
	ab.put(make([]item, 1))
	ab.wait(1)
	if ab.more {
		t.Error("the queue from a may grow")
	}
}

// Both queues are as long as may be, and both buses wait. Then what has been
// received at one go for the one that says so makes way for it.
func TestWhereNoQueueMayGrowAsMuchIsDroppedAsWaits(t *testing.T) {
	defer Watch(t).Stop()
	toA, toB := new(mesh).join("a", "b", maxGrown-50, new(Counts), new(Counts))
	closeCircle(t, toA, toB)
	if !toA.more && !toB.more {
		t.Fatal("no queue may grow")
	}
	for _, q := range []*queue{toA, toB} {
		q.letIn()
		if n := q.put(make([]item, 150)); n != 50 || len(q.msgs) != maxGrown {
			t.Fatalf("%d items were pushed, and there is room for %d, want 50 and %d", n, len(q.msgs), maxGrown)
		}
		q.wait(100)
	}
	if toA.more || toB.more {
		t.Error("a queue may grow for ever")
	}
	if got := toB.stalled(false); got != 0 {
		t.Errorf("stalled is %d the first time, want 0", got)
	}
	toA.put(make([]item, 1)) // finds no room
	toA.wait(1)
	if got := toB.stalled(true); got != 100 {
		t.Errorf("stalled is %d the second time, want 100", got)
	}
	toB.drop(100)
	if got := toB.stalled(true); got != 1 {
		t.Errorf("stalled is %d when nothing waits, want 1", got)
	}
	toA.wanted = 0 // it receives
	toB.wait(100)
	if got := toB.stalled(true); got != 1 {
		t.Errorf("stalled is %d though the bridge receives, want 1", got)
	}
	toA.drop(1)
	toA.letIn()
	toA.put(make([]item, 1))
	if got := toB.stalled(true); got != 0 {
		t.Errorf("stalled is %d though the bridge has received something, want 0", got)
	}
}

// The rings are full and wrapped when they grow.
func TestAQueueKeepsItsOrderWhenItGrows(t *testing.T) {
	defer Watch(t).Stop()
	toA, _ := new(mesh).join("a", "b", 20, new(Counts), new(Counts))
	next, sizes := 0, []int{}
	put := func(n int) {
		for range n {
			toA.put([]item{{hub.Ext(uint32(next)), about{at: time.Duration(next)}}})
			next++
		}
		sizes = append(sizes, len(toA.msgs))
	}
	put(16)
	toA.drop(10)
	put(10)
	put(4)
	toA.letIn()
	put(1)
	if want := []int{16, 16, 20, 40}; !slices.Equal(sizes, want) {
		t.Errorf("there is room for %v messages, want %v", sizes, want)
	}
	for got := 10; got < next; {
		msgs, abouts, err := toA.front(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range msgs {
			if msgs[i].ID != uint32(got) || abouts[i].at != time.Duration(got) {
				t.Fatalf("message %d was received at %v, want %d", msgs[i].ID, abouts[i].at, got)
			}
			got++
		}
		toA.drop(len(msgs))
	}
}

func TestALongQueueTakesNoMoreMemoryThanItNeeds(t *testing.T) {
	defer Watch(t).Stop()
	toA, _ := new(mesh).join("a", "b", maxQueue, new(Counts), new(Counts))
	toA.put(make([]item, 1))
	if n := len(toA.msgs); n != 16 {
		t.Errorf("there is room for %d messages, want 16", n)
	}
	toA, _ = new(mesh).join("a", "b", 20, new(Counts), new(Counts))
	toA.put(make([]item, 16))
	toA.put(make([]item, 4))
	if n := len(toA.msgs); n != 20 {
		t.Errorf("there is room for %d messages, want 20", n)
	}
	for _, limit := range []int{16, 17} {
		toA, _ := new(mesh).join("a", "b", limit, new(Counts), new(Counts))
		for range 3 {
			toA.put(make([]item, 1))
			toA.drop(1)
			if len(toA.msgs) != 16 {
				t.Error("a queue within its limit has given its memory back")
			}
		}
	}
}

// A queue that has opened a circle has its size and its memory back soon after,
// with and without traffic.
func TestAQueueThatHasGrownGivesItsMemoryBack(t *testing.T) {
	for name, traffic := range map[string]bool{"quiet": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			Bubble(t, func(t *testing.T) {
				toA, toB := new(mesh).join("a", "b", 4, new(Counts), new(Counts))
				closeCircle(t, toA, toB)
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
				if n := len(grown.msgs); n > 2000 {
					t.Errorf("the queue has room for %d messages, and holds 1004", n)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done, most := make(chan struct{}), 0
				go func() {
					defer close(done)
					for {
						msgs, _, err := grown.front(ctx)
						if err != nil {
							return
						}
						most = max(most, len(msgs))
						grown.drop(len(msgs))
					}
				}()
				if traffic {
					for range 150 {
						time.Sleep(10 * time.Millisecond)
						grown.push(ctx, make([]item, 1))
					}
				} else {
					time.Sleep(shrinkAfter - 1)
					synctest.Wait()
					grown.mu.Lock()
					n := len(grown.msgs)
					grown.mu.Unlock()
					if n < 1000 {
						t.Errorf("the memory was given back in less than %v", shrinkAfter)
					}
					time.Sleep(time.Nanosecond)
				}
				synctest.Wait()
				cancel()
				<-done
				if most != 1004 {
					t.Errorf("at most %d messages were sent at once, want all 1004", most)
				}
				if len(grown.msgs) > 16 || len(grown.abouts) != len(grown.msgs) {
					t.Errorf("the queue has room for %d messages, want its limit", len(grown.msgs))
				}
			})
		})
	}
}

func TestABridgeThatEndsLeavesTheMeshToTheOthers(t *testing.T) {
	defer Watch(t).Stop()
	var m mesh
	ab, ba := m.join("a", "b", 1, new(Counts), new(Counts))
	cd, dc := m.join("c", "d", 1, new(Counts), new(Counts))
	ef, fe := m.join("e", "f", 1, new(Counts), new(Counts))
	cd.leave()
	if want := []*queue{ab, ba, ef, fe}; !slices.Equal(m.queues, want) {
		t.Errorf("the mesh holds %v, want all but %p and %p", m.queues, cd, dc)
	}
	fe.leave()
	ab.leave()
	if len(m.queues) != 0 {
		t.Errorf("the mesh holds %v, want nothing", m.queues)
	}
}

func TestAQueueThatIsNotEmptyKeepsItsMemory(t *testing.T) {
	Bubble(t, func(t *testing.T) {
		toA, _ := new(mesh).join("a", "b", 4, new(Counts), new(Counts))
		toA.letIn()
		toA.put(make([]item, 50))
		toA.drop(47)
		time.Sleep(2 * shrinkAfter)
		toA.drop(1)
		if toA.n != 2 || len(toA.msgs) != 50 {
			t.Errorf("%d messages are left, and room for %d, want 2 and 50", toA.n, len(toA.msgs))
		}
		toA.drop(2)
		if len(toA.msgs) != 0 {
			t.Errorf("there is room for %d messages, want the memory given back", len(toA.msgs))
		}
	})
}

func TestAQueueWithinItsLimitIsSentInParts(t *testing.T) {
	defer Watch(t).Stop()
	toA, _ := new(mesh).join("a", "b", 1000, new(Counts), new(Counts))
	toA.put(make([]item, 1000))
	if msgs, _, err := toA.front(t.Context()); err != nil || len(msgs) != maxBatch {
		t.Errorf("%d messages are to be sent at once, %v, want %d", len(msgs), err, maxBatch)
	}
}
