package hub

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

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
	number  uint32 // how many sets this subscriber had before
	filters []Filter
}

func newFilterSet(filters []Filter, number uint32) *filterSet {
	return &filterSet{number: number, filters: slices.Clone(filters)}
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

// ParseFilter reads a filter as the tools of SocketCAN and python-can take it,
// in hexadecimal: "123:7F0" for the identifiers that are equal to 123 in the
// bits of the mask, "123~7F0" for those that are not. An identifier of eight
// digits has 29 bits, any other 11, and the mask's bit 31 asks for that too: with
// "00000123:80000700" only 29-bit identifiers match, with "123:80000700" only
// 11-bit ones. An identifier alone selects just that one: "123", "00000123".
// "~123" is for all but that one, of either width.
//
// What a [Filter] cannot do is an error: to tell remote frames by the mask's bit
// 30, or to invert a filter for one width.
func ParseFilter(text string) (Filter, error) {
	bad := func(format string, args ...any) (Filter, error) {
		return Filter{}, fmt.Errorf("hub: filter %q: %s", text, fmt.Sprintf(format, args...))
	}
	at := strings.IndexAny(text, ":~")
	if at <= 0 { // the identifier alone
		digits := strings.TrimPrefix(text, "~")
		id, ok := parseHex32(digits)
		long := len(digits) == 8
		switch {
		case !ok:
			return bad("want ID:MASK, ID~MASK, ID or ~ID in hexadecimal")
		case !long && id > maxStandard:
			return bad("identifier above 7FF: 29-bit ones have eight digits")
		case id > maxExtended:
			return bad("identifier above 1FFFFFFF")
		}
		if digits != text {
			return Filter{ID: id, Mask: maxExtended, Invert: true}, nil
		}
		return Filter{ID: id, Mask: maxExtended, StandardOnly: !long, ExtendedOnly: long}, nil
	}
	id, ok := parseHex32(text[:at])
	mask, okMask := parseHex32(text[at+1:])
	switch {
	case !ok:
		return bad("identifier: want one to eight hexadecimal digits")
	case !okMask:
		return bad("mask: want one to eight hexadecimal digits")
	case id&errorBit != 0:
		return bad("identifier with bit 29: error frames pass every filter")
	case mask&extendedBit != 0 && text[at] == '~':
		return bad("mask with bit 31 behind ~: identifiers of the other width would not match either")
	case mask&remoteBit != 0:
		return bad("mask with bit 30: data and remote frames cannot be told apart")
	}
	f := Filter{ID: id & maxExtended, Mask: mask & maxExtended, Invert: text[at] == '~'}
	if mask&extendedBit != 0 {
		f.ExtendedOnly = at == 8 // digits, as candump has it
		f.StandardOnly = !f.ExtendedOnly
	}
	return f, nil
}

func parseHex32(digits string) (uint32, bool) {
	if len(digits) > 8 || strings.HasPrefix(digits, "+") {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	return uint32(n), err == nil
}
