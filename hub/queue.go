package hub

import (
	"math"
	"sync/atomic"
)

// A batch is what one chan operation hands to a subscriber.
type batch struct {
	span
	ord uint32 // how many messages the subscriber was offered before, modulo 2^32
	gen uint32 // the filterSet that has judged them
}

// A queue is where a channel leaves messages for one subscriber. It is bounded
// in messages, not in batches: the channel knows how many it has given and the
// receiver tells how many it has taken.
type queue struct {
	// batches has room for as many batches as there may be messages, so a
	// message that is within the limit never waits for a place in it. The
	// channel sends and closes it, the receiver receives. Under DropOldest it
	// only carries empty ones, which say that there is something in box.
	batches chan batch
	limit   int
	policy  Policy

	// Under DropOldest box holds what is queued whenever neither the channel nor
	// the receiver has it in hand: take it out, add or take some, put it back, and
	// never wait for anything in between. Never closed; nil under other policies.
	box chan backlog

	// Of the channel's goroutine alone.
	given    uint64  // messages put into batches
	ord      uint32  // messages offered, for the next batch; read when batches is closed
	gaveUp   bool    // BlockFor has run out, and since then
	gaveUpAt uint64  // nothing was taken beyond this
	tail     []batch // what was left for a full queue when the hub closed;
	// the receiver's once batches is closed

	// Counters that others read. Only the channel writes the first three,
	// only the receiver the others.
	offered   atomic.Uint64 // given or dropped; counted when that is done
	dropped   atomic.Uint64
	lostAt    atomic.Int64  // the Timestamp of the latest one dropped
	taken     atomic.Uint64 // received, or discarded by new filters
	discarded atomic.Uint64 // taken and never handed out

	// A channel that waits for room sets want to the value of taken that it
	// waits for, and looks at taken again; the receiver counts, then looks at
	// want. So one of them sees the other.
	// The receiver answers once: it takes want back and adds its subscriber to
	// channel.ready.
	want    atomic.Uint64
	awaited bool // the channel's: want was set, and the answer not seen yet

	feed atomic.Pointer[feed] // set by the first C
}

const nobodyWaits = math.MaxUint64

func (q *queue) init(limit int, policy Policy) {
	q.limit, q.policy = limit, policy
	if policy == DropOldest {
		q.batches = make(chan batch, 1)
		q.box = make(chan backlog, 1)
		q.box <- backlog{}
	} else {
		q.batches = make(chan batch, limit)
	}
	q.want.Store(nobodyWaits)
}

// free returns how many more messages the queue takes. Only the channel asks.
func (q *queue) free() int { return q.limit - q.ahead() - int(q.given-q.taken.Load()) }

// fits reports whether all of n messages can just be pushed.
func (q *queue) fits(n int) bool {
	return q.policy != DropOldest && len(q.tail) == 0 && q.free() >= n
}

// ahead returns how many messages wait in the buffer of C. They are counted as
// taken as soon as they are there.
func (q *queue) ahead() int {
	if f := q.feed.Load(); f != nil {
		return len(f.out)
	}
	return 0
}

// push hands over messages that the queue has room for.
func (q *queue) push(p span, gen uint32) {
	b := q.batch(p, gen)
	q.given += uint64(p.n)
	q.batches <- b
	q.offered.Add(uint64(p.n))
}

// batch makes a batch of p, which holds its slab until the receiver gives it back.
func (q *queue) batch(p span, gen uint32) batch {
	b := batch{span: p, ord: q.ord, gen: gen}
	q.ord += p.n
	p.slab.pushed++
	return b
}

// drop counts messages that found no room.
func (q *queue) drop(p span) {
	q.ord += p.n
	q.lostAt.Store(p.messages()[p.n-1].Timestamp)
	q.dropped.Add(uint64(p.n))
	q.offered.Add(uint64(p.n))
}

// leave keeps messages for which there was no room when the hub closed.
func (q *queue) leave(p span, gen uint32) {
	q.tail = append(q.tail, q.batch(p, gen))
}

// close ends the queue. The receiver finds tail behind the last of batches.
func (q *queue) close() {
	left := uint64(0)
	for _, b := range q.tail {
		left += uint64(b.n)
	}
	close(q.batches)
	q.offered.Add(left)
}

// giveUp lets the channel wait no more until something is taken.
func (q *queue) giveUp() { q.gaveUp, q.gaveUpAt = true, q.taken.Load() }

// givenUp reports whether a message without room is to be dropped.
func (q *queue) givenUp() bool {
	if q.gaveUp && q.taken.Load() != q.gaveUpAt {
		q.gaveUp = false
	}
	return q.policy == DropNewest || q.gaveUp
}

// await asks for an answer once n more messages fit, or half the queue, whatever
// is less: a receiver that is behind then wakes the channel once for many
// messages. It returns false if there is room already, and no answer will come.
func (q *queue) await(n uint32) bool {
	need := min(int(n), max(1, q.limit/2))
	want := uint64(max(0, int64(q.given)+int64(need+q.ahead()-q.limit)))
	if q.awaited {
		if old := q.want.Load(); old == nobodyWaits || !q.want.CompareAndSwap(old, want) {
			return true // the answer is on its way
		}
	} else {
		q.want.Store(want)
		q.awaited = true
	}
	if q.free() >= need {
		q.stopWaiting()
	}
	return q.awaited
}

// stopWaiting takes the question of await back, unless it is being answered.
func (q *queue) stopWaiting() {
	if q.awaited && q.want.Swap(nobodyWaits) != nobodyWaits {
		q.awaited = false
	}
}

// took counts n messages as received, and reports whether the channel has to be
// told, by Subscriber.makeReady.
func (q *queue) took(n int) bool {
	taken := q.taken.Add(uint64(n))
	want := q.want.Load()
	return taken >= want && q.want.CompareAndSwap(want, nobodyWaits)
}
