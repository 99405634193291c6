package hub

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// A channel is one named CAN channel. Its run goroutine alone touches the set
// of members; everyone else asks for changes through the inbox.
//
// The way of a message, and who owns what on it:
//
//	Subscriber.Send     the sender's goroutine copies the message into a slab
//	                    (memory.write) and puts its span into the inbox, or adds it
//	                    to the train that waits there (inbox.send). It waits only
//	                    while the inbox is full. Its place there is its order.
//	owner.receive       the channel's goroutine takes what is there, and joins what
//	                    lies together to one span, in owner.held.
//	owner.proceed       stamps it (stamp: Seq and Timestamp; from now on nobody
//	                    writes to it), and hands it to each member (deliver): whole,
//	                    or the pieces that its filters want (pick).
//	queue.offer         puts a batch of it into the member's pipe, and under a
//	                    policy that drops counts what is lost. Under Block what does
//	                    not fit stays in queue.waiting, and the member is late.
//	owner.wait          while anybody is late, nothing more is received. The channel
//	                    waits for the bell, which receivers ring when they have made
//	                    room (queue.took), or for the time to look at them.
//	Subscriber.Recv     the receiver's goroutine takes batches out of the pipe and
//	                    walks them (receiver). With C or Batches that goroutine is
//	                    the feed, which hands them on through a chan of its own.
//
// So a message can wait in four places: its Send before a full inbox, in the inbox
// (and held), in queue.waiting, and in a queue. Between senders and channel stand the
// inbox's chan and its list of posts, between channel and receiver the queue's pipe
// and counters; all else belongs to one goroutine at a time.
//
// Whoever wants to stop something never takes it away: Subscriber.Close posts leave,
// and the channel lets go of the queue; Hub.Close closes quit, and the channel waits
// for nobody any more, takes what is in the inbox, leaves what does not fit to the
// receivers (queue.close), and ends.
type channel struct {
	name string
	log  *slog.Logger
	inbox
	quit  chan struct{} // closed by end: of the hub, or when the last one has left
	ended atomic.Bool   // quit is closed, or about to be
	done  chan struct{} // closed by run, its last act

	messages atomic.Uint64 // delivered so far
	joined   atomic.Int64  // subscribers that are reached by what is sent from now on

	// Of whoever has the registry in hand.
	users    int // subscribers, or about to join
	opened   int // subscribers that there ever were
	standing bool
}

func startChannel(name string, o ChannelOptions, log *slog.Logger) *channel {
	c := &channel{
		name: name,
		log:  log,
		quit: make(chan struct{}),
		done: make(chan struct{}),
	}
	c.inbox.init(o.Inbox)
	go c.run() // who ends the channel waits for done
	return c
}

// end makes run return. Whoever took the channel out of the registry calls it.
func (c *channel) end() {
	c.ended.Store(true)
	close(c.quit)
	c.wake()
}

// maxRound bounds how much is taken from the inbox before it is delivered, when
// senders put more into it all the while.
const maxRound = 256

// An owner is the state of a channel's run goroutine.
type owner struct {
	*channel
	receivers []*member
	mute      []*member // that only send
	ending    bool      // quit was seen: wait for nobody

	pieces []span     // of a long batch that is begun
	held   envelope   // taken from the inbox and not begun
	taken  uint64     // messages taken from the inbox
	ticks  []*request // to be told when what they came with is delivered

	// Of what is being delivered.
	turn   uint64    // counts deliveries; see sender
	picked []span    // scratch of pick
	copies writer    // what pick copies
	late   []*member // whose queue had no room under Block
	asked  *request  // the report that goes with it, or nil
	missed []string  // who does not get it, for the report

	timer *time.Timer     // of late and logs
	due   time.Time       // when the first of those who are late is to be looked at
	logs  []chan struct{} // each closed when a call of the log handler has ended
}

// run has two states: it receives, or it waits for those who are late.
func (c *channel) run() {
	defer close(c.done)
	o := owner{channel: c, turn: 1}
	for !o.ending {
		if len(o.late) == 0 {
			o.receive()
		} else {
			o.wait()
		}
		o.ending = o.ended.Load()
	}
	o.finish()
	o.waitForLogs()
}

// receive takes what is in the inbox, unless somebody gets late.
func (o *owner) receive() {
	o.take(<-o.in)
	for n := 0; n < maxRound && len(o.in) > 0 && len(o.late) == 0; n++ { // nobody else receives: it is there
		o.take(<-o.in)
	}
	o.proceed()
}

// take holds e, or joins it to what is held. What was held before goes on its way.
func (o *owner) take(e envelope) {
	e.closeTrain()
	o.taken += uint64(e.n)
	if e.request != nil && e.request.kind == askTick {
		e.request.until = o.taken
		o.ticks = append(o.ticks, e.request)
		e.request = nil
	}
	if e.request != nil {
		for _, p := range e.request.pieces {
			o.taken += uint64(p.n)
		}
	}
	if e.request == nil && o.held.request == nil && o.held.n > 0 && o.held.meets(e.span) {
		o.held.n += e.n
		return
	}
	o.proceed()
	o.held = e
}

// proceed does what is held, unless somebody is late: then that waits. Only with
// nobody late is anything else taken.
func (o *owner) proceed() {
	o.control()
	for len(o.late) == 0 {
		e := envelope{}
		switch {
		case len(o.pieces) > 0:
			e.span, o.pieces = o.pieces[0], o.pieces[1:]
		case o.held.n > 0 || o.held.request != nil:
			e, o.held = o.held, e
		default:
			return
		}
		if r := e.request; r != nil {
			switch r.kind {
			case askMore:
				o.pieces = r.pieces
			case askReport:
				o.asked = r
			case askJoin, askRefilter:
				o.apply(r)
			}
		}
		if e.n > 0 {
			o.deliver(o.stamp(e.span))
		}
		if len(o.late) == 0 {
			o.report()
		}
	}
}

// report tells those who asked that what they sent is delivered.
func (o *owner) report() {
	if o.asked != nil {
		o.asked.reply <- o.missed
		o.asked, o.missed = nil, nil
	}
	if len(o.ticks) == 0 {
		return
	}
	delivered, n := o.messages.Load(), 0
	for n < len(o.ticks) && o.ticks[n].until <= delivered {
		o.ticks[n].done.Store(true)
		n++
	}
	o.ticks = append(o.ticks[:0], o.ticks[n:]...)
}

// control does what was posted, in the order of posting.
func (o *owner) control() {
	if o.posted.Load() == nil {
		return
	}
	for r := o.takePosted(); r != nil; r = r.below {
		o.apply(r)
	}
}

func (o *owner) apply(r *request) {
	m := r.member
	switch r.kind {
	case askJoin:
		if m.gone { // it closed before it could join
			return
		}
		m.use(r.filters)
		list := o.listOf(m)
		m.place = len(*list)
		*list = append(*list, m)
		if o.ending {
			m.shut()
		}
	case askRefilter:
		m.use(r.filters)
	case askLeave:
		if m.place >= 0 {
			list := o.listOf(m)
			last := (*list)[len(*list)-1]
			(*list)[m.place], last.place = last, m.place
			(*list)[len(*list)-1] = nil
			*list = (*list)[:len(*list)-1]
		}
		o.notLate(m)
		m.leave()
	}
}

// listOf keeps those who only send out of the way of deliver.
func (o *owner) listOf(m *member) *[]*member {
	if m.opts.SendOnly {
		return &o.mute
	}
	return &o.receivers
}

// finish ends the channel: nothing more is accepted, what was is delivered, and
// the members that are left can receive it.
func (o *owner) finish() {
	o.waitNoMore()
	for _, list := range [][]*member{o.receivers, o.mute} {
		for _, m := range list {
			m.shut()
		}
	}
	o.shut(o.take)
	o.proceed()
	for !o.posted.CompareAndSwap(nil, noMore) {
		o.control()
	}
	all := append(o.receivers, o.mute...)
	for _, m := range all {
		m.queue.close()
	}
	for _, m := range all {
		close(m.left)
	}
	for _, m := range all {
		m.workers.shut()
	}
}
