package bridge

import (
	"context"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// An item is a message on its way through the bridge.
type item struct {
	m   hub.Message
	at  time.Time // of receipt
	way []string  // buses it has been on, in the Ring
}

// A queue holds messages for one side. One goroutine pushes, one takes.
type queue struct {
	mu          sync.Mutex // never held across a wait
	items       []item
	limit       int
	away        bool          // nobody takes: drop the oldest
	ready, room chan struct{} // hold one signal each; never closed
}

func newQueue(limit int) *queue {
	return &queue{limit: limit, ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push waits for room, or makes it while the side is away. It returns how many
// it dropped, or the ctx's error.
func (q *queue) push(ctx context.Context, it item) (dropped uint64, err error) {
	for {
		q.mu.Lock()
		if q.away && len(q.items) == q.limit {
			q.items = q.items[1:]
			dropped++
		}
		if len(q.items) < q.limit {
			q.items = append(q.items, it)
			q.mu.Unlock()
			signal(q.ready)
			return dropped, nil
		}
		q.mu.Unlock()
		select {
		case <-q.room:
		case <-ctx.Done():
			return dropped, ctx.Err()
		}
	}
}

// first waits for a message and leaves it in the queue.
func (q *queue) first(ctx context.Context) (item, error) {
	for {
		if err := ctx.Err(); err != nil {
			return item{}, err
		}
		q.mu.Lock()
		if len(q.items) > 0 {
			it := q.items[0]
			q.mu.Unlock()
			return it, nil
		}
		q.mu.Unlock()
		select {
		case <-q.ready:
		case <-ctx.Done():
		}
	}
}

// drop removes the first message.
func (q *queue) drop() {
	q.mu.Lock()
	q.items = q.items[1:]
	q.mu.Unlock()
	signal(q.room)
}

func (q *queue) setAway(away bool) {
	q.mu.Lock()
	q.away = away
	q.mu.Unlock()
	signal(q.room)
}
