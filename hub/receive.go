package hub

import "context"

// A receiver is the state of the goroutine that receives for a subscriber.
type receiver struct {
	batch []Message  // the latest one
	pos   int        // in batch, of the next message to hand out
	slab  *slab      // that batch lies in, or the one before, or nil
	held  int64      // how many batches of it are to be given back
	judge *filterSet // that all of these have passed
	next  uint32     // the ord that the next batch has if nothing is lost
	gap   bool       // something was lost before them, and that is not told yet
}

// took counts n messages as received, and tells the channel if it waits for that.
func (s *Subscriber) took(n int) {
	if s.queue.took(n) {
		s.makeReady()
	}
}

func (s *Subscriber) makeReady() {
	c := s.channel
	select {
	case <-s.stall: // who receives is not stalled
	default:
	}
	for {
		s.nextReady = c.ready.Load()
		if c.ready.CompareAndSwap(s.nextReady, s) {
			break
		}
	}
	select {
	case c.poke <- struct{}{}:
	default: // it knows that there is something to look at
	}
}

func (r *receiver) left() []Message     { return r.batch[r.pos:] }
func (r *receiver) set(batch []Message) { r.batch, r.pos = batch, 0 }

// hold keeps the slab of the next batch, and gives back the one before when that
// is another: what was received from it may be written over now.
func (r *receiver) hold(next *slab) {
	if next != r.slab {
		r.letGo()
		r.slab = next
	}
	r.held++
}

func (r *receiver) letGo() {
	if r.slab != nil {
		r.slab.giveBack(r.held)
		r.held = 0
	}
}

// overflow is the error frame for messages that were lost for want of room, as
// SocketCAN reports it (linux/can/error.h: CAN_ERR_CRTL, RX_OVERFLOW).
var overflow = Message{ID: 0x004, Flags: Error, Len: 8, Data: [64]byte{1: 0x01}}

// Recv returns the next message. It waits while there is none, until ctx is
// done. What is queued it returns even then: with a done ctx it is a poll.
//
// It returns the ctx's error, or [ErrClosed] when the subscriber is closed, or
// the hub is closed and everything queued has been received.
func (s *Subscriber) Recv(ctx context.Context) (Message, error) {
	m, err := s.next(ctx) // and the rest is inlined: it saves a copy
	return *m, err
}

// nothing is what comes with an error.
var nothing Message

// next is Recv. The message is there until the next receive call.
func (s *Subscriber) next(ctx context.Context) (*Message, error) {
	r := &s.receiver
	// First the alerts: with a feed the receiver is not ours.
	if s.alerts.Load() == 0 && r.pos < len(r.batch) && !r.gap {
		m := &r.batch[r.pos]
		r.pos++
		if s.queue.took(1) {
			s.makeReady()
		}
		return m, nil
	}
	if f := s.queue.feed.Load(); f != nil {
		return f.recv(ctx)
	}
	return s.recv(ctx)
}

// RecvBatch returns the next messages: at least one, and what else it can have
// without waiting, as far as it lies together in memory. It waits and fails
// like Recv.
//
// The slice is shared with other subscribers: do not write to it. It stays as it
// is until the next receive call, whether that succeeds or not; then its memory is
// used again. Copy what is to be kept longer, with [slices.Clone] or append.
func (s *Subscriber) RecvBatch(ctx context.Context) ([]Message, error) {
	if f := s.queue.feed.Load(); f != nil {
		m, err := f.recv(ctx)
		if err != nil {
			return nil, err
		}
		return f.more([]Message{*m}, maxSingles), nil
	}
	r := &s.receiver
	if err := s.fill(ctx, s.opts.Queue); err != nil {
		return nil, err
	}
	if r.gap {
		return []Message{*s.tellGap()}, nil
	}
	batch := r.left()
	r.set(nil)
	s.took(len(batch))
	if s.queue.box != nil {
		batch = s.moreLatest(batch)
	}
	return batch, nil
}

// maxSingles bounds what RecvBatch copies.
const maxSingles = 64

// moreLatest adds to a short batch what is queued behind it under DropOldest, as
// far as nothing is missing in between.
func (s *Subscriber) moreLatest(batch []Message) []Message {
	r, shared := &s.receiver, true
	for len(batch) < maxSingles {
		b := s.queue.takeLatest(maxSingles-len(batch), r.next)
		if b.n == 0 {
			break
		}
		if shared {
			batch, shared = append(make([]Message, 0, maxSingles), batch...), false
		}
		if s.accept(b, true); r.gap {
			break
		}
		batch = append(batch, r.left()...)
		s.took(len(r.left()))
		r.set(nil)
	}
	return batch
}

// A waiter says when to stop waiting, and why. Every ctx is one.
type waiter interface {
	Done() <-chan struct{}
	Err() error
}

// recv is next for a receiver that does not receive through C.
func (s *Subscriber) recv(w waiter) (*Message, error) {
	if err := s.fill(w, 1); err != nil {
		return &nothing, err
	}
	r := &s.receiver
	if r.gap {
		return s.tellGap(), nil
	}
	m := &r.batch[r.pos]
	r.pos++
	if s.queue.took(1) {
		s.makeReady()
	}
	return m, nil
}

// tellGap returns the error frame for the gap, with the time of the message
// behind it, or of the latest loss.
func (s *Subscriber) tellGap() *Message {
	r := &s.receiver
	r.gap = false
	m := overflow
	m.Timestamp = s.queue.lostAt.Load()
	if left := r.left(); len(left) > 0 {
		m.Timestamp = left[0].Timestamp
	}
	return &m
}

// fill returns nil when there is something left, or a gap to tell. Under
// DropOldest it takes up to most messages: the others can still be dropped.
func (s *Subscriber) fill(w waiter, most int) error {
	r := &s.receiver
	for {
		if alerts := s.alerts.Load(); alerts&alertClosed != 0 {
			r.set(nil)
			r.gap = false
			return ErrClosed
		} else if alerts&alertFilters != 0 {
			s.alerts.And(^uint32(alertFilters))
			s.refilter()
		}
		if r.pos < len(r.batch) || r.gap {
			return nil
		}
		offered := uint32(s.queue.offered.Load())
		if s.queue.box != nil {
			if b := s.queue.takeLatest(most, r.next); b.n > 0 {
				s.accept(b, true)
				continue
			}
		}
		stop := w.Done()
		if stop == nil && !s.opts.ErrorFrames {
			// Nothing to select on and nothing to compare: much the cheapest way to wait.
			b, ok := <-s.queue.batches
			if !s.accept(b, ok) {
				return ErrClosed
			}
			if r.pos < len(r.batch) && s.alerts.Load() == 0 {
				return nil
			}
			continue
		}
		select {
		case b, ok := <-s.queue.batches:
			if !s.accept(b, ok) {
				return ErrClosed
			}
			continue
		default:
		}
		if s.opts.ErrorFrames && int32(offered-r.next) > 0 {
			// Nothing is queued, so what had been offered before is lost.
			r.next, r.gap = offered, true
			continue
		}
		select {
		case b, ok := <-s.queue.batches:
			if !s.accept(b, ok) {
				return ErrClosed
			}
		case <-stop:
			return w.Err()
		}
	}
}

// accept makes b the current batch. It returns false if there is none, for
// batches is closed.
func (s *Subscriber) accept(b batch, ok bool) bool {
	r := &s.receiver
	if ok && b.n == 0 {
		return true // there is something in the box
	}
	if !ok {
		if s.alerts.Load()&alertClosed != 0 {
			return true // fill sees it
		}
		if len(s.queue.tail) == 0 {
			r.gap = s.opts.ErrorFrames && s.queue.ord != r.next
			r.next = s.queue.ord
			return r.gap
		}
		b, s.queue.tail = s.queue.tail[0], s.queue.tail[1:]
	}
	r.gap = s.opts.ErrorFrames && b.ord != r.next
	r.next = b.ord + b.n
	r.set(b.messages())
	if b.slab.home != nil {
		r.hold(b.slab)
	}
	if b.gen != r.judge.gen {
		r.judge = s.filters.Load()
		if b.gen != r.judge.gen {
			s.discard()
		}
	}
	return true
}

// refilter applies new filters to the current batch.
func (s *Subscriber) refilter() {
	if f := s.filters.Load(); f != s.receiver.judge {
		s.receiver.judge = f
		s.discard()
	}
}

// discard removes what judge does not let through from the current batch.
func (s *Subscriber) discard() {
	r := &s.receiver
	left := r.left()
	kept := make([]Message, 0, len(left))
	for i := range left {
		if r.judge.match(&left[i]) {
			kept = append(kept, left[i])
		}
	}
	n := len(left) - len(kept)
	r.set(kept)
	s.took(n)
	s.queue.discarded.Add(uint64(n))
}
