package hub

import "sync/atomic"

// A member is a subscriber as its channel knows it.
type member struct {
	opts SubscriberOptions // but for the filters, which the receiver has
	sender
	receiver
	workers gate // periodic tasks and the goroutine of C or Batches

	quit   chan struct{} // closed by shut: nothing can be sent any more
	isShut atomic.Bool
	left   chan struct{} // closed by the channel's goroutine: it puts nothing more into the queue

	// Of the channel's goroutine.
	place  int        // in its list of members, or -1
	gone   bool       // it has left
	filter *filterSet // in use for new messages
}

func (m *member) init(o SubscriberOptions, b *bell) {
	m.sender.keepsTime = o.KeepTimestamps
	m.receiver.init(&o, b)
	o.Filters = nil
	m.opts = o
	m.workers.empty = make(chan struct{})
	m.quit = make(chan struct{})
	m.left = make(chan struct{})
	m.place = -1
}

// shut ends all sending. The first call closes quit.
func (m *member) shut() {
	if m.isShut.CompareAndSwap(false, true) {
		close(m.quit)
	}
}

// adopt makes the channel use set, unless it has a later one.
func (m *member) adopt(set *filterSet) {
	if m.filter == nil || int32(set.number-m.filter.number) > 0 {
		m.filter = set
	}
}

// leave takes the member out of the channel.
func (m *member) leave() {
	m.gone = true
	m.queue.forget()
	m.queue.close()
	close(m.left)
}
