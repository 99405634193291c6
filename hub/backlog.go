package hub

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
		b.span, oldest.span = b.span.cut(most)
		oldest.ord += b.n
		b.slab.split()
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
