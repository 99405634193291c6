package hub

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// A queue is where a channel leaves messages for one subscriber. It is bounded
// in messages, not in batches: the channel knows how many it has handed over and
// the receiver tells how many it has taken. Here is what the channel does with
// it, and what a Policy decides; receiver.go has the other end.
type queue struct {
	limit    int
	policy   Policy
	blockFor time.Duration

	// Of the channel's goroutine alone.
	in       *pipe
	before   []*pipe // pipes before it that may hold something
	given    uint64  // messages put into pipes
	ord      uint32  // messages offered, modulo 2^32
	waiting  []batch // under Block: what found no room yet
	late     lateness
	gaveUp   bool   // blockFor has run out, and since then
	gaveUpAt uint64 // nothing was taken beyond this

	// Under DropOldest box holds what is queued whenever neither the channel nor
	// the receiver has it in hand: take it out, add or take some, put it back, and
	// never wait for anything in between. Never closed; nil under other policies.
	// The pipe then only carries empty batches, which say that there is something.
	box chan backlog

	// Counters that others read. Only the channel writes the first three, only the
	// receiver the others, but for what hand gives it.
	offered   atomic.Uint64 // given or dropped; counted when that is done
	dropped   atomic.Uint64
	lostAt    atomic.Int64  // the Timestamp of the latest one dropped
	taken     atomic.Uint64 // received, or discarded
	discarded atomic.Uint64 // taken and never handed out

	// A channel that waits for room sets want to the value of taken that it
	// waits for, and looks at taken again; the receiver counts, then looks at
	// want. So one of them sees the other.
	// The receiver answers once: it takes want back and rings the channel's bell.
	want    atomic.Uint64
	awaited bool // the channel's: want was set, and the answer not seen yet
	bell    *bell
	answer  *queue // in bell.answers

	// A token in stall ends a send of the subscriber, for whose room the channel
	// waits. The channel puts it in; it and the receiver take it out when something
	// was received. Never closed.
	stall chan struct{}

	// The latest filters, anybody's.
	filters atomic.Pointer[filterSet]

	// The buffer of C, or nil. What is in it counts as queued still.
	ahead atomic.Pointer[chan Message]

	// The chan of Batches, or nil. While the queue is empty, the channel hands a
	// batch to a reader that waits there without the detour over the feed. The slab of
	// the latest is its to give back when it has handed over the next.
	direct atomic.Pointer[chan []Message]
	handed *slab
}

// lateness is that of a subscriber under Block for whose room the channel waits.
type lateness struct {
	place int       // in the channel's list of those who are late, or -1
	since time.Time // it took something, or the wait began
	seen  uint64    // what it had taken by then
	tell  time.Time // when to tell it that it holds up the channel; zero if a token says so
	told  bool      // it was told since then
}

// A bell is how receivers wake a channel that waits for room.
type bell struct {
	rung    chan struct{} // a token when there is something to look at; never closed
	answers atomic.Pointer[queue]
	stalled atomic.Bool // a send has taken a token of its queue's stall
}

func (b *bell) ring() {
	select {
	case b.rung <- struct{}{}:
	default: // it knows that there is something to look at
	}
}

// sayStalled tells that a send has ended with a token of stall: the next one ends
// only with another.
func (b *bell) sayStalled() {
	b.stalled.Store(true)
	b.ring()
}

const nobodyWaits = math.MaxUint64

func (q *queue) init(o *SubscriberOptions, b *bell) {
	q.limit, q.policy, q.blockFor = o.Queue, o.Policy, o.BlockFor
	q.bell = b
	q.stall = make(chan struct{}, 1)
	q.want.Store(nobodyWaits)
	q.late.place = -1
	if q.policy == DropOldest {
		q.in = newPipe(1)
		q.box = make(chan backlog, 1)
		q.box <- backlog{}
	} else {
		q.in = newPipe(min(q.limit, minPipe))
	}
}

// room returns how many more messages the queue takes. The order of the looks
// matters: what moves into the buffer of C meanwhile is counted twice, not never.
func (q *queue) room() int {
	inQueue := int(q.given - q.taken.Load())
	return q.limit - inQueue - q.buffered()
}

// buffered returns how many messages wait in the buffer of C. They are counted as
// taken as soon as they are there.
func (q *queue) buffered() int {
	if c := q.ahead.Load(); c != nil {
		return len(*c)
	}
	return 0
}

// offer gives the subscriber the messages of p, which have passed the filterSet of
// that number: what fits at once, and the rest as the policy says. It never waits:
// what is to wait for room is noted in waiting. It returns how many were dropped.
// The little that still fits of much it copies, or it would keep the memory of all.
func (q *queue) offer(p span, set uint32, copies *writer) (dropped int) {
	b := batch{span: p, judge: set}
	p.slab.share()
	if q.policy == DropOldest {
		q.pushLatest(b)
		return 0
	}
	if len(q.waiting) == 0 {
		if q.hand(&b) {
			return 0
		}
		room := q.room()
		if room >= int(p.n) {
			q.push(b)
			return 0
		}
		if room > 0 {
			q.pushSome(b.cut(room), copies)
		}
		if q.refuses() {
			q.drop(b)
			return int(b.n)
		}
	}
	q.waiting = append(q.waiting, b)
	return 0
}

// hand gives b to a reader of Batches that waits, if nothing is queued before it.
func (q *queue) hand(b *batch) bool {
	out := q.direct.Load()
	if out == nil || q.taken.Load() != q.given || q.filters.Load().number != b.judge {
		return false
	}
	select {
	case *out <- b.messages():
	default:
		return false
	}
	if q.handed != nil {
		q.handed.giveBack(1)
	}
	q.handed = b.slab
	q.ord += b.n
	q.given += uint64(b.n)
	q.offered.Add(uint64(b.n))
	q.taken.Add(uint64(b.n))
	return true
}

// refuses reports whether a message that finds no room is dropped.
func (q *queue) refuses() bool {
	if q.gaveUp && q.taken.Load() != q.gaveUpAt {
		q.gaveUp = false
	}
	return q.policy == DropNewest || q.gaveUp
}

// giveUp has the channel wait no more until something is taken beyond seen.
func (q *queue) giveUp(seen uint64) { q.gaveUp, q.gaveUpAt = true, seen }

// push hands over messages that the queue has room for.
func (q *queue) push(b batch) {
	if n := len(q.in.c); n == cap(q.in.c) {
		q.resize(min(4*n, q.limit))
	} else if n == 0 && cap(q.in.c) > maxIdle {
		q.resize(minPipe)
	}
	q.pipeIn(b)
}

// pipeIn puts b into the pipe, which has a place for it.
func (q *queue) pipeIn(b batch) {
	b.ord = q.ord
	q.ord += b.n
	q.given += uint64(b.n)
	q.in.c <- b
	q.offered.Add(uint64(b.n))
}

// pushSome pushes what was cut off. Where the rest may be dropped, little is copied.
func (q *queue) pushSome(b batch, copies *writer) {
	if (q.policy == DropNewest || q.blockFor > 0) && int(b.n)*shortPiece < len(b.slab.msgs) {
		copies.begin(int(b.n))
		for _, m := range b.messages() {
			copies.add(&m)
		}
		b.slab.giveBack(1)
		b.span = copies.finish()
		b.slab.share()
		b.slab.settle(int(b.n))
	}
	q.push(b)
}

// resize makes another pipe with so many places.
func (q *queue) resize(places int) {
	q.before = slices.DeleteFunc(append(q.before, q.in), func(p *pipe) bool { return len(p.c) == 0 })
	q.in.next = newPipe(places)
	close(q.in.c)
	q.in = q.in.next
}

// drop counts messages that find no room.
func (q *queue) drop(b batch) {
	q.ord += b.n
	q.countLost(b)
	q.offered.Add(uint64(b.n))
}

func (q *queue) countLost(b batch) {
	q.lostAt.Store(b.messages()[b.n-1].Timestamp)
	q.dropped.Add(uint64(b.n))
	b.slab.giveBack(1)
}

// pushLatest hands over messages and takes as many off the front as it needs
// room.
func (q *queue) pushLatest(b batch) {
	b.ord = q.ord
	q.ord += b.n
	l := <-q.box
	l.add(b)
	for l.n > q.limit {
		q.countLost(l.take(l.n - q.limit))
	}
	q.box <- l
	q.offered.Add(uint64(b.n))
	select {
	case q.in.c <- batch{}:
	default: // the receiver has not looked since the last one
	}
}

// takeLatest returns up to most of the oldest messages that there are, or none. It
// returns one if that is not the one that expected is the ord of: then the loss is
// told first, and meanwhile the others can still be dropped.
func (q *queue) takeLatest(most int, expected uint32) (b batch) {
	l := <-q.box
	if l.n > 0 {
		if l.first().ord != expected {
			most = 1
		}
		b = l.take(most)
	}
	q.box <- l
	return b
}

// handWaiting hands over what fits of what waits. If the policy does not let the
// rest wait any longer it is dropped; it returns how many.
func (q *queue) handWaiting(copies *writer) (dropped int) {
	for len(q.waiting) > 0 {
		b := &q.waiting[0]
		if q.hand(b) {
		} else if room := q.room(); room < int(b.n) {
			if room > 0 {
				q.pushSome(b.cut(room), copies)
			}
			if !q.refuses() {
				return dropped
			}
			dropped += int(b.n)
			q.drop(*b)
		} else {
			q.push(*b)
		}
		q.waiting[0] = batch{}
		q.waiting = q.waiting[1:]
	}
	q.waiting = nil
	return dropped
}

// sift applies new filters to what waits, for which it copies what passes.
func (q *queue) sift(set *filterSet) {
	kept := q.waiting[:0]
	for _, b := range q.waiting {
		if b.judge != set.number {
			var passed []Message
			for _, m := range b.messages() {
				if set.match(&m) {
					passed = append(passed, m)
				}
			}
			b.slab.giveBack(1)
			b.span = span{slab: &slab{msgs: passed}, n: uint32(len(passed))}
			b.judge = set.number
		}
		if b.n > 0 {
			kept = append(kept, b)
		}
	}
	clear(q.waiting[len(kept):])
	q.waiting = kept
}

// forget gives up what waits.
func (q *queue) forget() {
	for _, b := range q.waiting {
		b.slab.giveBack(1)
	}
	q.waiting = nil
}

// close ends the queue. What waits is for the receiver, however much that is.
func (q *queue) close() {
	if len(q.waiting) > 0 {
		q.resize(len(q.waiting))
		for _, b := range q.waiting {
			q.pipeIn(b)
		}
		q.waiting = nil
	}
	close(q.in.c)
}

// discard lets go of what the subscriber has not received. The queue is closed, and
// so is the subscriber.
func (q *queue) discard() {
	n := 0
	for _, p := range append(q.before, q.in) {
		for b := range p.c {
			if b.n > 0 {
				n += int(b.n)
				b.slab.giveBack(1)
			}
		}
	}
	q.before = nil
	if q.box != nil {
		l := <-q.box
		n += l.n
		q.box <- backlog{}
	}
	q.taken.Add(uint64(n))
	q.discarded.Add(uint64(n))
}

// await asks for an answer once what waits fits, or half the queue, whatever is
// less: a receiver that is behind then wakes the channel once for many messages.
// Any one that is taken matters under BlockFor, and while the subscriber may find a
// token in stall. What is in the buffer of C has been counted as taken, so the count
// to wait for is higher by as much; the buffer is a quarter of the queue at most, so
// what is in the pipe is always enough to reach it. It returns false if there is room
// already, and no answer will come.
func (q *queue) await() bool {
	need := 0
	for _, b := range q.waiting {
		need += int(b.n)
	}
	if need = min(need, max(1, q.limit/2)); q.blockFor > 0 || q.late.told {
		need = 1
	}
	want := uint64(max(0, int64(q.given)+int64(need+q.buffered()-q.limit)))
	if q.awaited {
		if old := q.want.Load(); old == nobodyWaits || !q.want.CompareAndSwap(old, want) {
			return true // the answer is on its way
		}
	} else {
		q.want.Store(want)
		q.awaited = true
	}
	if q.room() >= need {
		q.stopAwaiting()
	}
	return q.awaited
}

// stopAwaiting takes the question of await back, unless it is being answered.
func (q *queue) stopAwaiting() {
	if q.awaited && q.want.Swap(nobodyWaits) != nobodyWaits {
		q.awaited = false
	}
}

// took counts n messages as received, and answers the channel if it waits for that.
func (q *queue) took(n int) {
	if q.taken.Add(uint64(n)) >= q.want.Load() {
		q.tellRoom()
	}
}

func (q *queue) tellRoom() {
	if want := q.want.Load(); q.taken.Load() >= want && q.want.CompareAndSwap(want, nobodyWaits) {
		q.notStalled()
		q.ring()
	}
}

// lookAgain answers a channel that waits for room although there is no more of it:
// what waits for it may have to be judged anew.
func (q *queue) lookAgain() {
	if want := q.want.Load(); want != nobodyWaits && q.want.CompareAndSwap(want, nobodyWaits) {
		q.ring()
	}
}

// ring has the channel serve q. Whoever has taken want back calls it.
func (q *queue) ring() {
	for {
		q.answer = q.bell.answers.Load()
		if q.bell.answers.CompareAndSwap(q.answer, q) {
			q.bell.ring()
			return
		}
	}
}

// tellStalled ends a send of the subscriber that waits.
func (q *queue) tellStalled() {
	select {
	case q.stall <- struct{}{}:
	default: // it has not looked at the last one
	}
}

// willStall reports whether the next send of the subscriber that waits ends at once.
func (q *queue) willStall() bool { return len(q.stall) > 0 }

// notStalled takes back a token that no send has taken: who receives is not
// stalled.
func (q *queue) notStalled() {
	select {
	case <-q.stall:
	default:
	}
}
