package canlog

import (
	"fmt"
	"math"

	"github.com/canhub-go/canhub/hub"
)

// The sizes of what is behind the header of an object: of the part that must
// be there, which is without the data in CAN FD, and in writing of all of it.
const (
	blfMessageSize = 16
	blfErrorSize   = 32
	blfFDLeast     = 20
	blfFDSize      = blfFDLeast + 64
	blfFD64Least   = 40
)

// blfMaxObject is more than any frame needs, with its header and what Vector
// may put behind it.
const blfMaxObject = 1024

// blfLeast returns the least size of an object of type kind, or 0 if it is no
// frame or has an unknown header.
func blfLeast(kind uint32, version uint16) int64 {
	header := int64(blfHeaderV1)
	switch version {
	case 1:
	case 2:
		header = blfHeaderV2
	default:
		return 0
	}
	switch kind {
	case blfTypeMessage, blfTypeMessage2:
		return header + blfMessageSize
	case blfTypeError:
		return header + blfErrorSize
	case blfTypeFD:
		return header + blfFDLeast
	case blfTypeFD64:
		return header + blfFD64Least
	}
	return 0
}

// frame reads a whole object that is as long as blfLeast wants it into e, or
// tells why it cannot.
func (b *blfLog) frame(object []byte, e *Entry) (reason string) {
	kind := little.Uint32(object[12:])
	least := blfLeast(kind, little.Uint16(object[6:]))
	header := int(little.Uint16(object[4:]))
	body := least - blfLeast(kind, 1) + blfHeaderV1 // where it begins at least
	if int64(header) < body || int64(header)+least-body > int64(len(object)) {
		return fmt.Sprintf("a header of %d bytes in an object of %d", header, len(object))
	}
	if reason := b.time(object, &e.Message); reason != "" {
		return reason
	}
	m := &e.Message
	data := object[header:]
	var channel int
	var dlc, flags uint8
	var valid []byte // the data there are
	switch kind {
	case blfTypeMessage, blfTypeMessage2:
		channel, flags, dlc = int(little.Uint16(data)), data[2], data[3]
		m.ID = little.Uint32(data[4:])
		valid = data[8:16]
	case blfTypeError:
		channel, dlc = int(little.Uint16(data)), data[10]
		m.ID = little.Uint32(data[16:])
		m.Flags |= hub.Error
		valid = data[24:32]
	case blfTypeFD:
		channel, flags, dlc = int(little.Uint16(data)), data[2], data[3]
		m.ID = little.Uint32(data[4:])
		m.Flags = fdFlags(uint32(data[13]), blfEDL, blfBRS, blfESI)
		n := int(data[14])
		if n > len(data)-blfFDLeast {
			return fmt.Sprintf("%d bytes of data in an object of %d", n, len(object))
		}
		valid = data[blfFDLeast:][:n]
	case blfTypeFD64:
		channel, dlc = int(data[0]), data[1]
		m.ID = little.Uint32(data[4:])
		v := little.Uint32(data[12:])
		m.Flags = fdFlags(v, ascEDL, ascBRS, ascESI)
		if v&ascRemote != 0 {
			flags |= blfRemote
		}
		if data[34] != 0 {
			flags |= blfSent
		}
		end := len(object)
		if ext := int(data[35]); ext != 0 { // where something else begins
			end = min(end, ext)
		}
		n := int(data[2])
		valid = data[blfFD64Least:][:max(0, min(n, end-header-blfFD64Least))]
		if dlc < 16 && n > int(fdLengths[dlc]) {
			return fmt.Sprintf("%d bytes of data with DLC %d", n, dlc)
		}
	}
	return b.finish(e, channel, flags, dlc, valid)
}

// finish sets what all objects have alike, and checks it.
func (b *blfLog) finish(e *Entry, channel int, flags, dlc uint8, valid []byte) (reason string) {
	m := &e.Message
	if m.ID&blfExtended != 0 {
		m.Flags |= hub.Extended
	}
	m.ID &= 1<<29 - 1
	if dlc > 15 {
		return fmt.Sprintf("DLC %d, which is more than 15", dlc)
	}
	m.Len = fdLengths[dlc]
	if m.Flags&hub.FDF == 0 {
		m.Len = min(m.Len, 8)
		valid = valid[:min(len(valid), int(m.Len))]
	}
	if flags&blfRemote != 0 {
		m.Flags |= hub.Remote
		valid = nil
	}
	if len(valid) > int(m.Len) {
		return fmt.Sprintf("%d bytes of data with DLC %d", len(valid), dlc)
	}
	copy(m.Data[:], valid) // what is missing is zero, as other readers have it
	if err := m.Validate(); err != nil {
		return err.Error()
	}
	e.Channel = b.channels.name(channel)
	switch {
	case m.Flags&hub.Error != 0: // has none
	case flags&blfSent != 0:
		e.Dir = DirSent
	default:
		e.Dir = DirReceived
	}
	return ""
}

// time reads the time of an object.
func (b *blfLog) time(object []byte, m *hub.Message) (reason string) {
	unit := uint64(1)
	if little.Uint32(object[16:]) == blfTenMicroseconds {
		unit = 10_000
	}
	t := little.Uint64(object[24:])
	if t > uint64(math.MaxInt64-b.start)/unit {
		return outOfRange
	}
	m.Timestamp = b.start + int64(t*unit)
	return ""
}

func fdFlags(v, edl, brs, esi uint32) (f hub.Flags) {
	if v&edl == 0 {
		return 0
	}
	f = hub.FDF
	if v&brs != 0 {
		f |= hub.BRS
	}
	if v&esi != 0 {
		f |= hub.ESI
	}
	return f
}
