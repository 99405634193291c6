package bridge

import (
	"context"
	"testing"

	"github.com/canhub-go/canhub/hub"
)

// The other side is quick: it may have emptied the queue whenever finish looks.
func TestTheLastItemsAreAllTakenThoughTheyAreMoreThanTheQueueHolds(t *testing.T) {
	const n = 8
	for range 5000 {
		q := newQueue(1, new(Counts))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan uint32)
		go func() {
			var taken uint32
			for {
				items, err := q.front(ctx)
				if err != nil {
					done <- taken
					return
				}
				taken += uint32(len(items))
				q.drop(len(items))
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
