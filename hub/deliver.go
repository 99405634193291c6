package hub

// members are the subscribers of a channel, and how messages get to them. It is of
// the channel's goroutine alone.
type members struct {
	receivers []*member
	mute      []*member // that only send: nothing of deliver's business
	late      lateList
	ending    bool // wait for nobody

	turn   uint64 // counts deliveries, from 1; see sender
	picked []span // scratch of pick
	copies writer // what pick copies
}

// listOf returns the list that m belongs to.
func (s *members) listOf(m *member) *[]*member {
	if m.opts.SendOnly {
		return &s.mute
	}
	return &s.receivers
}

func (s *members) add(m *member, set *filterSet) {
	if m.gone { // it closed before it could join
		return
	}
	m.adopt(set)
	list := s.listOf(m)
	m.place = len(*list)
	*list = append(*list, m)
	if s.ending {
		m.shut()
	}
}

func (s *members) remove(m *member) {
	if m.place >= 0 {
		list := s.listOf(m)
		last := (*list)[len(*list)-1]
		(*list)[m.place], last.place = last, m.place
		(*list)[len(*list)-1] = nil
		*list = (*list)[:len(*list)-1]
	}
	s.late.remove(m)
	m.leave()
}

func (s *members) all() []*member {
	return append(s.receivers[:len(s.receivers):len(s.receivers)], s.mute...)
}

// deliver hands stamped messages to every member that is to have them. First
// everybody gets what fits, then we wait for those who are behind: one slow
// subscriber does not keep this batch from the others.
func (s *members) deliver(p span, sole *sender) {
	for _, m := range s.receivers {
		if &m.sender == sole && !m.opts.OwnMessages {
			continue
		}
		if len(m.filter.filters) == 0 && m.turn != s.turn {
			s.give(m, p)
			continue
		}
		copied, isCopy := s.pick(m, p)
		if isCopy {
			s.give(m, copied)
			copied.slab.settle(int(copied.n))
			continue
		}
		for _, piece := range s.picked {
			s.give(m, piece)
		}
	}
	clear(p.senders())
	s.turn++
	if len(s.late.list) > 0 {
		s.late.begin()
	}
	p.slab.settle(int(p.n))
}

// give notes who misses a message, or gets late.
func (s *members) give(m *member, p span) {
	if dropped := m.queue.offer(p, m.filter.number, &s.copies); dropped > 0 {
		s.late.missed = append(s.late.missed, m.opts.Name)
	}
	if len(m.waiting) > 0 && !s.ending {
		s.late.add(m)
	}
}

// pick finds the messages of p that m is to have: those that its filters let
// through, and its own only if it wants them, then marked Own. They are the pieces
// of p in picked, or copied into a span.
func (s *members) pick(m *member, p span) (copied span, isCopy bool) {
	msgs, senders := p.messages(), p.senders()
	s.picked = s.picked[:0]
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
			s.picked = append(s.picked, span{slab: p.slab, off: p.off + uint32(i)})
			inPiece = true
		}
		s.picked[len(s.picked)-1].n++
	}
	few := wanted*shortPiece < len(msgs) // they would keep the memory of many
	if wanted == 0 {
		return span{}, false
	}
	if !own && !few && wanted >= shortPiece*len(s.picked) {
		return span{}, false
	}
	s.copies.begin(wanted)
	for _, piece := range s.picked {
		from := senders[piece.off-p.off:]
		for i, msg := range piece.messages() {
			to := s.copies.add(&msg)
			if from[i] == &m.sender {
				to.Flags |= Own
			}
		}
	}
	return s.copies.finish(), true
}
