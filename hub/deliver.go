package hub

import "time"

// stamp gives messages their place in the order, and their time. It returns who
// sent them all, or nil if that was not one alone.
func (o *owner) stamp(p span) (_ span, sole *sender) {
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
		from.turn = o.turn
		if !from.keepsTime {
			msgs[i].Timestamp = now
		}
	}
	o.messages.Store(seq)
	return p, sole
}

// deliver hands stamped messages to every member that is to have them. First
// everybody gets what fits, then we wait for those who are behind: one slow
// subscriber does not keep this batch from the others.
func (o *owner) deliver(p span, sole *sender) {
	for _, m := range o.receivers {
		if &m.sender == sole && !m.opts.OwnMessages {
			continue
		}
		if len(m.filter.filters) == 0 && m.turn != o.turn {
			o.offer(m, p)
			continue
		}
		own, copied := o.pick(m, p)
		if copied {
			o.offer(m, own)
			own.slab.settle(int(own.n))
			continue
		}
		for _, piece := range o.picked {
			o.offer(m, piece)
		}
	}
	clear(p.senders())
	o.turn++
	if len(o.late) > 0 {
		o.beginWait()
	}
	p.slab.settle(int(p.n))
}

// offer notes who gets late, or misses the message of a report.
func (o *owner) offer(m *member, p span) {
	if dropped := m.queue.offer(p, m.filter.number); dropped > 0 {
		o.miss(m)
	}
	if len(m.waiting) > 0 && !o.ending {
		o.noteLate(m)
	}
}

func (o *owner) miss(m *member) {
	if o.asked != nil {
		o.missed = append(o.missed, m.opts.Name)
	}
}

// shortPiece is the mean length below which pieces are copied into one: handing
// over a piece costs about as much as copying this many messages.
const shortPiece = 8

// pick finds the messages of p that m is to have: those that its filters let
// through, and its own only if it wants them, then marked Own. They are the pieces
// of p in picked, or copied into a span.
func (o *owner) pick(m *member, p span) (copied span, isCopy bool) {
	msgs, senders := p.messages(), p.senders()
	o.picked = o.picked[:0]
	wanted, own, inPiece := 0, false, false
	for i := range msgs {
		mine := senders[i] == &m.sender
		if mine && !m.opts.OwnMessages || !m.filter.match(&msgs[i]) {
			inPiece = false
			continue
		}
		own = own || mine
		wanted++
		if !inPiece {
			o.picked = append(o.picked, span{slab: p.slab, off: p.off + uint32(i)})
			inPiece = true
		}
		o.picked[len(o.picked)-1].n++
	}
	few := len(o.picked) == 1 && wanted*shortPiece < len(msgs) // they would keep the memory of many
	if !own && !few && wanted >= shortPiece*len(o.picked) {
		return span{}, false
	}
	o.copies.begin(wanted)
	for _, piece := range o.picked {
		from := senders[piece.off-p.off:]
		for i, msg := range piece.messages() {
			to := o.copies.add(&msg)
			if from[i] == &m.sender {
				to.Flags |= Own
			}
		}
	}
	return o.copies.finish(), true
}
