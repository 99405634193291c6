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
	at  time.Duration // when it was received, on the clock of Run; 0 without a LifeSpan
	way *way          // the buses that it has been on, in the Ring
}

// A queue holds messages for one side. One goroutine pushes, one takes.
type queue struct {
	limit       int
	dropped     *Counts       // as Overflow or Stalled
	ready, room chan struct{} // hold one signal each; never closed

	mu      sync.Mutex // never held across a wait
	ring    []item     // grows up to limit
	head, n int        // what is queued: n from head on, around the end of ring
	away    bool       // nobody takes: drop the oldest
	stalled bool       // to wait would be to wait for oneself: drop the newest
	untold  uint64     // dropped so, and not returned by setStalled yet
}

func newQueue(limit int, dropped *Counts) *queue {
	return &queue{limit: limit, dropped: dropped, ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push waits for room, unless the side is away or stalled. It returns the items
// that it has not pushed: none, or some with the ctx's error.
func (q *queue) push(ctx context.Context, items []item) ([]item, error) {
	for len(items) > 0 {
		if n := q.put(items); n > 0 {
			items = items[n:]
			signal(q.ready)
			continue
		}
		select {
		case <-q.room:
		case <-ctx.Done():
			return items, ctx.Err()
		}
	}
	return items, nil
}

// put pushes what there is room for, or drops something, and returns with how
// many items it is done.
func (q *queue) put(items []item) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if excess := min(q.n, q.n+len(items)-q.limit); q.away && excess > 0 {
		q.remove(excess)
		q.dropped.Overflow.Add(uint64(excess))
	}
	k := min(len(items), q.limit-q.n)
	if need := q.n + k; need > len(q.ring) {
		bigger := make([]item, min(q.limit, max(2*len(q.ring), need, 16)))
		n := copy(bigger, q.ring[q.head:])
		copy(bigger[n:], q.ring[:q.head])
		q.ring, q.head = bigger, 0
	}
	if k > 0 {
		tail := (q.head + q.n) % len(q.ring)
		n := copy(q.ring[tail:], items[:k])
		copy(q.ring, items[n:k])
		q.n += k
	}
	if rest := len(items) - k; q.stalled && rest > 0 {
		// Not the oldest: those may be on their way.
		q.dropped.Stalled.Add(uint64(rest))
		q.untold += uint64(rest)
		return len(items)
	}
	return k
}

// remove takes n items off the head. Its caller locks.
func (q *queue) remove(n int) {
	q.head = (q.head + n) % len(q.ring)
	q.n -= n
}

// front waits until something is queued and returns some of it, the oldest
// first. The items stay queued, and as they are until drop or setAway.
func (q *queue) front(ctx context.Context) ([]item, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		q.mu.Lock()
		items := q.ring[q.head:min(q.head+q.n, len(q.ring))]
		q.mu.Unlock()
		if len(items) > 0 {
			return items, nil
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
		}
	}
}

// drop removes the first n items.
func (q *queue) drop(n int) {
	q.mu.Lock()
	q.remove(n)
	q.mu.Unlock()
	signal(q.room)
}

func (q *queue) setAway(away bool) {
	q.mu.Lock()
	q.away = away
	q.mu.Unlock()
	signal(q.room)
}

// setStalled returns how many were dropped for it since it was called last.
func (q *queue) setStalled(stalled bool) (dropped uint64) {
	q.mu.Lock()
	q.stalled = stalled
	dropped, q.untold = q.untold, 0
	q.mu.Unlock()
	signal(q.room)
	return dropped
}

// patience is how long finish waits for a bus that takes nothing.
const patience = 5 * time.Second

// finish pushes the last items and waits until all are taken, or nobody takes
// any.
func (q *queue) finish(ctx context.Context, items []item) {
	t := time.NewTimer(patience)
	defer t.Stop()
	for {
		items = items[q.put(items):]
		signal(q.ready)
		q.mu.Lock()
		done := q.n == 0 && len(items) == 0 || q.away
		q.mu.Unlock()
		if done {
			return
		}
		select {
		case <-q.room:
			t.Reset(patience)
		case <-t.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
