package hub

import (
	"context"
	"sync/atomic"
)

// An inbox is the way into a channel, for messages and for requests. A place in
// it is a place in the order of the channel, so the one goroutine that receives
// from it need only look in one place.
//
// Its second door is for requests that must not wait behind messages that find no
// room: those that are posted, and the bell that receivers ring (see queue.await).
type inbox struct {
	in     chan envelope // anybody sends; never closed, but sealed at the end
	trains trains
	memory memory

	_      apart
	posted atomic.Pointer[request] // newest first
	bell   bell
}

// An envelope is what travels through the inbox: messages, a request, or both.
type envelope struct {
	request *request // nil for messages alone
	span             // nobody else has them, until the channel has stamped them
}

// count returns how many messages an envelope has.
func (e *envelope) count() (n int) {
	n = int(e.n)
	if e.request != nil {
		for _, p := range e.request.pieces {
			n += int(p.n)
		}
	}
	return n
}

// A request asks the channel's goroutine for something.
type request struct {
	kind    requestKind
	member  *member
	filters *filterSet    // of askJoin and askRefilter: those of its time
	pieces  []span        // of askMore: behind those of the envelope
	reply   chan []string // of askReport and askSync, who has not got the message; room for one
	done    *atomic.Bool  // of askTick: set by the channel when it has delivered the message
	until   uint64        // of askTick, the channel's: how many messages it has then delivered
	below   *request      // in inbox.posted
}

type requestKind int

const (
	askWake     requestKind = iota // to look at what was posted
	askMore                        // to deliver pieces too, with nothing in between
	askReport                      // to reply when the message is delivered
	askTick                        // to set done when it is
	askJoin                        // for a new member
	askLeave                       // to let go of one that closes
	askRefilter                    // to use new filters
	askSync                        // to reply: all that the channel did before is done
	askSeal                        // nothing: it fills the inbox when nothing may be sent any more
)

// Requests without contents, and the mark of an inbox that takes no more posts.
var (
	wakeUp  = &request{kind: askWake}
	theSeal = &request{kind: askSeal}
	noMore  = new(request)
)

func (b *inbox) init(places int) {
	b.in = make(chan envelope, places)
	if places >= 4 { // or else somebody wants it short
		b.trains.longest = maxTrain
	}
	b.bell.rung = make(chan struct{}, 1)
}

// send puts e into the inbox, and waits for room there if need be: until ctx is
// done, quit is closed, or a token comes out of stall.
func (b *inbox) send(ctx context.Context, e envelope, quit, stall <-chan struct{}) error {
	if e.request == nil && e.n == 1 {
		if len(b.in) == 0 && b.offer(e) { // a quiet bus: the channel takes it at once
			b.trains.follow(nil)
			return nil
		}
		if b.trains.extend(e.span) {
			return nil
		}
	}
	var train *atomic.Uint64
	lives := e.slab.lives
	if e.request == nil {
		train = b.trains.open(e.span)
	}
	if !b.offer(e) {
		select {
		case b.in <- e:
		case <-ctx.Done():
			return ctx.Err()
		case <-stall:
			b.bell.sayStalled()
			return ErrStalled
		case <-quit:
			return ErrClosed
		}
	}
	if train != nil {
		startTrain(train, lives, e.n) // the slab may be somebody else's by now
	}
	b.trains.follow(train)
	return nil
}

// offer puts e into the inbox if that has room.
func (b *inbox) offer(e envelope) bool {
	select {
	case b.in <- e:
		return true
	default:
		return false
	}
}

// ask gives r a place in the order, or if the inbox is full a place before what
// is in it: the caller does not wait for a slow subscriber. It returns false if
// the channel has ended.
func (b *inbox) ask(r *request) bool {
	if b.offer(envelope{request: r}) {
		b.trains.follow(nil)
		return true
	}
	return b.post(r)
}

// post has r done as soon as the channel's goroutine can do anything at all.
// It returns false if the channel has ended.
func (b *inbox) post(r *request) bool {
	for {
		r.below = b.posted.Load()
		if r.below == noMore {
			return false
		}
		if b.posted.CompareAndSwap(r.below, r) {
			b.wake()
			return true
		}
	}
}

// wake makes the channel's goroutine look at what is new. A full inbox needs no
// more: it is about to receive from it, or it waits for room in a queue and hears
// the bell.
func (b *inbox) wake() {
	b.bell.ring()
	b.offer(envelope{request: wakeUp})
}

// takePosted returns what was posted, oldest first by below.
func (b *inbox) takePosted() (first *request) {
	for r := b.posted.Swap(nil); r != nil; {
		older := r.below
		r.below = first
		first, r = r, older
	}
	return first
}

// shut makes sure that nothing is accepted any more, and calls take for what was.
// Only the channel's goroutine receives from the inbox, so once it has filled it
// with seals nobody else can put anything into it, and no lock is needed. Posts
// are still possible.
func (b *inbox) shut(take func(envelope)) {
	for seals := 0; seals < cap(b.in); {
		if b.offer(envelope{request: theSeal}) {
			seals++
		} else if e := <-b.in; e.request == theSeal { // full, and not of seals alone
			seals--
		} else {
			take(e)
		}
	}
}

// A memory gives those who send on a channel places in its slabs, one behind the
// other, so that what is sent in a row lies in a row and travels on without being
// copied again.
type memory struct {
	pool pool
	slab atomic.Pointer[slab] // the one that is being filled
}

// write copies m to a place of its own, for nobody to write to but the channel.
func (b *memory) write(m *Message, from *sender) span {
	p := b.reserve(1)
	to := &p.slab.msgs[p.off]
	*to = *m
	to.Flags &^= Own
	p.slab.from[p.off] = from
	return p
}

// writeAll is write for several messages in a row, at most maxSlab.
func (b *memory) writeAll(msgs []Message, from *sender) span {
	p := b.reserve(len(msgs))
	to, senders := p.messages(), p.senders()
	copy(to, msgs)
	for i := range to {
		to[i].Flags &^= Own
		senders[i] = from
	}
	return p
}

// reserve returns a place for n messages that the caller alone writes to. A sender
// that finds the slab full settles the places behind its end that nobody gets.
func (b *memory) reserve(n int) span {
	for {
		current := b.slab.Load()
		if current != nil {
			end := int(current.used.Add(uint32(n)))
			if end <= len(current.msgs) {
				return span{current, uint32(end - n), uint32(n)}
			}
			if rest := len(current.msgs) - (end - n); rest > 0 {
				current.settle(rest) // nobody will write there
			}
		}
		s := b.pool.take(current, n)
		if s.states == nil {
			s.states, s.from = make([]atomic.Uint64, len(s.msgs)), make([]*sender, len(s.msgs))
		}
		if !b.slab.CompareAndSwap(current, s) && len(s.msgs) == maxSlab {
			b.pool.put(s) // somebody else was quicker
		}
	}
}
