package hub

import "sync/atomic"

// A slab is a piece of memory for messages. Each message in it is written by
// its sender and stamped by the channel, and from then on shared by all who
// receive it and not written again.
type slab struct {
	msgs []Message     // its length never changes
	from []*Subscriber // who sent each of them; nobody once it is forwarded
	home *pool         // where it goes back to, or nil

	// Of an intake: what run.go needs, the state of the run that begins at each
	// place, and how often the slab has come back.
	runs []atomic.Uint64
	gen  uint64

	// The senders': how many places are given away (which may run past the end),
	// and where the run begins that was opened last.
	_    apart
	used atomic.Uint32
	open atomic.Uint32

	// For its return: the channel's, and then everybody's.
	_      apart
	left   atomic.Int32 // places that are not done with
	pushed int64        // batches that the channel has handed over
	_      apart
	refs   atomic.Int64
}

// apart keeps what one goroutine writes often out of the cache line of what
// others use.
type apart [64]byte

// A span is a run of messages in a slab.
type span struct {
	slab   *slab
	off, n uint32
}

// from returns who sent the span's messages.
func (p span) from() []*Subscriber { return p.slab.from[p.off : p.off+p.n] }

// messages returns the span's messages. Appending to the slice copies it.
func (p span) messages() []Message {
	end := p.off + p.n
	return p.slab.msgs[p.off:end:end]
}

// cut splits p behind its first k messages.
func (p span) cut(k int) (head, tail span) {
	return span{p.slab, p.off, uint32(k)}, span{p.slab, p.off + uint32(k), p.n - uint32(k)}
}

// meets reports whether q lies right behind p.
func (p span) meets(q span) bool { return p.slab == q.slab && p.off+p.n == q.off }

const (
	minSlab = 8
	maxSlab = 256 // messages: 24 KiB, which a slow subscriber may hold for one
)

// nextSize returns the length of a slab to follow old, with room for n messages
// or more. They grow with the traffic, so that who is quiet holds little memory.
func nextSize(old *slab, n int) int {
	size := minSlab
	if old != nil {
		size = min(2*len(old.msgs), maxSlab)
	}
	return max(size, n)
}

// An intake gives those who send on a channel places in its slabs, one behind the
// other, so that what is sent in a row lies in a row and travels on without being
// copied again.
type intake struct {
	pool
	slab atomic.Pointer[slab] // the one that is being filled
}

// write copies m to a place of its own, for nobody to write to but the channel.
func (b *intake) write(m *Message, from *Subscriber) (p span) {
	p = b.reserve(1)
	to := &p.slab.msgs[p.off]
	*to = *m
	to.Flags &^= Own
	p.slab.from[p.off] = from
	return p
}

// writeAll is write for several messages in a row.
func (b *intake) writeAll(msgs []Message, from *Subscriber) span {
	p := b.reserve(len(msgs))
	to, sender := p.messages(), p.from()
	copy(to, msgs)
	for i := range to {
		to[i].Flags &^= Own
		sender[i] = from
	}
	return p
}

// reserve returns a place for n messages that the caller alone writes to.
func (b *intake) reserve(n int) span {
	if n > maxSlab { // has a slab of its own
		return span{b.next(nil, n), 0, uint32(n)}
	}
	for {
		current := b.slab.Load()
		if current != nil {
			end := int(current.used.Add(uint32(n)))
			if end <= len(current.msgs) {
				return span{current, uint32(end - n), uint32(n)}
			}
			if rest := len(current.msgs) - (end - n); rest > 0 {
				current.done(rest) // nobody will write there
			}
		}
		b.slab.CompareAndSwap(current, b.next(current, n))
	}
}

// next returns a slab with room for n messages.
func (b *intake) next(old *slab, n int) *slab {
	s := b.take(old, n)
	if s.runs == nil {
		s.runs = make([]atomic.Uint64, len(s.msgs))
	}
	return s
}

// A pool keeps slabs that have come back for their next use, up to 200 KiB of
// them until the channel ends.
type pool struct {
	spare [8]atomic.Pointer[slab]
}

// take returns a slab to follow old, with room for n messages.
func (l *pool) take(old *slab, n int) *slab {
	if n <= maxSlab {
		for i := range l.spare {
			if s := l.spare[i].Load(); s != nil && l.spare[i].CompareAndSwap(s, nil) {
				return s
			}
		}
	}
	size := nextSize(old, n)
	s := &slab{home: l, msgs: make([]Message, size), from: make([]*Subscriber, size)}
	s.refs.Store(inUse)
	s.left.Store(int32(size))
	return s
}

// put takes s back, or leaves it to the garbage collector.
func (l *pool) put(s *slab) {
	for i := range l.spare {
		if l.spare[i].CompareAndSwap(nil, s) {
			return
		}
	}
}

// A slab goes back to its pool when the channel has dealt with all of it and
// everybody who was handed a part of it has received that and come back for
// more: without garbage, the messages stay in the processor's cache. What a
// subscriber has not received when it closes is never given back, and the slab
// with it is left to the garbage collector.
//
// refs is how many batches are given back and not yet counted in pushed, below
// zero, on top of inUse while the channel is not done. So it is zero just once.
const inUse = 1 << 40

// done says of n places of s that the channel has dealt with the messages there,
// which are handed over, or copied, or nobody wants them, or that there are none.
func (s *slab) done(n int) {
	if s.home == nil {
		return
	}
	if s.left.Add(-int32(n)) == 0 && len(s.msgs) == maxSlab {
		s.giveBack(inUse - s.pushed)
	}
}

// hold counts one more batch, while another one is not given back yet.
func (s *slab) hold() { s.refs.Add(1) }

// giveBack takes n off refs.
func (s *slab) giveBack(n int64) {
	if s.refs.Add(-n) != 0 {
		return
	}
	s.pushed = 0
	s.left.Store(maxSlab)
	s.gen++
	s.refs.Store(inUse)
	s.open.Store(0)
	for i := range s.runs {
		if s.runs[i].Load() != 0 { // few are, and looking is much cheaper
			s.runs[i].Store(0)
		}
	}
	s.used.Store(0)
	s.home.put(s)
}

// A writer puts messages one behind the other into slabs of a pool.
type writer struct {
	pool  *pool // not that of the intake: a sender may be late to ask a slab for a place
	slab  *slab
	start int // of the span that is being written
	next  int
}

// reserve makes room for n more messages in a row. Finish first.
func (w *writer) reserve(n int) {
	if w.slab != nil {
		left := len(w.slab.msgs) - w.next
		if n <= left {
			return
		}
		if left > 0 { // or else it may be in use again by now
			w.slab.done(left)
		}
	}
	w.slab = w.pool.take(w.slab, n)
	w.start, w.next = 0, 0
}

// room reports whether the current slab takes n more messages.
func (w *writer) room(n int) bool { return w.slab != nil && w.next+n <= len(w.slab.msgs) }

func (w *writer) put(m *Message, from *Subscriber) {
	w.slab.msgs[w.next] = *m
	w.slab.from[w.next] = from
	w.next++
}

// len returns how many were put since the last finish.
func (w *writer) len() int { return w.next - w.start }

// finish returns what was put since the last finish.
func (w *writer) finish() span {
	p := span{w.slab, uint32(w.start), uint32(w.next - w.start)}
	w.start = w.next
	return p
}
