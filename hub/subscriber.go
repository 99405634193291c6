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
	member
	channel  *channel
	registry *registry
	sent     atomic.Uint64
	feed     atomic.Pointer[feed] // set by the first C or Batches
	ended    chan struct{}        // closed by the first Close, when all is done
}

func newSubscriber(c *channel, r *registry, o SubscriberOptions) *Subscriber {
	s := &Subscriber{channel: c, registry: r, ended: make(chan struct{})}
	s.member.init(o, &c.bell)
	return s
}

// Name returns the subscriber's name.
func (s *Subscriber) Name() string { return s.opts.Name }

// Channel returns the name of its channel.
func (s *Subscriber) Channel() string { return s.channel.name }

// Stats returns what has been sent and received so far. It may also be called
// after Close.
func (s *Subscriber) Stats() Stats {
	buffered := s.buffered()
	discarded := s.discarded.Load() // before taken, which is never less
	taken, dropped := s.taken.Load(), s.dropped.Load()
	queued := int(s.offered.Load()-dropped-taken) + buffered
	return Stats{
		Sent:     s.sent.Load(),
		Received: uint64(max(0, int(taken-discarded)-buffered)),
		Dropped:  dropped,
		Queued:   min(max(0, queued), s.limit),
		Capacity: s.limit,
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
	set := newFilterSet(filters, 0)
	for {
		old := s.filters.Load()
		set.number = old.number + 1
		if s.filters.CompareAndSwap(old, set) {
			break
		}
	}
	s.alerts.Or(alertFilters)
	s.channel.ask(&request{kind: askRefilter, member: &s.member, filters: set})
	if f := s.feed.Load(); f != nil {
		f.review()
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
	return s.send(ctx, envelope{span: s.channel.memo.write(&m, &s.sender)}, s.stall)
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
	first := min(len(msgs), maxSlab)
	e := envelope{span: s.channel.memo.writeAll(msgs[:first], &s.sender)}
	if len(msgs) > first {
		e.request = &request{kind: askMore}
		for piece := range slices.Chunk(msgs[first:], maxSlab) {
			e.request.pieces = append(e.request.pieces, s.channel.memo.writeAll(piece, &s.sender))
		}
	}
	return s.send(ctx, e, s.stall)
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
	r := &request{kind: askReport, reply: make(chan []string, 1)}
	if err := s.send(ctx, envelope{request: r, span: s.channel.memo.write(&m, &s.sender)}, s.stall); err != nil {
		return err
	}
	var missed []string
	select {
	case missed = <-r.reply:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stall:
		return ErrStalled
	case <-s.quit:
		select {
		case missed = <-r.reply:
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

// send is the one way in for all that is sent. A token in stall ends the wait for
// room there.
func (s *Subscriber) send(ctx context.Context, e envelope, stall <-chan struct{}) error {
	n := uint64(e.n)
	if e.request != nil {
		for _, p := range e.request.pieces {
			n += uint64(p.n)
		}
	}
	if err := s.channel.send(ctx, e, s.quit, stall); err != nil {
		return err
	}
	s.sent.Add(n)
	return nil
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
		<-s.ended
		return nil
	}
	s.shut()
	s.channel.post(&request{kind: askLeave, member: &s.member}) // or the hub is closing, and lets go of everybody
	<-s.left
	if f := s.feed.Load(); f != nil {
		f.review() // wakes it
	}
	s.workers.shut()
	if f := s.feed.Load(); f != nil {
		f.giveUp()
	}
	s.channel.joined.Add(-1)
	s.registry.leave(s.channel)
	close(s.ended)
	return nil
}

// Recv returns the next message. It waits while there is none, until ctx is
// done. What is queued it returns even then: with a done ctx it is a poll.
//
// It returns the ctx's error, or [ErrClosed] when the subscriber is closed, or
// the hub is closed and everything queued has been received.
func (s *Subscriber) Recv(ctx context.Context) (Message, error) {
	m, err := s.next(ctx) // and the rest is inlined: it saves a copy
	return *m, err
}

// next is Recv. The message is there until the next receive call.
func (s *Subscriber) next(ctx context.Context) (*Message, error) {
	// First the alerts: with a feed the receiver is not ours.
	if s.alerts.Load() != 0 {
		if f := s.feed.Load(); f != nil {
			return f.recv(ctx)
		}
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
	if f := s.feed.Load(); f != nil {
		return f.recvBatch(ctx)
	}
	return s.recvBatch(ctx)
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

// C returns a chan that the messages come out of, for use in a select
// statement. It is always the same one, and it is closed when the subscriber or
// the hub is. For much traffic [Subscriber.Batches] is many times as fast.
//
// The first call starts a goroutine that receives for the chan; from then on
// the other receive calls read from the chan too. The message that is on offer
// counts as queued. Only under [DropOldest] it does not: there the queue holds as
// many more, and the one on offer is not taken back.
//
// Under Block without a limit and without filters, the chan has a buffer of up
// to 64 messages, which counts as a part of the queue. Later calls of SetFilters
// do not reach into it; a subscriber that has filters when C is first called
// has no such buffer.
//
// When the hub is closed, a reader still gets what is queued, and the hub's
// Close waits for it. A reader that takes nothing for 100 milliseconds is given
// up, or once it has taken something, one that takes nothing for a second: then the
// chan is closed with what it holds, and the rest is left to Recv.
//
// A subscriber has C or Batches: C panics after Batches was called.
func (s *Subscriber) C() <-chan Message {
	f := s.feed.Load()
	if f == nil {
		f = s.startFeed(false)
	}
	if f.batches != nil {
		panic(errTwoFeeds)
	}
	return f.singles
}

// Batches returns a chan that the messages come out of in batches, as RecvBatch
// returns them, for use in a select statement. It is always the same one, and it is
// closed when the subscriber or the hub is.
//
// A slice is shared with other subscribers: do not write to it. It stays as it is
// until the next one is received; then its memory is used again.
//
// The first call starts a goroutine that receives for the chan; from then on the
// other receive calls get what it has. The batch that is on offer counts as queued.
// Only under [DropOldest] it does not: there the queue holds as many more, and those
// on offer, at most a quarter of the queue and 64 messages, are not taken back. The
// end is as with [Subscriber.C].
//
// A subscriber has C or Batches: Batches panics after C was called.
func (s *Subscriber) Batches() <-chan []Message {
	f := s.feed.Load()
	if f == nil {
		f = s.startFeed(true)
	}
	if f.batches == nil {
		panic(errTwoFeeds)
	}
	return f.batches
}

const errTwoFeeds = "hub: C and Batches called on one subscriber"

// startFeed makes the feed, unless another call is quicker.
func (s *Subscriber) startFeed(batches bool) *feed {
	f := newFeed(&s.receiver, s.channel.quit)
	if !s.workers.enter() { // closed: what there is fits into one chan
		f.holdAll(batches)
		if !s.feed.CompareAndSwap(nil, f) {
			return s.feed.Load()
		}
		return f
	}
	ahead := 0
	if batches {
		f.batches = make(chan []Message)
	} else if s.policy == Block && s.blockFor == 0 && len(s.filters.Load().filters) == 0 {
		// The channel may count a message twice that is moving from the queue to
		// the buffer. That does no harm where it waits, but it could drop one.
		// And nobody can look through a buffer that somebody else reads from.
		ahead = min(s.limit/4, maxAhead)
	}
	f.singles = make(chan Message, ahead)
	if !s.feed.CompareAndSwap(nil, f) {
		s.workers.leave()
		return s.feed.Load()
	}
	s.keepLent = batches
	s.queue.ahead.Store(&f.singles)
	s.alerts.Or(alertFeed)
	go f.run(&s.workers) // Close and the hub's Close wait for workers
	return f
}
