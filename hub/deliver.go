package hub

import "time"

// forward stamps messages and hands them to every subscriber.
func (o *owner) forward(p span) {
	now := o.clock.now()
	seq := o.messages.Load()
	msgs, from := p.messages(), p.from()
	sole := from[0] // who sent them all, or nil
	for i := range msgs {
		seq++
		msgs[i].Seq = seq
		sender := from[i]
		if sender != sole {
			sole = nil
		}
		sender.sentIn = o.turn
		if !sender.opts.KeepTimestamps {
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
			if s.queue.fits(int(p.n)) { // and it is not late: it would be so for this one
				s.queue.push(p, s.filter.gen)
			} else {
				o.offer(s, p)
			}
			continue
		}
		for _, run := range o.pick(s, p) {
			o.offer(s, run)
		}
	}
	clear(from)
	o.turn++
	if len(o.late) > 0 {
		o.waitForRoom()
	}
	p.slab.done(len(msgs))
	if len(o.runs) > 0 || len(o.copied) > 0 {
		o.forgetRuns()
	}
}

// forgetRuns ends the use of what pick has returned.
func (o *owner) forgetRuns() {
	clear(o.runs)
	o.runs = o.runs[:0]
	for _, c := range o.copied {
		c.slab.done(int(c.n))
	}
	clear(o.copied)
	o.copied = o.copied[:0]
}

// shortRun is the mean length below which runs of messages are copied into one:
// handing over a run costs about as much as copying this many messages.
const shortRun = 8

// pick returns the runs of p that s is to have: those that its filters let
// through, and its own only if it wants them, then as copies marked Own.
func (o *owner) pick(s *Subscriber, p span) []span {
	msgs, from := p.messages(), p.from()
	clear(o.runs)
	o.runs = o.runs[:0]
	wanted, own, inRun := 0, false, false
	for i := range msgs {
		mine := from[i] == s
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
	if !own && (wanted >= shortRun*len(o.runs) || len(o.runs) == 1 && wanted*shortRun >= len(msgs)) {
		return o.runs // or else a few messages would keep the memory of many
	}
	copies := &o.copies
	copies.reserve(wanted)
	for _, run := range o.runs {
		for k := range run.messages() {
			i := int(run.off-p.off) + k
			copies.put(&msgs[i], nil)
			if from[i] == s {
				copies.slab.msgs[copies.next-1].Flags |= Own
			}
		}
	}
	c := copies.finish()
	o.copied = append(o.copied, c)
	clear(o.runs)
	o.runs = append(o.runs[:0], c)
	return o.runs
}

// offer hands over what fits and treats the rest as the policy says. It never
// waits: what a full queue under Block cannot take is noted in late.
func (o *owner) offer(s *Subscriber, p span) {
	if n := len(o.late); n > 0 && o.late[n-1].sub == s { // keep the order
		o.late[n-1].more = append(o.late[n-1].more, p)
		return
	}
	gen := s.filter.gen
	if p = o.handOver(s, p, gen); p.n > 0 {
		s.late = len(o.late)
		o.late = append(o.late, late{sub: s, rest: p, gen: gen, seen: s.queue.taken.Load()})
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

// A clock tells the time in nanoseconds since 1970. It asks the operating system
// for the wall clock once a second, and in between only for how long that is ago,
// which takes half as long. So for up to a second after the clock was set, or the
// machine has woken from a suspend that its monotonic clock does not count, the
// time is still that of before.
type clock struct {
	set  time.Time
	wall int64
}

func (c *clock) now() int64 {
	if ago := time.Since(c.set); ago < time.Second {
		return c.wall + int64(ago)
	}
	c.set = time.Now()
	c.wall = c.set.UnixNano()
	return c.wall
}
