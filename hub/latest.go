package hub

// A backlog is what is queued under DropOldest: batches, of which the oldest can
// be taken away a message at a time.
type backlog struct {
	batches []batch
	gone    int // of batches, that are empty by now
	n       int // messages in the others
}

// add appends b.
func (l *backlog) add(b batch) {
	if l.gone == len(l.batches) || l.gone >= 32 && 2*l.gone >= len(l.batches) {
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
	oldest := &l.batches[l.gone]
	b := *oldest
	if int(b.n) <= most {
		*oldest = batch{}
		l.gone++
	} else {
		b.span, oldest.span = b.cut(most)
		oldest.ord += b.n
		b.slab.hold()
	}
	l.n -= int(b.n)
	return b
}

// pushLatest hands over messages and takes as many off the front as it needs
// room.
func (q *queue) pushLatest(p span, gen uint32) {
	l := <-q.box
	l.add(q.batch(p, gen))
	for l.n > q.limit {
		b := l.take(l.n - q.limit)
		q.lostAt.Store(b.messages()[b.n-1].Timestamp)
		q.dropped.Add(uint64(b.n))
		b.slab.giveBack(1)
	}
	q.box <- l
	q.offered.Add(uint64(p.n))
	select {
	case q.batches <- batch{}:
	default: // the receiver has not looked since the last one
	}
}

// takeLatest returns up to most of the oldest messages that there are, or none. It
// returns one if that is not the one that next is the number of: then the loss is
// told first, and meanwhile the others can still be dropped.
func (q *queue) takeLatest(most int, next uint32) (b batch) {
	l := <-q.box
	if l.n > 0 {
		if l.batches[l.gone].ord != next {
			most = 1
		}
		b = l.take(most)
	}
	q.box <- l
	return b
}

// empty reports whether there is nothing to receive.
func (q *queue) empty() bool {
	if q.box == nil {
		return len(q.batches) == 0
	}
	l := <-q.box
	q.box <- l
	return l.n == 0
}
