package hub

// A Filter selects messages by identifier: those whose identifier is equal to
// ID in the bits that Mask has set. A Mask of 0 selects every identifier,
// 0x1FFFFFFF one. Bits of ID beyond the identifier's width are ignored, and
// data, remote and CAN FD frames are treated alike.
//
// An error frame has no identifier: filters let it through.
type Filter struct {
	ID, Mask     uint32
	StandardOnly bool // only 11-bit identifiers
	ExtendedOnly bool // only 29-bit identifiers
	Invert       bool // select those whose identifier differs in those bits
}

// Match reports whether f lets m through. An error frame always passes.
func (f Filter) Match(m Message) bool {
	return m.Flags&Error != 0 || f.match(&m)
}

func (f *Filter) match(m *Message) bool {
	extended := m.Flags&Extended != 0
	if f.StandardOnly && extended || f.ExtendedOnly && !extended {
		return false
	}
	return ((m.ID^f.ID)&f.Mask&maxExtended == 0) != f.Invert
}

// filterSet is what one call of SetFilters asked for. It is never changed.
type filterSet struct {
	gen     uint32 // how many sets this subscriber had before
	filters []Filter
}

// match reports whether m passes: any filter is enough, and none means all.
func (s *filterSet) match(m *Message) bool {
	if len(s.filters) == 0 || m.Flags&Error != 0 {
		return true
	}
	for i := range s.filters {
		if s.filters[i].match(m) {
			return true
		}
	}
	return false
}

// apply returns the messages of p that pass, as a copy.
func (s *filterSet) apply(p span) span {
	if p.n == 0 {
		return p
	}
	var kept []Message
	for _, m := range p.messages() {
		if s.match(&m) {
			kept = append(kept, m)
		}
	}
	return span{slab: &slab{msgs: kept}, n: uint32(len(kept))}
}
