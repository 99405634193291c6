package hub

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
)

// A Subscriber is one node's place on a channel of a [Hub], made by [Hub.Open].
// It is a [Bus].
//
// Any number of goroutines may send, and call the other methods. One at a time
// receives: calls Recv, RecvBatch, All or C.
type Subscriber struct {
	channel *channel
	opts    SubscriberOptions
	queue   queue
	workers gate // periodic tasks and the goroutine of C

	quit    chan struct{} // closed by shut: nothing can be sent any more
	leaving chan struct{} // closed by the first Close
	left    chan struct{} // closed by the channel's goroutine: it puts nothing more into queue
	closed  chan struct{} // closed by the first Close, when all is done
	stall   chan struct{} // a token from the channel ends a send that waits; never closed
	isShut  atomic.Bool
	alerts  atomic.Uint32 // what a receive call must look at first
	filters atomic.Pointer[filterSet]
	sent    atomic.Uint64

	receiver receiver // of the goroutine that receives

	nextReady *Subscriber // in channel.ready

	// Of the channel's goroutine.
	index  int        // in its list of subscribers, or -1
	late   int        // in its list of those who are late, or -1
	gone   bool       // it has left
	filter *filterSet // in use for new messages
	sentIn uint64     // the turn in which it last sent something
}

const (
	alertClosed  = 1 << iota // Close was called
	alertFilters             // SetFilters was called
	alertFeed                // C was called
)

func newSubscriber(c *channel, o SubscriberOptions) *Subscriber {
	s := &Subscriber{
		channel: c,
		opts:    o,
		quit:    make(chan struct{}),
		leaving: make(chan struct{}),
		left:    make(chan struct{}),
		closed:  make(chan struct{}),
		stall:   make(chan struct{}, 1),
		index:   -1,
		late:    -1,
	}
	s.workers.empty = make(chan struct{})
	s.queue.init(o.Queue, o.Policy)
	set := &filterSet{filters: slices.Clone(o.Filters)}
	s.filters.Store(set)
	s.receiver.judge = set
	s.opts.Filters = nil // filters has them now
	return s
}

// Name returns the subscriber's name.
func (s *Subscriber) Name() string { return s.opts.Name }

// Channel returns the name of its channel.
func (s *Subscriber) Channel() string { return s.channel.name }

// Stats returns what has been sent and received so far. It may also be called
// after Close.
func (s *Subscriber) Stats() Stats {
	q := &s.queue
	ahead, onOffer := q.ahead(), 0
	if f := q.feed.Load(); f != nil {
		onOffer = int(f.onOffer.Load())
	}
	discarded := q.discarded.Load() // before taken, which is never less
	taken, dropped := q.taken.Load(), q.dropped.Load()
	queued := int(q.offered.Load()-dropped-taken) + ahead + onOffer
	return Stats{
		Sent:     s.sent.Load(),
		Received: uint64(max(0, int(taken-discarded)-ahead-onOffer)),
		Dropped:  dropped,
		Queued:   min(max(0, queued), s.opts.Queue),
		Capacity: s.opts.Queue,
	}
}

// SetFilters replaces the filters: from now on a message is received if any of
// them matches, or if there are none. Messages that were sent before are judged
// by the filters of their time and by the new ones, so after SetFilters has
// returned no message comes out that does not match, queued ones included. Only
// the buffer that [Subscriber.C] has for a subscriber without filters is out of
// its reach. If other subscribers hold up the channel and its inbox is full, what
// is in it is judged by the new filters alone.
//
// A filter that is StandardOnly and ExtendedOnly matches nothing. SetFilters
// waits for nobody else's call, and does nothing after Close.
func (s *Subscriber) SetFilters(filters ...Filter) {
	set := &filterSet{filters: slices.Clone(filters)}
	for {
		old := s.filters.Load()
		set.gen = old.gen + 1
		if s.filters.CompareAndSwap(old, set) {
			break
		}
	}
	s.alerts.Or(alertFilters)
	s.channel.tell(&op{kind: opFilter, sub: s, filters: set})
	if f := s.queue.feed.Load(); f != nil {
		f.review()
	}
}

// use makes the channel use set, unless it has a later one.
func (s *Subscriber) use(set *filterSet) {
	if s.filter == nil || int32(set.gen-s.filter.gen) > 0 {
		s.filter = set
	}
}

// Send puts m on the channel: when it returns nil, m has its place in the order
// that all subscribers see. It does not wait for them to receive m, but while
// the channel's inbox is full it waits: a slow subscriber under [Block] slows
// the senders down.
//
// It returns the ctx's error if ctx is done, and then m was not sent;
// an error that matches [ErrInvalid] if m cannot exist on a bus;
// [ErrClosed], [ErrListenOnly] or [ErrStalled]. With an error m was not sent.
func (s *Subscriber) Send(ctx context.Context, m Message) error {
	if err := s.checkSend(ctx); err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	c := s.channel
	p := c.intake.write(&m, s)
	if len(c.in) == 0 && c.offer(envelope{span: p}) { // a quiet bus: the channel takes it at once
		c.follow(nil)
	} else if !c.extend(p) {
		return s.put(ctx, envelope{span: p}, s.stall)
	}
	s.sent.Add(1)
	return nil
}

// SendBatch sends messages as [Subscriber.Send] does, all or none of them,
// without those of others in between. It copies msgs.
func (s *Subscriber) SendBatch(ctx context.Context, msgs []Message) error {
	if err := s.checkSend(ctx); err != nil {
		return err
	}
	if len(msgs) == 0 {
		return nil
	}
	for i := range msgs {
		if err := msgs[i].Validate(); err != nil {
			return fmt.Errorf("message %d of %d: %w", i+1, len(msgs), err)
		}
	}
	return s.put(ctx, envelope{span: s.channel.intake.writeAll(msgs, s)}, s.stall)
}

// SendWait sends m and waits until every subscriber that is to have it has it
// in its queue. If the policy of some of them refused it, the error is a
// [*DeliveryError] that names them.
//
// Any other error is as for Send. If it comes while SendWait waits for the
// delivery, m was sent and may still be delivered.
func (s *Subscriber) SendWait(ctx context.Context, m Message) error {
	if err := s.checkSend(ctx); err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	o := &op{kind: opWait, reply: make(chan []string, 1)}
	if err := s.put(ctx, envelope{op: o, span: s.channel.intake.write(&m, s)}, s.stall); err != nil {
		return err
	}
	var missed []string
	select {
	case missed = <-o.reply:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stall:
		return ErrStalled
	case <-s.quit:
		select {
		case missed = <-o.reply:
		default:
			return ErrClosed
		}
	}
	if missed != nil {
		return &DeliveryError{Missed: missed}
	}
	return nil
}

// checkSend returns why s cannot send now. It does not wait.
func (s *Subscriber) checkSend(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.isShut.Load() {
		return ErrClosed
	}
	if s.opts.ListenOnly {
		return ErrListenOnly
	}
	return nil
}

// put puts e into the channel's inbox. A token in stall ends the wait for room
// there.
func (s *Subscriber) put(ctx context.Context, e envelope, stall <-chan struct{}) error {
	c := s.channel
	run, gen := c.openRun(&e), e.slab.gen
	if !c.offer(e) {
		select {
		case c.in <- e:
		case <-ctx.Done():
			return ctx.Err()
		case <-stall:
			return ErrStalled
		case <-s.quit:
			return ErrClosed
		}
	}
	if run != nil {
		startRun(run, gen, e.n) // the slab may be somebody else's by now
	}
	c.follow(run)
	s.sent.Add(uint64(e.n))
	return nil
}

// shut ends all sending. The first call closes quit.
func (s *Subscriber) shut() {
	if s.isShut.CompareAndSwap(false, true) {
		close(s.quit)
	}
}

// Close leaves the channel, also while the channel waits for room in this very
// subscriber's queue. Every blocked call returns [ErrClosed], and so does every
// call from then on; what was queued and not received is gone. Messages that it
// has sent are still delivered to the others. Periodic tasks end.
//
// Close returns when all goroutines of the subscriber have ended, but for a
// [Periodic].Modify that is running, and that of the channel if nobody else uses
// it. It may be called more than once, from any
// goroutine, and always returns nil.
func (s *Subscriber) Close() error {
	if s.alerts.Or(alertClosed)&alertClosed != 0 {
		<-s.closed
		return nil
	}
	close(s.leaving)
	s.shut()
	s.channel.post(&op{kind: opLeave, sub: s}) // or the hub is closing, and lets go of everybody
	<-s.left
	s.workers.shut()
	s.channel.joined.Add(-1)
	s.channel.hub.release(s.channel)
	close(s.closed)
	return nil
}

// All returns an iterator over the messages from now on. It ends when ctx is
// done and nothing is queued, or when the subscriber or the hub is closed:
// ctx.Err() tells which.
func (s *Subscriber) All(ctx context.Context) iter.Seq[Message] {
	return func(yield func(Message) bool) {
		for {
			m, err := s.Recv(ctx)
			if err != nil || !yield(m) {
				return
			}
		}
	}
}
