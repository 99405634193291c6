package hub

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"
)

// A channel is one named CAN channel. Its run goroutine alone touches the set
// of subscribers; everyone else asks for changes through the inbox.
type channel struct {
	hub  *Hub
	name string

	in   chan envelope // from any subscriber; never closed, but sealed at the end
	quit chan struct{} // closed by end: of the hub, or when the last one has left
	done chan struct{} // closed by run, its last act

	// last is the run in the inbox that may be added to, or nil. See run.go.
	last   atomic.Pointer[atomic.Uint32]
	maxRun uint32 // how many messages a run may have

	// room has a token when a subscriber that is late has made room.
	room chan struct{} // never closed

	// pending holds requests that must not wait for room in the inbox, newest
	// first. poke has a token when something was added.
	pending atomic.Pointer[op]
	poke    chan struct{} // never closed

	messages atomic.Uint64 // forwarded so far
	joined   atomic.Int64  // subscribers that receive what is sent from now on

	// Of whoever has the hub's registry in hand.
	open     int // subscribers, or about to join
	opened   int // subscribers that there ever were
	standing bool
}

// An envelope is what travels through the inbox: messages, a request, or both.
type envelope struct {
	from *Subscriber // who sends the messages
	op   *op         // nil for messages alone
	span             // the channel stamps them; nobody else has them
}

type op struct {
	kind    opKind
	sub     *Subscriber
	filters *filterSet    // opJoin, opFilter: those of its time
	reply   chan []string // opWait: who has not got it; room for one
	tick    *atomic.Bool  // opTick: set by the channel when it has forwarded it
	next    *op           // in channel.pending
}

type opKind int

const (
	opWake   opKind = iota // look at pending
	opWait                 // reply when the messages are delivered
	opTick                 // set tick when they are
	opJoin                 // a new subscriber
	opLeave                // it closes
	opFilter               // it has new filters
	opSeal                 // fills the inbox when nothing may be sent any more
)

// Requests without contents, and the mark of a channel that takes no more.
var (
	wake   = &op{kind: opWake}
	seal   = &op{kind: opSeal}
	sealed = new(op)
)

func startChannel(h *Hub, name string, o ChannelOptions) *channel {
	c := &channel{
		hub:  h,
		name: name,
		in:   make(chan envelope, o.Inbox),

		maxRun: uint32(o.Inbox / 4),

		quit: make(chan struct{}),
		done: make(chan struct{}),
		room: make(chan struct{}, 1),
		poke: make(chan struct{}, 1),
	}
	go c.run() // Hub.Close and Hub.release wait for done
	return c
}

// end makes run return. Whoever took the channel out of the registry calls it.
func (c *channel) end() {
	close(c.quit)
	c.wake()
}

// wake makes run look at quit and pending. A full inbox needs no more: run is
// about to receive from it, or it waits for room in a queue and sees poke.
func (c *channel) wake() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
	select {
	case c.in <- envelope{op: wake}:
	default:
	}
}

// tell gives o its place in the order of the channel, or if the inbox is full
// a place before what is in it: the caller does not wait for a slow subscriber.
// It returns false if the channel has ended.
func (c *channel) tell(o *op) bool {
	select {
	case <-c.quit:
	case c.in <- envelope{op: o}:
		c.follow(nil)
		return true
	default:
	}
	return c.post(o)
}

// post has o done as soon as the channel's goroutine can do anything at all.
// It returns false if the channel has ended.
func (c *channel) post(o *op) bool {
	for {
		o.next = c.pending.Load()
		if o.next == sealed {
			return false
		}
		if c.pending.CompareAndSwap(o.next, o) {
			c.wake()
			return true
		}
	}
}

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

	timer *time.Timer     // of waitForRoom
	logs  []chan struct{} // each closed when a call of the log handler has ended
}

// late is a subscriber under Block whose queue is full, and what waits for room
// in it.
type late struct {
	sub   *Subscriber
	rest  []span
	gen   uint32    // of the filters that let it through
	since time.Time // it took something, or the wait began
	seen  uint64    // what it had taken by then
	told  int       // how often it was told since then that it holds up the channel
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
	case opJoin, opFilter, opLeave:
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
		o.flush()
		from.sentIn = o.turn
		o.forward(p, from, nil)
		return
	}
	if !o.collected.room(int(p.n)) {
		o.flush()
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
	o.control()
	if o.run.n > 0 && len(o.from) > 0 {
		o.settle()
	}
	if len(o.from) > 0 {
		o.forward(o.collected.finish(), nil, o.from)
		clear(o.from)
		o.from = o.from[:0]
	}
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

// forward stamps messages and hands them to every subscriber. All are from
// sole, or else each is from the one in from.
func (o *owner) forward(p span, sole *Subscriber, from []*Subscriber) {
	now := time.Now().UnixNano()
	seq := o.messages.Load()
	msgs := p.messages()
	for i := range msgs {
		seq++
		msgs[i].Seq = seq
		if sender := oneOf(sole, from, i); !sender.opts.KeepTimestamps {
			msgs[i].Timestamp = now
		}
	}
	o.messages.Store(seq)

	// First everybody gets what fits, then we wait for those who are behind:
	// one slow subscriber does not keep this batch from the others.
	for _, s := range o.subs {
		if s.opts.SendOnly || s == sole && !s.opts.OwnMessages {
			continue
		}
		if len(s.filter.filters) == 0 && s.sentIn != o.turn {
			o.offer(s, p)
			continue
		}
		for _, run := range o.pick(s, p, sole, from) {
			o.offer(s, run)
		}
	}
	o.turn++
	o.waitForRoom()
	p.slab.done(len(msgs))
}

func oneOf(sole *Subscriber, from []*Subscriber, i int) *Subscriber {
	if sole != nil {
		return sole
	}
	return from[i]
}

// shortRun is the mean length below which runs of messages are copied into one:
// handing over a run costs about as much as copying this many messages.
const shortRun = 8

// pick returns the runs of p that s is to have: those that its filters let
// through, and its own only if it wants them, then as copies marked Own.
func (o *owner) pick(s *Subscriber, p span, sole *Subscriber, from []*Subscriber) []span {
	msgs := p.messages()
	clear(o.runs)
	o.runs = o.runs[:0]
	wanted, own, inRun := 0, false, false
	for i := range msgs {
		mine := oneOf(sole, from, i) == s
		if mine && !s.opts.OwnMessages || !s.filter.match(&msgs[i]) {
			inRun = false
			continue
		}
		own = own || mine
		wanted++
		if !inRun {
			o.runs = append(o.runs, span{slab: p.slab, off: p.off + uint32(i)})
			inRun = true
		}
		o.runs[len(o.runs)-1].n++
	}
	if !own && (len(o.runs) <= 1 || wanted >= shortRun*len(o.runs)) {
		return o.runs
	}
	copies := writer{slab: &slab{msgs: make([]Message, wanted)}}
	for _, run := range o.runs {
		for k := range run.messages() {
			i := int(run.off-p.off) + k
			copies.put(&msgs[i])
			if oneOf(sole, from, i) == s {
				copies.slab.msgs[copies.next-1].Flags |= Own
			}
		}
	}
	clear(o.runs)
	o.runs = append(o.runs[:0], copies.finish())
	return o.runs
}

// offer hands over what fits and treats the rest as the policy says. It never
// waits: what a full queue under Block cannot take is noted in late.
func (o *owner) offer(s *Subscriber, p span) {
	if n := len(o.late); n > 0 && o.late[n-1].sub == s { // keep the order
		o.late[n-1].rest = append(o.late[n-1].rest, p)
		return
	}
	gen := s.filter.gen
	if p = o.handOver(s, p, gen); p.n > 0 {
		o.late = append(o.late, late{sub: s, rest: []span{p}, gen: gen, seen: s.queue.taken.Load()})
	}
}

// handOver hands over what fits and returns what has to wait for room.
func (o *owner) handOver(s *Subscriber, p span, gen uint32) (rest span) {
	q := &s.queue
	if q.policy == DropOldest {
		q.pushLatest(p, gen)
		return span{}
	}
	if len(q.tail) == 0 {
		if k := min(q.free(), int(p.n)); k > 0 {
			var head span
			head, p = p.cut(k)
			q.push(head, gen)
		}
	}
	switch {
	case p.n == 0:
	case q.givenUp():
		q.drop(p)
		if o.missed != nil {
			*o.missed = append(*o.missed, s.opts.Name)
		}
	case o.ending:
		q.leave(p, gen)
	default:
		return p
	}
	return span{}
}

// stallAfter is how long a channel waits for room before it says so, and lets
// the subscriber that it waits for know in a send of its own.
const stallAfter = time.Second

// waitForRoom hands the rest to those who are late as they make room.
func (o *owner) waitForRoom() {
	if len(o.late) == 0 {
		return
	}
	began := time.Now()
	for i := range o.late {
		o.late[i].since = began
	}
	for o.serve() {
		select {
		case <-o.room:
		case <-o.poke:
			o.control()
		case <-o.quit:
			o.ending = true
		case <-o.timer.C:
		}
	}
	if o.timer != nil {
		o.timer.Stop()
	}
	clear(o.late[:cap(o.late)])
}

// serve gives everybody who is late what fits now, and sets the timer for the
// next time that somebody has waited too long. It returns false if nobody is
// late any more.
func (o *owner) serve() bool {
	now := time.Now()
	due := now.Add(stallAfter)
	waiting := o.late[:0]
	for _, l := range o.late {
		for o.fit(&l, now) && !l.sub.queue.await(l.need()) {
			// Some room was made just now: try again.
		}
		if len(l.rest) == 0 {
			l.done()
			continue
		}
		if d := l.due(); d.Before(due) {
			due = d
		}
		waiting = append(waiting, l)
	}
	o.late = waiting
	if len(waiting) == 0 {
		return false
	}
	o.setTimer(due.Sub(now))
	return true
}

// fit hands over what fits of l, and reports whether something is left.
func (o *owner) fit(l *late, now time.Time) bool {
	s, q := l.sub, &l.sub.queue
	if s.gone || s.isShut.Load() && !o.ending { // it closes: it wants no more
		l.rest = nil
	}
	if l.gen != s.filter.gen {
		for i, p := range l.rest {
			l.rest[i] = s.filter.apply(p)
		}
		l.gen = s.filter.gen
	}
	if taken := q.taken.Load(); taken != l.seen {
		l.seen, l.since, l.told = taken, now, 0
	}
	if s.opts.BlockFor > 0 && now.Sub(l.since) >= s.opts.BlockFor {
		q.giveUp()
	}
	for len(l.rest) > 0 {
		if l.rest[0] = o.handOver(s, l.rest[0], l.gen); l.rest[0].n > 0 {
			break
		}
		l.rest = l.rest[1:]
	}
	if len(l.rest) > 0 && now.Sub(l.since) >= time.Duration(l.told+1)*stallAfter {
		if l.told++; l.told == 1 {
			o.logStall(s)
		}
		select {
		case s.stall <- struct{}{}:
		default: // it has not looked at the last one
		}
	}
	return len(l.rest) > 0
}

// need returns for how many messages l waits. If it is late beyond measure, any
// one that it takes matters.
func (l *late) need() (n uint32) {
	if l.sub.opts.BlockFor > 0 || l.told > 0 {
		return 1
	}
	for _, p := range l.rest {
		n += p.n
	}
	return n
}

// due returns when l will have waited too long.
func (l *late) due() time.Time {
	wait := time.Duration(l.told+1) * stallAfter
	if limit := l.sub.opts.BlockFor; limit > 0 {
		wait = min(wait, limit)
	}
	return l.since.Add(wait)
}

// done ends the wait for l.
func (l *late) done() {
	l.sub.queue.want.Store(nobodyWaits)
	select {
	case <-l.sub.stall:
	default:
	}
}

func (o *owner) setTimer(d time.Duration) {
	if o.timer == nil {
		o.timer = time.NewTimer(d)
	} else {
		o.timer.Reset(d)
	}
}

// logStall runs the user's log handler, which may do what it likes, in a
// goroutine of its own. waitForLogs waits for it.
func (o *owner) logStall(s *Subscriber) {
	log, done := o.hub.log, make(chan struct{})
	attrs := []slog.Attr{
		slog.String("channel", o.name),
		slog.String("subscriber", s.opts.Name),
		slog.Int("queue", s.opts.Queue),
		slog.Duration("after", stallAfter),
	}
	go func() {
		defer close(done)
		log.LogAttrs(context.Background(), slog.LevelWarn, "hub: channel waits for a subscriber's full queue", attrs...)
	}()
	o.logs = append(slices.DeleteFunc(o.logs, isClosed), done)
}

func isClosed(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// waitForLogs waits for the log handler, but not for ever: it may be what closes
// the hub, and wait for us.
func (o *owner) waitForLogs() {
	if o.logs = slices.DeleteFunc(o.logs, isClosed); len(o.logs) == 0 {
		return
	}
	o.setTimer(stallAfter)
	for _, done := range o.logs {
		select {
		case <-done:
		case <-o.timer.C:
			return
		}
	}
	o.timer.Stop()
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
		s.workers.shut()
		close(s.left)
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
