package hub

import (
	"context"
	"slices"
	"time"
)

// A feed is what stands behind C and Batches: a goroutine that has the receiver,
// and hands out what comes. What is on offer is taken from the queue when a reader
// has it, so it can still be filtered, given up, or left to Recv; all but what is in
// the buffer of C, and under DropOldest the queue holds as many more.
//
// Others need the receiver for a moment: a poll, new filters, Close. The feed lends it
// wherever it waits, for a message or for a reader, and looks anew when it has it
// back. Recv on a feed of Batches reads from singles, on which the feed then offers
// the first message of the batch, and RecvBatch from batches.
type feed struct {
	r       *receiver
	singles chan Message   // of C; closed by run, or by C where there is no run
	batches chan []Message // of Batches, closed likewise; nil if it is C's feed

	// Who needs the receiver for a moment receives from lend, and sends to back.
	// Once over is closed, by run at its end or by holdAll, it is had for the token in
	// free, and no receive call takes from singles or batches without. The others are
	// never closed.
	lend, back chan struct{}
	free       chan struct{}
	over       chan struct{}

	left     <-chan struct{} // closed when the channel has put its last into the queue, and hands nothing over
	ending   <-chan struct{} // the same, run's: nil once it knows
	patience *time.Timer     // run's, from then on

	got Message // the reader's: what recv returned last
}

// maxAhead bounds the buffer of C. Enough for the goroutine to run ahead of a
// reader that is awake, and little beside a queue.
const maxAhead = 64

// While the hub closes, a reader is given up if it takes nothing for unread, or
// once it has taken something, for unserved.
const (
	unread   = 100 * time.Millisecond
	unserved = time.Second
)

func newFeed(r *receiver, left <-chan struct{}) *feed {
	return &feed{
		r:      r,
		lend:   make(chan struct{}),
		back:   make(chan struct{}),
		free:   make(chan struct{}, 1),
		over:   make(chan struct{}),
		left:   left,
		ending: left,
	}
}

// run hands out until the queue ends, or nobody takes anything any more.
func (f *feed) run(workers *gate) {
	defer workers.leave()
	r, most := f.r, f.atOnce()
	for {
		ready, err := r.look(most)
		switch {
		case err != nil, ready && !f.hand():
			f.end()
			return
		case ready:
		default:
			select {
			case b, open := <-r.out.c:
				r.fromPipe(b, open)
			case f.lend <- struct{}{}:
				<-f.back
			}
		}
	}
}

// atOnce returns how many messages are taken at once under DropOldest: while they
// are on offer they are not dropped any more.
func (f *feed) atOnce() int {
	if f.batches == nil {
		return 1
	}
	return max(1, min(f.r.limit/4, maxAhead))
}

// end lets the reader know, and leaves the receiver to who wants it.
func (f *feed) end() {
	if f.patience != nil {
		f.patience.Stop()
	}
	<-f.left // the channel sends to batches too; it comes soon, for the queue has ended
	f.close()
}

func (f *feed) close() {
	close(f.over)
	close(f.singles)
	if f.batches != nil {
		close(f.batches)
	}
	f.free <- struct{}{}
}

func (f *feed) isOver() bool {
	select {
	case <-f.over:
		return true
	default:
		return false
	}
}

// hand gives a reader what look has found, or lends the receiver. It returns false
// if nobody is to be waited for any more.
func (f *feed) hand() bool {
	r := f.r
	rest := r.rest()
	// What fits into the buffer of C needs no waiting. Only this goroutine sends to it.
	if n := min(len(rest), cap(f.singles)-len(f.singles)); n > 0 && !r.gap {
		for i := range rest[:n] {
			f.singles <- rest[i]
		}
		f.handed(n)
		return true
	}
	if r.gap {
		rest = []Message{*r.gapFrame()}
	}
	select { // much cheaper than with all there is
	case f.batches <- rest:
		f.handed(len(rest))
		return true
	default:
	}
	var impatient <-chan time.Time
	if f.patience != nil {
		impatient = f.patience.C
	}
	select {
	case f.singles <- rest[0]:
		f.handed(1)
	case f.batches <- rest:
		f.handed(len(rest))
	case f.lend <- struct{}{}:
		<-f.back
	case <-f.ending:
		f.ending = nil
		f.patience = time.NewTimer(unread)
	case <-impatient:
		return false
	}
	return true
}

// handed notes that the reader has the first n messages, or the frame of the gap.
func (f *feed) handed(n int) {
	r := f.r
	r.handedOut()
	if f.patience != nil {
		f.patience.Reset(unserved)
	}
	if r.gap {
		r.gap = false
		return
	}
	r.pos += n
	r.took(n)
}

// holdAll is for a subscriber that has ended: it makes chans that are closed and
// hold all that can still be received.
func (f *feed) holdAll(batches bool) {
	var all [][]Message
	f.r.keepLent = true // nothing of it is used again
	for {
		b, err := f.r.recvBatch(context.Background())
		if err != nil {
			break
		}
		all = append(all, b)
	}
	if batches {
		f.singles, f.batches = make(chan Message), make(chan []Message, len(all))
		for _, b := range all {
			f.batches <- b
		}
	} else {
		rest := slices.Concat(all...)
		f.singles = make(chan Message, len(rest))
		for _, m := range rest {
			f.singles <- m
		}
		f.r.ahead.Store(&f.singles)
	}
	f.close()
}

// borrow gives the caller the receiver. Until it has sent to back, it must wait for
// nobody.
func (f *feed) borrow() (back chan<- struct{}) {
	select {
	case <-f.lend:
		return f.back
	case <-f.free:
		return f.free
	}
}

// review has what is on offer judged by new filters before it returns. If the feed
// has ended, that is all that C still holds: what passes is left to Recv then.
func (f *feed) review() {
	back := f.borrow()
	if back == f.free {
		f.takeBack()
	}
	f.r.refilter()
	back <- struct{}{}
}

// takeBack takes what nobody has received out of the closed chans, and so it is queued
// again and not taken.
func (f *feed) takeBack() {
	var rest []Message
	for m := range f.singles {
		rest = append(rest, m)
	}
	if f.batches != nil {
		for b := range f.batches {
			rest = append(rest, b...)
		}
	}
	if len(rest) > 0 {
		f.r.hasFrames = true
		f.r.taken.Add(-f.r.counted(rest))
		f.r.setBatch(append(rest, f.r.rest()...))
	}
}

// giveUp sees to it that nothing comes out any more, once the subscriber is closed
// and run has ended.
func (f *feed) giveUp() {
	<-f.free
	f.takeBack()
	n := f.r.counted(f.r.rest())
	f.r.setBatch(nil)
	f.r.taken.Add(n)
	f.r.discarded.Add(n)
	f.free <- struct{}{}
}

// recv is Recv for a subscriber with a feed.
func (f *feed) recv(ctx context.Context) (*Message, error) {
	if f.r.closed() {
		return &nothing, ErrClosed
	}
	if f.isOver() {
		return f.recvEnded()
	}
	select {
	case m, open := <-f.singles:
		return f.received(m, open)
	default:
	}
	select {
	case m, open := <-f.singles:
		return f.received(m, open)
	case <-ctx.Done():
	}
	back := f.borrow()
	defer func() { back <- struct{}{} }()
	select {
	case m, open := <-f.singles: // in front of what the receiver has
		if open {
			f.got = m
			return &f.got, nil
		}
	default:
	}
	switch ready, err := f.r.look(1); {
	case err != nil:
		return &nothing, err
	case !ready:
		return &nothing, ctx.Err()
	}
	f.got = *f.r.one()
	f.r.handedOut()
	return &f.got, nil
}

// received makes a result of what came out of singles.
func (f *feed) received(m Message, open bool) (*Message, error) {
	if open && !f.isOver() {
		f.got = m
		return &f.got, nil
	}
	if open {
		f.putBack(m)
	}
	return f.recvEnded()
}

// putBack is for a message that a receive call took out of singles when the feed was
// just ending: new filters may have taken back what was before it.
func (f *feed) putBack(m Message) {
	<-f.free
	f.takeBack()
	r := f.r
	if r.judge.match(&m) {
		rest := r.rest()
		at := 0
		for at < len(rest) && rest[at].Seq < m.Seq {
			at++
		}
		r.setBatch(slices.Insert(slices.Clone(rest), at, m))
		r.taken.Add(^uint64(0))
	} else {
		r.discarded.Add(1)
	}
	f.free <- struct{}{}
}

// recvEnded is recv once run has ended. To wait is right: what is still to come is
// there, or the channel is at its end.
func (f *feed) recvEnded() (*Message, error) {
	<-f.free
	f.takeBack()
	got, err := f.r.recv(context.Background())
	f.got = *got
	f.free <- struct{}{}
	return &f.got, err
}

// recvBatch is RecvBatch for a subscriber with a feed.
func (f *feed) recvBatch(ctx context.Context) ([]Message, error) {
	if f.r.closed() {
		return nil, ErrClosed
	}
	if f.isOver() {
		return f.recvBatchEnded()
	}
	if f.batches == nil {
		m, err := f.recv(ctx)
		if err != nil {
			return nil, err
		}
		return f.more([]Message{*m}), nil
	}
	select {
	case b, open := <-f.batches:
		return f.receivedBatch(b, open)
	default:
	}
	select {
	case b, open := <-f.batches:
		return f.receivedBatch(b, open)
	case <-ctx.Done():
	}
	back := f.borrow()
	defer func() { back <- struct{}{} }()
	switch ready, err := f.r.look(f.r.limit); {
	case err != nil:
		return nil, err
	case !ready:
		return nil, ctx.Err()
	}
	f.r.handedOut() // what was received before
	return f.r.all(), nil
}

func (f *feed) receivedBatch(b []Message, open bool) ([]Message, error) {
	if open {
		return b, nil
	}
	return f.recvBatchEnded()
}

func (f *feed) recvBatchEnded() ([]Message, error) {
	<-f.free
	f.takeBack()
	b, err := f.r.recvBatch(context.Background())
	f.free <- struct{}{}
	return b, err
}

// more adds to batch what the buffer of C holds.
func (f *feed) more(batch []Message) []Message {
	for len(batch) < maxSingles {
		select {
		case m, open := <-f.singles:
			if !open {
				return batch
			}
			if f.isOver() {
				f.putBack(m)
				return batch
			}
			batch = append(batch, m)
		default:
			return batch
		}
	}
	return batch
}
