package hub

import "sync/atomic"

// A Subscriber is one node's place on a channel of a [Hub], made by [Hub.Open].
// It is a [Bus].
//
// Any number of goroutines may send, and call the other methods. One at a time
// receives: calls Recv, RecvBatch, All, C or Batches.
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
	s.lookAgain()
	if s.direct.Load() != nil { // what the channel judged by the old ones may be on its way
		r := &request{kind: askSync, reply: make(chan []string, 1)}
		if s.channel.post(r) {
			<-r.reply
		}
	}
	if f := s.feed.Load(); f != nil {
		f.review()
	}
}

// Close leaves the channel, also while the channel waits for room in this very
// subscriber's queue. Every blocked call returns [ErrClosed], and so does every
// call from then on; what was queued and not received is gone. A reader of C that
// goes on meanwhile may miss some of the last messages and still get a later one. Messages that it
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
	s.direct.Store(nil)                                         // or a batch could come behind one that is given up
	s.shut()                                                    // ends all sends
	s.channel.post(&request{kind: askLeave, member: &s.member}) // or the hub is closing, and lets go of everybody
	<-s.left                                                    // the channel puts nothing more into the queue
	s.queue.discard()
	if f := s.feed.Load(); f != nil {
		f.review() // wakes it, and it ends
	}
	s.workers.shut() // waits for it, and for tasks
	if f := s.feed.Load(); f != nil {
		f.giveUp() // what its chans still hold
	}
	s.channel.joined.Add(-1)
	s.registry.leave(s.channel)
	close(s.ended)
	return nil
}
