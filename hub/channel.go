package hub

import (
	"log/slog"
	"runtime"
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
//	queue.offer         puts a batch of it into the member's pipe, or hands it to a
//	                    reader that waits in Batches (queue.hand), and under a
//	                    policy that drops counts what is lost. Under Block what does
//	                    not fit stays in queue.waiting, and the member is late.
//	owner.wait          while anybody is late, nothing more is received. The channel
//	                    waits for the bell, which receivers ring when they have made
//	                    room (queue.took), or for the time to look at them.
//	Subscriber.Recv     the receiver's goroutine takes batches out of the pipe and
//	                    walks them (receiver). With C or Batches that goroutine is
//	                    the feed, which hands them on through a chan of its own.
//
// So a message can wait before a full inbox (its Send waits with it), in the inbox, in
// the owner's hands (held, pieces) while somebody is late, in queue.waiting, in a queue
// (its pipe, or its box under DropOldest), and with who receives: in the batch that is
// being walked, or on offer in the feed. Between senders and channel stand the inbox's
// chan and its list of posts, between channel and receiver the queue's pipe and
// counters; all else belongs to one goroutine at a time.
//
// owner.publish is where the order becomes binding. Today proceed calls it, in the
// order of the inbox; another maker of the order, say a wire with arbitration, would
// take what take is given, and call publish when a message has its place.
//
// Whoever wants to stop something never takes it away: Subscriber.Close posts askLeave,
// and the channel lets go of the queue; Hub.Close sets ended, and the channel waits
// for nobody any more, takes what is in the inbox, leaves what does not fit to the
// receivers (queue.close), and ends.
type channel struct {
	name string
	log  *slog.Logger
	inbox
	ended atomic.Bool   // the hub closes, or the last one has left: run is to return
	done  chan struct{} // closed by run, its last act

	messages atomic.Uint64 // stamped so far
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
		done: make(chan struct{}),
	}
	c.inbox.init(o.Inbox)
	go c.run() // who ends the channel waits for done
	return c
}

// end makes run return. Whoever took the channel out of the registry calls it.
func (c *channel) end() {
	c.ended.Store(true)
	c.wake()
}

// maxRound bounds how much is taken from the inbox before it is delivered, when
// senders put more into it all the while.
const maxRound = 256

// An owner is the state of a channel's run goroutine.
type owner struct {
	*channel
	members members

	taken  uint64     // messages taken from the inbox
	pieces []span     // of a long batch that is begun
	held   envelope   // taken from the inbox and not begun
	asked  *request   // the report on what is being delivered, or nil
	ticks  []*request // to be told when what they came with is delivered
}

// run has two states: it receives, or it waits for those who are late.
func (c *channel) run() {
	defer close(c.done)
	o := owner{channel: c}
	o.members.turn = 1
	o.members.late.copies = &o.members.copies
	o.members.late.stalls = stallLog{log: c.log, channel: c.name}
	for !o.members.ending {
		if o.late() {
			o.wait()
		} else {
			o.receive()
		}
		o.members.ending = o.ended.Load()
	}
	o.finish()
	o.members.late.stalls.wait()
}

// late reports whether anybody is late.
func (o *owner) late() bool { return len(o.members.late.list) > 0 }

// receive takes what is in the inbox, unless somebody gets late. It waits if there
// is nothing else to do.
func (o *owner) receive() {
	switch {
	case len(o.pieces) > 0: // they come before all that is held, and that before the inbox
		o.proceed()
		return
	case o.held.n == 0 && o.held.request == nil:
		o.take(<-o.in)
	}
	for n := 0; n < maxRound && len(o.in) > 0 && !o.late(); n++ { // nobody else receives: it is there
		o.take(<-o.in)
	}
	o.proceed()
}

// wait waits until somebody who is late has made room, something was posted, or it
// is time to look at those who are late. With the last of them it ends the wait.
func (o *owner) wait() {
	late := &o.members.late
	select {
	case <-o.bell.rung:
		if len(late.list) > 1 {
			runtime.Gosched() // others are about to answer too: better serve them all at once
		}
		all := o.bell.stalled.Swap(false) || o.posted.Load() != nil
		o.control() // always: there is one token for all answers
		if all {
			late.serveAll(time.Now())
		}
	case now := <-late.timer.C:
		late.serveAll(now)
	}
	if !o.late() {
		o.report()
	}
}

// take holds e, or joins it to what is held. What was held before goes on its way.
func (o *owner) take(e envelope) {
	e.span = e.span.closeTrain()
	o.taken += uint64(e.count())
	if e.request != nil && e.request.kind == askTick {
		e.request.until = o.taken
		o.ticks = append(o.ticks, e.request)
		e.request = nil
	}
	if e.request == nil && o.held.request == nil && o.held.n > 0 && o.held.meets(e.span) {
		o.held.n += e.n
		return
	}
	o.proceed()
	o.held = e
}

// proceed does what there is, in its order: pieces, then held. When somebody gets late
// it stops, and the rest waits. That is why one envelope is enough to hold: the next
// one is only taken when nobody is late, and take begins with proceed.
func (o *owner) proceed() {
	o.control()
	for !o.late() {
		o.report()
		e := envelope{}
		switch {
		case len(o.pieces) > 0:
			e.span = o.pieces[0]
			o.pieces[0] = span{}
			o.pieces = o.pieces[1:]
		case o.held.n > 0 || o.held.request != nil:
			e, o.held = o.held, e
		default:
			return
		}
		if e.request != nil {
			o.begin(e.request)
		}
		if e.n > 0 {
			o.publish(e.span)
		}
	}
}

// begin does what is to be done before the messages of its envelope.
func (o *owner) begin(r *request) {
	switch r.kind {
	case askMore:
		o.pieces = r.pieces
	case askReport:
		o.asked = r
		o.members.late.missed = nil
	default:
		o.apply(r)
	}
}

// publish gives messages their place in the order and hands them to everybody.
func (o *owner) publish(p span) { o.members.deliver(p, o.stamp(p)) }

// stamp gives messages their place in the order, and their time. It returns who
// sent them all, or nil if that was not one alone.
func (o *owner) stamp(p span) (sole *sender) {
	now, seq := time.Now().UnixNano(), o.messages.Load()
	msgs, senders := p.messages(), p.senders()
	sole = senders[0]
	for i := range msgs {
		seq++
		msgs[i].Seq = seq
		from := senders[i]
		if from != sole {
			sole = nil
		}
		from.turn = o.members.turn
		if !from.keepsTime {
			msgs[i].Timestamp = now
		}
	}
	o.messages.Store(seq)
	return sole
}

// report tells those who asked that what they sent is delivered.
func (o *owner) report() {
	missed := &o.members.late.missed
	if o.asked != nil {
		o.asked.reply <- *missed
		o.asked, *missed = nil, nil
	}
	*missed = (*missed)[:0]
	if len(o.ticks) == 0 {
		return
	}
	delivered, n := o.messages.Load(), 0
	for n < len(o.ticks) && o.ticks[n].until <= delivered {
		o.ticks[n].done.Store(true)
		n++
	}
	rest := copy(o.ticks, o.ticks[n:])
	clear(o.ticks[rest:])
	o.ticks = o.ticks[:rest]
}

// control hears those who have made room, and does what was posted, in
// the order of posting.
func (o *owner) control() {
	if o.bell.answers.Load() != nil { // or they would be kept for ever
		o.members.late.serveAnswers(&o.bell)
	}
	if o.posted.Load() == nil {
		return
	}
	for r := o.takePosted(); r != nil; r = r.below {
		o.apply(r)
	}
}

func (o *owner) apply(r *request) {
	switch r.kind {
	case askJoin:
		o.members.add(r.member, r.filters)
	case askRefilter:
		r.member.adopt(r.filters)
	case askLeave:
		o.members.remove(r.member)
	case askSync:
		r.reply <- nil
	}
}

// finish ends the channel: nothing more is accepted, what was is delivered, and
// the members that are left can receive it. First nobody is waited for any more, then
// all sends are ended, and only then the inbox can be filled up. Requests are heard
// until there can be no new ones. All queues are closed before anybody is told that
// he has left, and all are told before the first feed is waited for.
func (o *owner) finish() {
	o.members.late.clear()
	for _, m := range o.members.all() {
		m.shut()
	}
	o.shut(o.take)
	o.proceed()
	for !o.posted.CompareAndSwap(nil, noMore) {
		o.control()
	}
	all := o.members.all()
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
