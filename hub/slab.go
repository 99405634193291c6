package hub

import "sync/atomic"

// A slab is a piece of memory for messages. Each message in it is written by
// its sender and stamped by the channel, and from then on shared by all who
// receive it and not written again.
type slab struct {
	msgs []Message // its length never changes
	from []*sender // of an inbox: who sent each of them; nobody once it is delivered
	home *pool     // where it goes back to, or nil

	// Of an inbox: what train.go needs, the state of the train that begins at
	// each place, and how often the slab has come back.
	states []atomic.Uint64
	lives  uint64

	// The senders': how many places are given away (which may run past the end),
	// and where the train begins that was opened last.
	_    apart
	used atomic.Uint32
	head atomic.Uint32

	// For its return: the channel's, and then everybody's.
	_       apart
	unfixed atomic.Int32 // places that are not settled
	shares  int64        // batches that the channel has made of it
	_       apart
	refs    atomic.Int64
}

// apart keeps what one goroutine writes often out of the cache line of what
// others use.
type apart [64]byte

// A sender is who sends, as far as the channel has to know that.
type sender struct {
	keepsTime bool   // its messages keep the Timestamp that they carry
	turn      uint64 // the channel's: in which it last delivered something of it
}

// A span is some messages that lie one behind the other in a slab.
type span struct {
	slab   *slab
	off, n uint32
}

// senders returns who sent the span's messages.
func (p span) senders() []*sender { return p.slab.from[p.off : p.off+p.n] }

// messages returns the span's messages. Appending to the slice copies it.
func (p span) messages() []Message {
	end := p.off + p.n
	return p.slab.msgs[p.off:end:end]
}

// meets reports whether q lies right behind p.
func (p span) meets(q span) bool { return p.slab == q.slab && p.off+p.n == q.off }

const (
	minSlab = 8
	maxSlab = 256 // messages: 28 KiB, which a slow subscriber may hold for one
)

// A slab goes back to its pool when the channel has settled all of it and
// everybody who was handed a part of it has received that and come back for
// more: without garbage, the messages stay in the processor's cache. What a closed
// subscriber had in its hands is not given back, nor is the place of a send that
// failed; such a slab is left to the garbage collector.
//
// refs is inUse, plus what was split, less what was given back, until the channel has
// settled all and takes off inUse less what it has shared. So it is zero just once.
const inUse = 1 << 40

// settle says of n places of s that the channel has dealt with the messages there,
// which are handed over, or copied, or nobody wants them, or that there are none.
func (s *slab) settle(n int) {
	if s.unfixed.Add(-int32(n)) == 0 && len(s.msgs) == maxSlab {
		s.giveBack(inUse - s.shares)
	}
}

// share makes one more holder of s. Only the channel calls it, before it settles
// the messages that it is for.
func (s *slab) share() { s.shares++ }

// split makes two holders of one. Any holder may call it, at any time.
func (s *slab) split() { s.refs.Add(1) }

// giveBack ends n holders.
func (s *slab) giveBack(n int64) {
	if s.refs.Add(-n) != 0 || s.home == nil {
		return
	}
	s.shares = 0
	s.unfixed.Store(maxSlab)
	s.lives++
	s.refs.Store(inUse)
	s.head.Store(0)
	for i := range s.states {
		if s.states[i].Load() != 0 { // few are, and looking is much cheaper
			s.states[i].Store(0)
		}
	}
	s.used.Store(0)
	s.home.put(s)
}

// A pool keeps slabs that have come back for their next use, up to 8
// of them until the channel ends.
type pool struct {
	spare [8]atomic.Pointer[slab]
}

// take returns a slab to follow old, with room for n messages, at most maxSlab.
// They grow with the traffic, so that who is quiet holds little memory.
func (l *pool) take(old *slab, n int) *slab {
	for i := range l.spare {
		if s := l.spare[i].Load(); s != nil && l.spare[i].CompareAndSwap(s, nil) {
			return s
		}
	}
	size := minSlab
	if old != nil {
		size = min(2*len(old.msgs), maxSlab)
	}
	size = max(size, n)
	s := &slab{home: l, msgs: make([]Message, size)}
	s.refs.Store(inUse)
	s.unfixed.Store(int32(size))
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

// shortPiece is the mean length below which pieces are copied into one: handing
// over a piece costs about as much as copying this many messages. And it is the share
// of a slab below which messages are copied that would keep it.
const shortPiece = 8

// A writer copies messages one behind the other into slabs of a pool.
type writer struct {
	pool  pool // not that of an inbox: a sender may be late to ask a slab for a place
	slab  *slab
	start int // of the span that is being written
	end   int
}

// begin makes room for n messages in a row, at most maxSlab, and for nothing
// behind them until they are finished.
func (w *writer) begin(n int) {
	if w.slab != nil {
		room := len(w.slab.msgs) - w.end
		if n <= room {
			return
		}
		if room > 0 { // or else it may be in use again by now
			w.slab.settle(room)
		}
	}
	w.slab = w.pool.take(w.slab, n)
	w.start, w.end = 0, 0
}

// add copies m, and returns where to.
func (w *writer) add(m *Message) *Message {
	to := &w.slab.msgs[w.end]
	*to = *m
	w.end++
	return to
}

// finish returns what was added since begin.
func (w *writer) finish() span {
	p := span{w.slab, uint32(w.start), uint32(w.end - w.start)}
	w.start = w.end
	return p
}
