package hub

// A slab is a piece of memory for messages. Each message in it is written once
// and then shared by all who receive it.
type slab struct {
	msgs []Message // its length never changes
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

const (
	minSlab = 8
	maxSlab = 128 // messages: 11 KiB, which a slow subscriber may hold for one
)

// A writer puts messages one behind the other into slabs that grow with the
// traffic, so that a quiet channel holds little memory.
type writer struct {
	slab  *slab
	start int // of the span that is being written
	next  int
}

// room reports whether the current slab takes another message.
func (w *writer) room() bool { return w.slab != nil && w.next < len(w.slab.msgs) }

// grow starts a new slab with room for n messages or more. What was written to
// the old one and not yet finished is given up: finish first.
func (w *writer) grow(n int) {
	size := minSlab
	if w.slab != nil {
		size = min(2*len(w.slab.msgs), maxSlab)
	}
	*w = writer{slab: &slab{msgs: make([]Message, max(size, n))}}
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
