package hub

import "sync/atomic"

// A slab is a piece of memory for messages. Each message in it is written by
// its sender and stamped by the channel, and from then on shared by all who
// receive it and not written again.
type slab struct {
	msgs []Message // its length never changes

	// Of an outbox: whose slab it is, how many of its places are given away
	// (which may run past the end), and what run.go needs: the state of the run
	// that begins at each place, and where the one begins that was opened last.
	home *outbox
	used atomic.Uint32
	runs []atomic.Uint32
	open atomic.Uint32

	// For its return to the outbox. The first three are the channel's alone.
	forwarded int   // messages that the channel has dealt with
	pushed    int64 // batches of them that it has handed over
	kept      bool  // some of them are not given back
	refs      atomic.Int64
}

// A span is a run of messages in a slab.
type span struct {
	slab   *slab
	off, n uint32
}

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
	maxSlab = 128 // messages: 12 KiB, which a slow subscriber may hold for one
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

// An outbox gives the goroutines that send for one subscriber places in its
// slabs, one behind the other, so that what one of them sends in a row lies in
// a row and travels on without being copied again.
type outbox struct {
	slab   atomic.Pointer[slab]          // the one that is being filled
	spare  [2]atomic.Pointer[slab]       // that have come back, or nil
	opened atomic.Pointer[atomic.Uint32] // the run that was opened last
}

// write copies m to a place of its own, for nobody to write to but the channel.
func (b *outbox) write(m *Message) span {
	p := b.reserve(1)
	to := &p.slab.msgs[p.off]
	*to = *m
	to.Flags &^= Own
	return p
}

// writeAll is write for several messages in a row.
func (b *outbox) writeAll(msgs []Message) span {
	p := b.reserve(len(msgs))
	to := p.messages()
	copy(to, msgs)
	for i := range to {
		to[i].Flags &^= Own
	}
	return p
}

// reserve returns a place for n messages that the caller alone writes to.
func (b *outbox) reserve(n int) span {
	for {
		current := b.slab.Load()
		if current != nil {
			end := current.used.Add(uint32(n))
			if int(end) <= len(current.msgs) {
				return span{current, end - uint32(n), uint32(n)}
			}
		}
		b.slab.CompareAndSwap(current, b.next(current, n))
	}
}

// next returns a slab with room for n messages.
func (b *outbox) next(old *slab, n int) *slab {
	if n <= maxSlab {
		for i := range b.spare {
			if s := b.spare[i].Load(); s != nil && b.spare[i].CompareAndSwap(s, nil) {
				return s
			}
		}
	}
	s := &slab{home: b, msgs: make([]Message, nextSize(old, n))}
	s.runs = make([]atomic.Uint32, len(s.msgs))
	s.refs.Store(inUse)
	return s
}

// A slab of an outbox goes back there when the channel has dealt with all of it
// and everybody who was handed a part of it has received it: without garbage,
// the messages stay in the processor's cache. Parts that RecvBatch has given
// away, or that were dropped, are never given back, and the slab with them is
// left to the garbage collector.
//
// refs is how many batches are given back and not yet counted in pushed, below
// zero, on top of inUse while the channel is not done. So it is zero just once.
const inUse = 1 << 40

// done is called by the channel when it has dealt with n messages of s: they are
// handed over, or copied, or nobody wants them.
func (s *slab) done(n int) {
	if s.home == nil {
		return
	}
	if s.forwarded += n; s.forwarded == len(s.msgs) && len(s.msgs) == maxSlab && !s.kept {
		s.giveBack(inUse - s.pushed)
	}
}

// giveBack takes n off refs.
func (s *slab) giveBack(n int64) {
	if s.refs.Add(-n) != 0 {
		return
	}
	s.forwarded, s.pushed = 0, 0
	s.refs.Store(inUse)
	s.open.Store(0)
	for i := range s.runs {
		s.runs[i].Store(0)
	}
	s.used.Store(0)
	for i := range s.home.spare {
		if s.home.spare[i].CompareAndSwap(nil, s) {
			return
		}
	}
}

// A writer puts messages one behind the other into slabs.
type writer struct {
	slab  *slab
	start int // of the span that is being written
	next  int
}

// room reports whether the current slab takes n more messages.
func (w *writer) room(n int) bool { return w.slab != nil && w.next+n <= len(w.slab.msgs) }

// grow starts a new slab with room for n messages or more. Finish first.
func (w *writer) grow(n int) {
	*w = writer{slab: &slab{msgs: make([]Message, nextSize(w.slab, n))}}
}

func (w *writer) put(m *Message) {
	w.slab.msgs[w.next] = *m
	w.next++
}

// finish returns what was put since the last finish.
func (w *writer) finish() span {
	p := span{w.slab, uint32(w.start), uint32(w.next - w.start)}
	w.start = w.next
	return p
}
