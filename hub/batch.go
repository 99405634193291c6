package hub

// A batch is what one chan operation hands to a subscriber. It holds its slab.
type batch struct {
	span
	ord   uint32 // how many messages the subscriber was offered before, modulo 2^32
	judge uint32 // the number of the filterSet that has judged them
}

// cut takes the first n messages off b. Then both hold the slab.
func (b *batch) cut(n int) batch {
	head := *b
	head.n = uint32(n)
	b.off += head.n
	b.n -= head.n
	b.ord += head.n
	b.slab.split()
	return head
}

// A pipe is a chan of batches. When it is full of batches although the queue has
// room for messages, the channel makes a bigger one, names it in next, and closes
// this one; it closes the last one when it puts nothing more into the queue. So an
// empty queue is small, however many messages it may hold.
type pipe struct {
	c    chan batch
	next *pipe // set before c is closed
}

const (
	minPipe = 16
	maxIdle = 1024 // a longer pipe is given up when it is empty
)

func newPipe(places int) *pipe { return &pipe{c: make(chan batch, places)} }

// A backlog is what is queued under DropOldest: batches, of which the oldest can
// be taken away a message at a time.
type backlog struct {
	batches []batch
	gone    int // of batches, that are empty by now
	n       int // messages in the others
}

func (l *backlog) first() *batch { return &l.batches[l.gone] }

// add appends b.
func (l *backlog) add(b batch) {
	if l.gone >= 32 && 2*l.gone >= len(l.batches) {
		n := copy(l.batches, l.batches[l.gone:])
		clear(l.batches[n:])
		l.batches, l.gone = l.batches[:n], 0
	}
	l.batches = append(l.batches, b)
	l.n += int(b.n)
}

// take removes up to most messages that lie together from the front. Both they
// and what is left of their batch hold the slab.
func (l *backlog) take(most int) batch {
	oldest := l.first()
	b := *oldest
	if int(b.n) > most {
		b = oldest.cut(most)
	} else {
		*oldest = batch{}
		l.gone++
	}
	if l.n -= int(b.n); l.n == 0 {
		l.batches, l.gone = l.batches[:0], 0
		if cap(l.batches) > maxIdle {
			l.batches = nil
		}
	}
	return b
}
