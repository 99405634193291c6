package hub

import "sync/atomic"

// A slab is a piece of memory for messages. Each message in it is written by
// its sender and stamped by the channel, and from then on shared by all who
// receive it and never written again.
type slab struct {
	msgs []Message // its length never changes

	// Of an outbox: the state of the run that begins at each place, and where
	// the run begins that was opened last. See run.go.
	runs []atomic.Uint32
	open atomic.Uint32
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
	maxSlab = 128 // messages: 11 KiB, which a slow subscriber may hold for one
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
	page   atomic.Pointer[page]
	opened atomic.Pointer[atomic.Uint32] // the run that was opened last
}

type page struct {
	slab
	used atomic.Uint32 // places given away; may run past the end
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
		p := b.page.Load()
		if p != nil {
			end := p.used.Add(uint32(n))
			if int(end) <= len(p.msgs) {
				return span{&p.slab, end - uint32(n), uint32(n)}
			}
		}
		var old *slab
		if p != nil {
			old = &p.slab
		}
		next := new(page)
		next.msgs = make([]Message, nextSize(old, n))
		next.runs = make([]atomic.Uint32, len(next.msgs))
		b.page.CompareAndSwap(p, next)
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
