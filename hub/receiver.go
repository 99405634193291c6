package hub

import (
	"context"
	"sync/atomic"
)

// A receiver is a subscriber's queue with the state of who receives from it: one
// goroutine at a time, that of the feed while there is one.
type receiver struct {
	queue
	wantsGaps bool // ErrorFrames

	alerts atomic.Uint32 // of everybody: what a receive call must look at first

	// Of who receives.
	out      *pipe
	batch    []Message  // the latest one
	pos      int        // in batch, of the next message to hand out
	judge    *filterSet // that all of these have passed
	expected uint32     // the ord that the next batch has if nothing is lost
	gap      bool       // something was lost before them, and that is not told yet
	told     Message    // the latest frame of a gap

	// batch has frames of gaps among the messages, for a feed has given it back.
	hasFrames bool

	held     hold   // what batch lies in
	lent     []hold // what may still be read although batch is another; see keepLent
	keepLent bool   // a feed hands out whole batches
}

// A hold is how many batches of a slab are to be given back.
type hold struct {
	slab *slab
	n    int64
}

const (
	alertClosed  = 1 << iota // the subscriber was closed
	alertFilters             // there are new filters
	alertFeed                // a feed receives
)

func (r *receiver) init(o *SubscriberOptions, b *bell) {
	r.queue.init(o, b)
	r.wantsGaps = o.ErrorFrames
	r.out = r.in
	set := newFilterSet(o.Filters, 0)
	r.filters.Store(set)
	r.judge = set
}

func (r *receiver) closed() bool { return r.alerts.Load()&alertClosed != 0 }

// rest returns what is left of the latest batch.
func (r *receiver) rest() []Message          { return r.batch[r.pos:] }
func (r *receiver) setBatch(batch []Message) { r.batch, r.pos = batch, 0 }

// overflow is the error frame for messages that were lost for want of room, as
// SocketCAN reports it (linux/can/error.h: CAN_ERR_CRTL, RX_OVERFLOW).
var overflow = Message{ID: 0x004, Flags: Error, Len: 8, Data: [64]byte{1: 0x01}}

// recv is Recv for who has the receiver. The message is there until the next
// receive call.
func (r *receiver) recv(ctx context.Context) (*Message, error) {
	if err := r.wait(ctx, 1); err != nil {
		return &nothing, err
	}
	return r.one(), nil
}

// nothing is what comes with an error.
var nothing Message

// one returns what wait has found.
func (r *receiver) one() *Message {
	if r.gap {
		return r.tellGap()
	}
	m := &r.batch[r.pos]
	r.pos++
	if m.Seq != 0 { // or it is the frame of a gap
		r.took(1)
	}
	return m
}

// counted returns how many messages of batch are counted as queued: not the frames of
// gaps.
func (r *receiver) counted(batch []Message) (n uint64) {
	if !r.hasFrames {
		return uint64(len(batch))
	}
	for i := range batch {
		if batch[i].Seq != 0 {
			n++
		}
	}
	return n
}

// recvBatch is RecvBatch for who has the receiver.
func (r *receiver) recvBatch(ctx context.Context) ([]Message, error) {
	if err := r.wait(ctx, r.limit); err != nil {
		return nil, err
	}
	return r.all(), nil
}

// all returns what wait has found, as one batch.
func (r *receiver) all() []Message {
	if r.gap {
		return []Message{*r.tellGap()}
	}
	batch := r.rest()
	r.setBatch(nil)
	r.took(int(r.counted(batch)))
	if r.box != nil {
		batch = r.moreLatest(batch)
	}
	return batch
}

// maxSingles bounds what a receive call copies into one batch.
const maxSingles = 64

// moreLatest adds to a short batch what is queued behind it under DropOldest, as
// far as nothing is missing in between.
func (r *receiver) moreLatest(batch []Message) []Message {
	shared := true
	for len(batch) < maxSingles {
		b := r.takeLatest(maxSingles-len(batch), r.expected)
		if b.n == 0 {
			break
		}
		if shared {
			batch, shared = append(make([]Message, 0, maxSingles), batch...), false
		}
		if r.accept(b); r.gap {
			break
		}
		batch = append(batch, r.rest()...)
		r.took(len(r.rest()))
		r.setBatch(nil)
	}
	return batch
}

// gapFrame returns the error frame for the gap, with the time of the message
// behind it, or of the latest loss.
func (r *receiver) gapFrame() *Message {
	r.told = overflow
	r.told.Timestamp = r.lostAt.Load()
	if rest := r.rest(); len(rest) > 0 {
		r.told.Timestamp = rest[0].Timestamp
	}
	return &r.told
}

func (r *receiver) tellGap() *Message {
	r.gap = false
	return r.gapFrame()
}

// wait returns nil when there is something left of a batch, or a gap to tell.
// Under DropOldest it takes up to most messages: the others can still be dropped.
func (r *receiver) wait(ctx context.Context, most int) error {
	done := ctx.Done()
	for {
		if ready, err := r.have(); ready || err != nil {
			return err
		}
		if done == nil && !r.wantsGaps && r.box == nil {
			// Nothing to select on and nothing to compare: much the cheapest way to wait.
			b, open := <-r.out.c
			if !r.fromPipe(b, open) {
				return ErrClosed
			}
			if r.pos < len(r.batch) && r.alerts.Load() == 0 {
				return nil
			}
			continue
		}
		if ready, err := r.look(most); ready || err != nil {
			return err
		}
		select {
		case b, open := <-r.out.c:
			r.fromPipe(b, open)
		case <-done:
			if ready, err := r.look(most); ready || err != nil { // it came before
				return err
			}
			return ctx.Err()
		}
	}
}

// have reports whether there is something left, after what has to be looked at
// first. The error is [ErrClosed] when nothing will come any more.
func (r *receiver) have() (bool, error) {
	if alerts := r.alerts.Load(); alerts&^alertFeed != 0 {
		if alerts&alertClosed != 0 {
			r.setBatch(nil)
			r.gap, r.held, r.lent = false, hold{}, nil
			return false, ErrClosed
		}
		r.alerts.And(^uint32(alertFilters))
		r.refilter()
	}
	return r.pos < len(r.batch) || r.gap, nil
}

// look is wait without waiting: it reports whether it has found something.
func (r *receiver) look(most int) (ready bool, err error) {
	for {
		if ready, err := r.have(); ready || err != nil {
			return ready, err
		}
		offered := uint32(r.offered.Load())
		if r.box != nil {
			if b := r.takeLatest(most, r.expected); b.n > 0 {
				r.accept(b)
				continue
			}
		}
		select {
		case b, open := <-r.out.c:
			if !r.fromPipe(b, open) {
				return false, ErrClosed
			}
			continue
		default:
		}
		if !r.wantsGaps || int32(offered-r.expected) <= 0 {
			return false, nil
		}
		// Nothing is queued, so what had been offered before is lost.
		r.expected, r.gap = offered, true
	}
}

// fromPipe takes what a receive from the pipe gave. It returns false if that was
// the end of the queue.
func (r *receiver) fromPipe(b batch, open bool) bool {
	switch {
	case open && b.n == 0: // there is something in the box
	case open:
		r.accept(b)
	case r.out.next != nil:
		r.out = r.out.next
	case r.closed(): // look sees it
	case r.wantsGaps && r.ord != r.expected:
		r.expected, r.gap = r.ord, true
	default:
		return false
	}
	return true
}

// accept makes b the current batch.
func (r *receiver) accept(b batch) {
	r.gap = r.wantsGaps && b.ord != r.expected
	r.expected = b.ord + b.n
	r.setBatch(b.messages())
	r.hold(b.slab)
	if b.judge != r.judge.number {
		r.judge = r.filters.Load()
		if b.judge != r.judge.number {
			r.rejudge()
		}
	}
}

// hold keeps the slab of the next batch, and gives back the one before when that
// is another: what was received from it may be written over now.
func (r *receiver) hold(next *slab) {
	if next != r.held.slab {
		if r.keepLent {
			r.lent = append(r.lent, r.held)
		} else {
			r.held.giveBack()
		}
		r.held = hold{slab: next}
	}
	r.held.n++
}

// handedOut ends the lease of what was handed out before the current batch.
func (r *receiver) handedOut() {
	for i := range r.lent {
		r.lent[i].giveBack()
	}
	clear(r.lent)
	r.lent = r.lent[:0]
}

func (h *hold) giveBack() {
	if h.slab != nil {
		h.slab.giveBack(h.n)
	}
}

// refilter applies new filters to the current batch.
func (r *receiver) refilter() {
	if set := r.filters.Load(); set != r.judge {
		r.judge = set
		r.rejudge()
	}
}

// rejudge removes what judge does not let through from the current batch.
func (r *receiver) rejudge() {
	rest := r.rest()
	kept := make([]Message, 0, len(rest))
	for i := range rest {
		if r.judge.match(&rest[i]) {
			kept = append(kept, rest[i])
		}
	}
	n := len(rest) - len(kept)
	r.setBatch(kept)
	r.took(n)
	r.discarded.Add(uint64(n))
}
