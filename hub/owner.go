package hub

import "time"

// maxRound bounds how many sends are collected before they are forwarded, when
// senders put more into the inbox all the while.
const maxRound = 256

// An owner is the state of a channel's run goroutine.
type owner struct {
	*channel
	subs   []*Subscriber
	ending bool // quit was seen: wait for nobody

	// Messages that are not forwarded yet: first collected, then run.
	collected writer
	run       span // as it lies in the intake

	clock clock
	turn  uint64 // counts calls of forward, from 1; see Subscriber.sentIn

	slabs  pool      // of collected and copies
	runs   []span    // scratch of pick
	copies writer    // what pick copies
	copied []span    // the copies that are under way
	late   []late    // messages that found a full queue under Block
	missed *[]string // where to note who loses a message, for SendWait

	ticks []*op // to be told when all that is collected is forwarded

	timer *time.Timer     // of waitForRoom, and of waitForLogs
	due   time.Time       // when the first of those who are late has waited too long
	logs  []chan struct{} // each closed when a call of the log handler has ended
}

func (c *channel) run() {
	defer close(c.done)
	o := owner{channel: c, turn: 1}
	o.collected.pool, o.copies.pool = &o.slabs, &o.slabs
	for !o.ending {
		e := <-c.in
		if e.op == nil && len(c.in) == 0 { // as always on a quiet bus: nothing to collect
			e.n = e.closeRun()
			o.control()
			o.forward(e.span)
		} else {
			o.handle(e)
			for n := 0; n < maxRound && len(c.in) > 0; n++ { // nobody else receives: it is there
				o.handle(<-c.in)
			}
			o.flush()
		}
		o.ending = o.ending || c.ended.Load()
	}
	o.finish()
	o.waitForLogs()
}

func (o *owner) handle(e envelope) {
	e.n = e.closeRun()
	if e.op == nil {
		o.collect(e.span)
		return
	}
	switch e.op.kind {
	case opWait:
		o.flush()
		o.collect(e.span)
		var missed []string
		o.missed = &missed
		o.flush()
		o.missed = nil
		e.op.reply <- missed
	case opTick:
		o.collect(e.span)
		o.ticks = append(o.ticks, e.op)
	case opJoin, opFilter:
		o.flush()
		o.apply(e.op)
	}
}

// collect adds messages to those that flush forwards.
func (o *owner) collect(p span) {
	if o.run.meets(p) {
		o.run.n += p.n
		return
	}
	if o.run.n > 0 {
		o.settle()
	}
	o.run = p
}

// longRun is from how many messages on a run is forwarded as it lies. Shorter
// ones are copied together: that is cheaper than handing them over one by one.
const longRun = 16

// settle makes room for another run. If it is long the run goes on its way, or
// else to those collected.
func (o *owner) settle() {
	p := o.run
	o.run = span{}
	if p.n >= longRun {
		o.forwardCollected()
		o.forward(p)
		return
	}
	if !o.collected.room(int(p.n)) {
		o.forwardCollected()
		o.collected.reserve(longRun)
	}
	msgs, from := p.messages(), p.from()
	for i := range msgs {
		o.collected.put(&msgs[i], from[i])
	}
	clear(from)
	p.slab.done(len(msgs))
}

// flush does what is pending and forwards all that there is.
func (o *owner) flush() {
	if o.run.n > 0 && o.collected.len() > 0 {
		o.settle()
	}
	o.forwardCollected()
	if p := o.run; p.n > 0 {
		o.run = span{}
		o.forward(p)
	}
	if len(o.ticks) > 0 {
		for _, t := range o.ticks {
			t.tick.Store(true)
		}
		clear(o.ticks)
		o.ticks = o.ticks[:0]
	}
}

// forwardCollected does what is pending and forwards what is collected.
func (o *owner) forwardCollected() {
	o.control()
	if o.collected.len() > 0 {
		o.forward(o.collected.finish())
	}
}

// control does what was posted.
func (o *owner) control() {
	if o.pending.Load() != nil {
		o.doPosted()
	}
}

// doPosted does it in the order of posting.
func (o *owner) doPosted() {
	var first *op
	for p := o.pending.Swap(nil); p != nil; {
		next := p.next
		p.next = first
		first, p = p, next
	}
	for p := first; p != nil; p = p.next {
		o.apply(p)
	}
}

func (o *owner) apply(p *op) {
	s := p.sub
	switch p.kind {
	case opJoin:
		if s.gone { // it closed before it could join
			return
		}
		s.index = len(o.subs)
		o.subs = append(o.subs, s)
		s.use(p.filters)
		if o.ending {
			s.shut()
		}
	case opFilter:
		s.use(p.filters)
	case opLeave:
		s.gone = true
		if s.index >= 0 {
			last := o.subs[len(o.subs)-1]
			o.subs[s.index], last.index = last, s.index
			o.subs[len(o.subs)-1] = nil
			o.subs = o.subs[:len(o.subs)-1]
		}
		s.queue.close()
		close(s.left)
	}
}

// finish ends the channel: nothing more is accepted, what was is forwarded,
// and the subscribers that are left can receive it.
func (o *owner) finish() {
	for _, s := range o.subs {
		s.shut()
	}
	o.seal()
	for _, s := range o.subs {
		s.queue.close()
	}
	for _, s := range o.subs {
		close(s.left)
	}
	for _, s := range o.subs {
		s.workers.shut()
	}
}

// seal makes sure that no send can succeed any more, and handles those that
// did. Only this goroutine receives from the inbox, so once it is filled with
// seals nobody else can put anything into it, and no lock is needed.
func (o *owner) seal() {
	for seals := 0; seals < cap(o.in); {
		select {
		case o.in <- envelope{op: seal}:
			seals++
		default: // full, and not of seals alone
			if e := <-o.in; e.op == seal {
				seals--
			} else {
				o.handle(e)
			}
		}
	}
	o.flush()
	for !o.pending.CompareAndSwap(nil, sealed) {
		o.control()
	}
}
