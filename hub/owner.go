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
	from      []*Subscriber // who sent each of those collected
	run       span          // as it lies in the outbox of runFrom
	runFrom   *Subscriber

	turn uint64 // counts calls of forward, from 1; see Subscriber.sentIn

	runs   []span    // scratch of pick
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
	for !o.ending {
		o.handle(<-c.in)
		for n := 0; n < maxRound && len(c.in) > 0; n++ { // nobody else receives: it is there
			o.handle(<-c.in)
		}
		o.flush()
		select {
		case <-c.quit:
			o.ending = true
		default:
		}
	}
	o.finish()
	o.waitForLogs()
}

func (o *owner) handle(e envelope) {
	e.n = e.closeRun()
	if e.op == nil {
		o.collect(e.from, e.span)
		return
	}
	switch e.op.kind {
	case opWait:
		o.flush()
		o.collect(e.from, e.span)
		var missed []string
		o.missed = &missed
		o.flush()
		o.missed = nil
		e.op.reply <- missed
	case opTick:
		o.collect(e.from, e.span)
		o.ticks = append(o.ticks, e.op)
	case opJoin, opFilter:
		o.flush()
		o.apply(e.op)
	}
}

// collect adds messages to those that flush forwards.
func (o *owner) collect(from *Subscriber, p span) {
	if o.run.meets(p) && o.runFrom == from {
		o.run.n += p.n
		return
	}
	if o.run.n > 0 {
		o.settle()
	}
	o.run, o.runFrom = p, from
}

// longRun is from how many messages on a run is forwarded as it lies. Shorter
// ones of several senders are copied together: that is cheaper than handing
// them over one by one.
const longRun = 16

// settle makes room for another run. If it is long the run goes on its way, or
// else to those collected.
func (o *owner) settle() {
	p, from := o.run, o.runFrom
	o.run, o.runFrom = span{}, nil
	if p.n >= longRun {
		o.forwardCollected()
		from.sentIn = o.turn
		o.forward(p, from, nil)
		return
	}
	if !o.collected.room(int(p.n)) {
		o.forwardCollected()
		o.collected.grow(longRun)
	}
	msgs := p.messages()
	for i := range msgs {
		o.collected.put(&msgs[i])
		o.from = append(o.from, from)
	}
	from.sentIn = o.turn
	p.slab.done(len(msgs))
}

// flush does what is pending and forwards all that there is.
func (o *owner) flush() {
	if o.run.n > 0 && len(o.from) > 0 {
		o.settle()
	}
	o.forwardCollected()
	if p, from := o.run, o.runFrom; p.n > 0 {
		o.run, o.runFrom = span{}, nil
		from.sentIn = o.turn
		o.forward(p, from, nil)
	}
	for _, t := range o.ticks {
		t.tick.Store(true)
	}
	clear(o.ticks)
	o.ticks = o.ticks[:0]
}

// forwardCollected does what is pending and forwards what is collected.
func (o *owner) forwardCollected() {
	o.control()
	if len(o.from) > 0 {
		o.forward(o.collected.finish(), nil, o.from)
		clear(o.from)
		o.from = o.from[:0]
	}
}

// control does what was posted, in the order of posting.
func (o *owner) control() {
	if o.pending.Load() == nil {
		return
	}
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
