package bridge

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// An item is a message on its way through the bridge.
type item struct {
	m hub.Message
	about
}

// about is what is known of a message besides.
type about struct {
	at  time.Duration // when it was received, on the clock of Run; 0 without a LifeSpan
	way *way          // the buses that it has been on, in the Ring
}

const (
	// maxQueue bounds Queue.
	maxQueue = 1 << 20
	// maxGrown bounds what a queue that is shorter grows to while it opens a circle:
	// that is 28 MiB. Between hub channels it grows to about as much as is on its way
	// to them, thousands if senders are busy.
	maxGrown = 1 << 18
	// maxBatch bounds what is sent at once from a queue that is within its limit.
	maxBatch = 256
	// stuckAfter is how long a send must wait to count as one that waits for others,
	// where that is not known at once. A bus that is only slow takes less.
	stuckAfter = 10 * time.Millisecond
	// shrinkAfter is for how long a queue must have been within its limit before
	// the memory that it has grown by is given back.
	shrinkAfter = time.Second
)

// A mesh is the queues of all bridges of a Ring, or of one without. Each carries
// messages from a bus to a bus. While items wait for room in it, and so for a send
// that waits, the one bus waits for the other. Where such waits close a circle none
// would ever end. Then the shortest queue in it takes what one receive call has
// brought, over its limit: it is the least that opens the circle without a loss.
type mesh struct {
	mu     sync.Mutex // never held across a wait
	queues []*queue
	turn   int // of shortest
}

// A queue holds messages for one side. One goroutine pushes, one takes.
type queue struct {
	*mesh
	from, to    string // buses
	other       *queue // the way back
	limit       int
	dropped     *Counts       // as Overflow
	ready, room chan struct{} // hold one signal each; never closed

	// What is queued: n from head on, around the end of both rings. Messages lie
	// on their own, so that they can be sent as they lie. The rings grow up to
	// limit, and beyond it to open a circle.
	msgs    []hub.Message
	abouts  []about
	head, n int
	over    time.Time // when n was last seen beyond limit

	away   bool // nobody takes: drop the oldest
	wanted int  // so many items wait for room, and so for a send to end
	sure   bool // a send that lasts is not just slow: it waits for others
	stuck  bool // the send has lasted for stuckAfter
	more   bool // let items in beyond limit

	puts  uint64 // how often something was pushed
	stall uint64 // what the other queue's puts was when the bus last stalled
	turn  int    // the last in which shortest came here

	timer *time.Timer // of the goroutine that pushes: when stuck is true
}

// join returns new queues for a and for b, buses of these names.
func (m *mesh) join(a, b string, limit int, bToA, aToB *Counts) (toA, toB *queue) {
	toA, toB = newQueue(m, b, a, limit, bToA), newQueue(m, a, b, limit, aToB)
	toA.other, toB.other = toB, toA
	m.mu.Lock()
	m.queues = append(m.queues, toA, toB)
	m.mu.Unlock()
	return toA, toB
}

func newQueue(m *mesh, from, to string, limit int, dropped *Counts) *queue {
	return &queue{mesh: m, from: from, to: to, limit: limit, dropped: dropped,
		ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// leave removes q and the way back.
func (q *queue) leave() {
	q.mu.Lock()
	q.queues = slices.DeleteFunc(q.queues, func(o *queue) bool { return o == q || o == q.other })
	q.mu.Unlock()
}

// signal never waits.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push waits for room, unless the side is away. It returns the items that it has
// not pushed: none, or some if ctx is done.
func (q *queue) push(ctx context.Context, items []item) []item {
	for again := false; len(items) > 0; {
		if n := q.put(items); n > 0 {
			items, again = items[n:], false
			continue
		}
		if !again { // a send that does not wait is about to make room
			runtime.Gosched()
			again = true
			continue
		}
		var stuck <-chan time.Time
		if sure := q.wait(len(items)); !sure {
			stuck = q.startTimer()
		}
		select {
		case <-q.room:
		case <-stuck:
			q.setStuck()
		case <-ctx.Done():
			return items
		}
	}
	return items
}

func (q *queue) startTimer() <-chan time.Time {
	if q.timer == nil {
		q.timer = time.NewTimer(stuckAfter)
	} else {
		q.timer.Reset(stuckAfter)
	}
	return q.timer.C
}

// put pushes what there is room for, and returns how many items that are.
func (q *queue) put(items []item) (n int) {
	q.mu.Lock()
	if excess := min(q.n, q.n+len(items)-q.limit); q.away && excess > 0 {
		q.remove(excess)
		q.dropped.Overflow.Add(uint64(excess))
	}
	limit := q.limit
	if q.more {
		limit = max(limit, maxGrown)
	}
	q.more, q.wanted = false, 0
	n = max(0, min(len(items), limit-q.n))
	q.reserve(q.n + n)
	for i := range items[:n] {
		at := (q.head + q.n + i) % len(q.msgs)
		q.msgs[at], q.abouts[at] = items[i].m, items[i].about
	}
	if q.n += n; q.n > q.limit {
		q.over = time.Now()
	}
	if n > 0 {
		q.puts++
	}
	q.mu.Unlock()
	if n > 0 {
		signal(q.ready)
	}
	return n
}

// wait notes that so many items wait for room. It is sure, or must be told by
// setStuck, that they do so for a send that is not just slow.
func (q *queue) wait(items int) (sure bool) {
	q.mu.Lock()
	q.wanted = items
	q.open()
	sure = q.sure
	q.mu.Unlock()
	return sure
}

// reserve makes room for n messages in the rings. Its caller locks.
func (q *queue) reserve(n int) {
	size := max(n, 2*len(q.msgs), 16)
	switch {
	case n <= len(q.msgs):
		return
	case n <= q.limit:
		size = min(size, q.limit)
	default:
		size = min(size, maxGrown)
	}
	msgs, abouts := make([]hub.Message, size), make([]about, size)
	k := copy(msgs, q.msgs[q.head:])
	copy(msgs[k:], q.msgs[:q.head])
	k = copy(abouts, q.abouts[q.head:])
	copy(abouts[k:], q.abouts[:q.head])
	q.msgs, q.abouts, q.head = msgs, abouts, 0
}

// open lets items in beyond a limit in every closed circle through q: to open one
// of them may not be enough, for a bus can wait for several others. Its caller
// locks.
func (q *queue) open() {
	for q.waits() {
		q.mesh.turn++
		o := q.shortest(q, q.from)
		if o == nil || o.n >= maxGrown {
			return
		}
		o.letIn()
	}
}

// letIn lets items in beyond the limit. Its caller locks.
func (q *queue) letIn() {
	q.more, q.wanted = true, 0
	signal(q.room)
}

// waits reports whether the one bus waits for the other.
func (q *queue) waits() bool {
	return q.wanted > 0 && (q.sure || q.stuck)
}

// shortest returns the shortest queue on a way of waits that begins with q and
// leads to the bus called end, or nil if there is none.
func (m *mesh) shortest(q *queue, end string) *queue {
	q.turn = m.turn
	if q.to == end {
		return q
	}
	for _, o := range m.queues {
		if o.from != q.to || o.turn == m.turn || !o.waits() {
			continue
		}
		if s := m.shortest(o, end); s != nil {
			if s.n < q.n {
				return s
			}
			return q
		}
	}
	return nil
}

// setStuck tells that nothing has been taken for stuckAfter.
func (q *queue) setStuck() {
	q.mu.Lock()
	q.stuck = true
	q.mu.Unlock()
}

// remove takes n messages off the head. Its caller locks.
func (q *queue) remove(n int) {
	q.head = (q.head + n) % len(q.msgs)
	q.n -= n
	q.shrink()
}

// shrink gives back the memory of a queue that has been short for long enough.
// Its caller locks, and uses nothing of what front has returned.
func (q *queue) shrink() {
	if q.n == 0 && len(q.msgs) > q.limit && time.Since(q.over) >= shrinkAfter {
		q.msgs, q.abouts, q.head = nil, nil, 0
	}
}

// front waits until something is queued and returns some of it, the oldest
// first, to be sent now. It stays queued, and as it is until drop or setAway.
func (q *queue) front(ctx context.Context) ([]hub.Message, []about, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		q.mu.Lock()
		k := min(q.n, len(q.msgs)-q.head)
		if q.n <= q.limit { // else the more goes at once, the sooner it is
			k = min(k, maxBatch)
		}
		msgs, abouts := q.msgs[q.head:q.head+k], q.abouts[q.head:q.head+k]
		long := len(q.msgs) > q.limit
		q.mu.Unlock()
		if k > 0 {
			return msgs, abouts, nil
		}
		q.await(ctx, long)
	}
}

// await waits until something may be queued. If the rings are long it waits no
// longer than until they can be short again.
func (q *queue) await(ctx context.Context, long bool) {
	var shrink <-chan time.Time
	if long {
		t := time.NewTimer(shrinkAfter)
		defer t.Stop()
		shrink = t.C
	}
	select {
	case <-q.ready:
	case <-ctx.Done():
	case <-shrink:
		q.mu.Lock()
		q.shrink()
		q.mu.Unlock()
	}
}

// drop removes the first n messages.
func (q *queue) drop(n int) {
	q.mu.Lock()
	q.remove(n)
	q.stuck = false
	if q.n < q.limit {
		q.wanted = 0
	}
	q.mu.Unlock()
	signal(q.room)
}

// stalled returns how many messages to drop, for the bus has said that it waits
// for the bridge to receive from it. That is none if the bridge waited for room,
// and now receives on, or if it has received since the bus said so before.
func (q *queue) stalled(again bool) (drop int) {
	q.mu.Lock()
	q.sure = true
	o := q.other
	switch {
	case o.wanted > 0 && o.n < maxGrown:
		o.letIn()
	case !again || q.stall != o.puts:
	case o.wanted > 0:
		drop = max(1, q.wanted)
	default:
		drop = 1
	}
	q.stall = o.puts
	q.mu.Unlock()
	return drop
}

// setAway tells that nobody takes.
func (q *queue) setAway() {
	q.mu.Lock()
	q.away, q.wanted = true, 0
	q.mu.Unlock()
	signal(q.room)
}

// setConnected tells that somebody takes, and whether it is sure that a send that
// waits does so for somebody to receive, and is not just slow.
func (q *queue) setConnected(sure bool) {
	q.mu.Lock()
	q.away, q.sure, q.stuck = false, sure, false
	q.open() // items may have come before
	q.mu.Unlock()
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
