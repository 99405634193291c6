package canlog

import (
	"github.com/canhub-go/canhub/hub"
)

// fdLengths has the length for each DLC of CAN FD (ISO 11898-1).
var fdLengths = [16]uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64}

// anError is what an ErrorFrame line tells: that there was one. It is a bus
// error without details, as asc2log of can-utils reads it.
func anError(e *Entry) {
	e.Message = hub.Message{ID: 0x80, Flags: hub.Error, Len: 8, Timestamp: e.Message.Timestamp}
}

// classic reads an event that begins with the number of a channel:
//
//	1  123             Rx   d 3 AA BB CC  Length = 0 BitCount = 64
//	1  18FEF100x       Tx   r 5
//	1  ErrorFrame
//
// Others, such as "1  Statistic: D 0", are not ok.
func (a *ascLog) classic(f *fields, e *Entry) (ok bool, bad *syntaxError) {
	channel := *f
	if !f.next() {
		return false, nil
	}
	if f.is("ErrorFrame") {
		anError(e)
		return true, a.channel(&channel, e)
	}
	id := *f
	if !f.next() {
		return false, nil
	}
	if e.Dir = direction(f); e.Dir == DirUnknown {
		return false, nil
	}
	if bad := a.channel(&channel, e); bad != nil {
		return false, bad
	}
	m := &e.Message
	if bad := a.id(&id, m); bad != nil {
		return false, bad
	}
	f.next()
	switch {
	case f.is("d"):
	case f.is("r"):
		m.Flags |= hub.Remote
	default:
		return false, f.fail(0, "want d or r behind the direction")
	}
	f.next()
	dlc, isDLC := parseNumber(f.word(), a.base, 15)
	switch {
	case isDLC:
		m.Len = uint8(min(dlc, 8)) // 9 to 15 stand for 8 bytes too
	case m.Flags&hub.Remote == 0:
		return false, f.fail(0, "want the DLC, 0 to 15 in base %d", a.base)
	}
	if m.Flags&hub.Remote != 0 {
		return true, nil
	}
	if bad := a.data(f, m); bad != nil {
		return false, bad
	}
	if f.next() && a.isByte(f) {
		return false, f.fail(0, "more data than the %d bytes of the DLC", m.Len)
	}
	return true, nil
}

// data reads m.Len bytes behind the current word.
func (a *ascLog) data(f *fields, m *hub.Message) *syntaxError {
	for i := range m.Len {
		if !f.next() {
			return f.fail(0, "%d bytes of data, want %d", i, m.Len)
		}
		b, ok := parseNumber(f.word(), a.base, 255)
		if !ok {
			return f.fail(0, "want a byte of data in base %d", a.base)
		}
		m.Data[i] = byte(b)
	}
	return nil
}

// isByte reports whether the current word looks like a byte of data.
func (a *ascLog) isByte(f *fields) bool {
	_, ok := parseNumber(f.word(), a.base, 255)
	return ok && len(f.word()) <= 3
}

// The bits of the flags of a CANFD event.
const (
	ascRemote = 1 << 4
	ascEDL    = 1 << 12
	ascBRS    = 1 << 13
	ascESI    = 1 << 14
)

// fd reads an event that begins with CANFD:
//
//	CANFD   1 Rx        123  name  1 0 9 12 01 02 03 04 05 06 07 08 09 0A 0B 0C  0  0  3000  0  0  0  0  0
//	CANFD   1 Rx ErrorFrame Not Acknowledge error, ...
//
// Behind the identifier, and the name if there is one, are BRS, ESI, DLC,
// length, data, two numbers that do not matter here, and the flags.
func (a *ascLog) fd(f *fields, e *Entry) (ok bool, bad *syntaxError) {
	f.next()
	if bad := a.channel(f, e); bad != nil {
		return false, bad
	}
	f.next()
	if e.Dir = direction(f); e.Dir == DirUnknown {
		return false, nil
	}
	f.next()
	if f.is("ErrorFrame") {
		e.Dir = DirUnknown // error frames have none
		anError(e)
		return true, nil
	}
	m := &e.Message
	if bad := a.id(f, m); bad != nil {
		return false, bad
	}
	f.next()
	if !f.is("0") && !f.is("1") {
		f.next() // that was the name
	}
	brs := f.is("1")
	if !brs && !f.is("0") {
		return false, f.fail(0, "want 0 or 1 for BRS")
	}
	f.next()
	esi := f.is("1")
	if !esi && !f.is("0") {
		return false, f.fail(0, "want 0 or 1 for ESI")
	}
	f.next()
	dlc, isDLC := parseNumber(f.word(), a.base, 15)
	if !isDLC {
		return false, f.fail(0, "want the DLC, 0 to 15 in base %d", a.base)
	}
	f.next()
	length, isLength := parseNumber(f.word(), 10, 64)
	if !isLength {
		return false, f.fail(0, "want the length of the data, 0 to 64")
	}
	lengthAt := *f
	m.Len = uint8(length)
	if bad := a.data(f, m); bad != nil {
		return false, bad
	}
	flags := uint32(ascEDL) // unless they are told
	for range 2 {
		f.next() // duration and number of bits
	}
	if f.next() {
		if v, ok := parseNumber(f.word(), 16, 1<<32-1); ok {
			flags = v
		}
	}
	if flags&ascEDL != 0 || brs || esi || length > 8 {
		m.Flags |= hub.FDF
		if brs {
			m.Flags |= hub.BRS
		}
		if esi {
			m.Flags |= hub.ESI
		}
		if uint32(fdLengths[dlc]) != length {
			return false, lengthAt.fail(0, "%d bytes, but DLC %d stands for %d", length, dlc, fdLengths[dlc])
		}
		return true, nil
	}
	// A classic frame, seen by an interface that can do CAN FD.
	want := min(dlc, 8)
	if flags&ascRemote != 0 {
		m.Flags |= hub.Remote
		m.Len = uint8(want)
		want = 0
	}
	if length != want {
		return false, lengthAt.fail(0, "%d bytes, want %d with DLC %d", length, want, dlc)
	}
	return true, nil
}
