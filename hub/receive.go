package hub

import (
	"context"
	"iter"
)

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
	r := &s.receiver
	// First the alerts: with a feed the receiver is not ours.
	if r.alerts.Load() == 0 && r.pos < len(r.batch) && !r.gap {
		m := &r.batch[r.pos]
		r.pos++
		r.took(1)
		return m, nil
	}
	if f := s.feed.Load(); f != nil {
		return f.recv(ctx)
	}
	return r.recv(ctx)
}

// RecvBatch returns the next messages: at least one, and what else it can have
// without waiting, as far as it lies together in memory: what was sent slowly comes
// one by one. It waits and fails like Recv.
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
	f := newFeed(&s.receiver, s.left)
	if !s.workers.enter() { // closed: what there is fits into one chan
		f.holdAll(batches)
		s.alerts.Or(alertFeed)
		if !s.feed.CompareAndSwap(nil, f) {
			return s.feed.Load()
		}
		switch alerts := s.alerts.Load(); { // Close or SetFilters may have found no feed
		case alerts&alertClosed != 0:
			f.giveUp()
		case alerts&alertFilters != 0:
			f.review()
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
	if batches && s.policy != DropOldest && !s.wantsGaps {
		s.queue.direct.Store(&f.batches)
	}
	s.alerts.Or(alertFeed)
	go f.run(&s.workers) // Close and the hub's Close wait for workers
	return f
}
