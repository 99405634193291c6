package virtualcan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/canhub-go/canhub/hub"
)

// A packet is its length in four bytes, big-endian, and then that many bytes: an
// identifier of four, flags (1 for extended), the number of data bytes, and the data. All peers
// send eight bytes of data, whatever the number.
const (
	prefixLen = 4
	headLen   = 6 // without data
	bodyLen   = headLen + 8
	packetLen = prefixLen + bodyLen

	flagExtended = byte(hub.Extended) // they happen to be the same bit

	// maxPacket is how long a packet may be, with its prefix.
	maxPacket = 64 << 10
)

// appendPacket appends m, which the protocol must be able to carry.
func appendPacket(dst []byte, m *hub.Message) []byte {
	n := len(dst)
	dst = slices.Grow(dst, packetLen)[:n+packetLen]
	putPacket((*[packetLen]byte)(dst[n:]), m)
	return dst
}

// appendPackets appends messages until there is no more room in dst's capacity,
// or until one that the protocol cannot carry. It returns those that are left.
func appendPackets(dst []byte, msgs []hub.Message) ([]byte, []hub.Message) {
	n := len(dst)
	room := dst[n:cap(dst)]
	for len(msgs) > 0 && len(room) >= packetLen && uncarried(&msgs[0]) == nil {
		putPacket((*[packetLen]byte)(room), &msgs[0])
		room, msgs = room[packetLen:], msgs[1:]
	}
	return dst[:cap(dst)-len(room)], msgs
}

func putPacket(p *[packetLen]byte, m *hub.Message) {
	id, flags := m.ID, byte(m.Flags)&flagExtended
	if m.Tag != 0 {
		if h := header(m.Tag); h.fits(m) {
			id, flags = h.id(), h.flags()
		}
	}
	binary.BigEndian.PutUint64(p[0:], bodyLen<<32|uint64(id))
	p[8] = flags
	p[9] = m.Len
	data := binary.LittleEndian.Uint64(m.Data[:])
	binary.LittleEndian.PutUint64(p[10:], data&(1<<(8*m.Len)-1)) // and zeros behind Len
}

// split returns how many bytes the first packet of p has, with its prefix: 0
// while the prefix is not all there. The packet may be longer than p.
func split(p []byte) (n int, err error) {
	if len(p) < prefixLen {
		return 0, nil
	}
	length := binary.BigEndian.Uint32(p)
	if length > maxPacket-prefixLen {
		return 0, fmt.Errorf("a packet of %d bytes, at most %d are taken: is this virtualcan's protocol?", length, maxPacket-prefixLen)
	}
	return prefixLen + int(length), nil
}

// decodePacket reads a whole packet into m, which it overwrites.
func decodePacket(m *hub.Message, p []byte) error {
	p = p[prefixLen:]
	if len(p) < headLen {
		return fmt.Errorf("a packet of %d bytes, want %d at least", len(p), headLen)
	}
	n := int(p[5])
	if n > 8 {
		return fmt.Errorf("%d data bytes, at most 8 are possible", n)
	}
	if len(p) < headLen+n {
		return fmt.Errorf("a packet of %d bytes, too short for %d data bytes", len(p), n)
	}
	*m = hub.Message{Len: uint8(n)}
	copy(m.Data[:8], p[headLen:headLen+n])
	newHeader(binary.BigEndian.Uint32(p), p[4]).set(m)
	return nil
}

// A header is the identifier and the flags of a packet. Peers do not look at all
// of their bits, and some put more there than the protocol has. It is kept as the
// Tag of the message, with the Flags of that in front, so that the others get it
// as it was sent.
type header uint64

const (
	headerMark = header(0x7643) << 48 // tells it from a Tag of somebody else

	// The highest bits of an identifier, as in linux/can.h.
	idExtended = 1 << 31
	idRemote   = 1 << 30
	idError    = 1 << 29

	maxStandard = 1<<11 - 1
	maxExtended = 1<<29 - 1
)

func newHeader(id uint32, flags byte) header {
	return headerMark | header(flags)<<32 | header(id)
}

func (h header) id() uint32  { return uint32(h) }
func (h header) flags() byte { return byte(h >> 32) }

// set gives m, which has the length and the data, the rest of the message that a
// packet has. The highest bits of the identifier mean what they mean in
// SocketCAN, and one of more than 11 bits is extended, whatever else is said.
func (h header) set(m *hub.Message) {
	id, flags := h.id(), h.flags()
	m.ID, m.Flags, m.Tag = id&maxExtended, 0, 0
	if flags&flagExtended != 0 || id&idExtended != 0 || m.ID > maxStandard {
		m.Flags = hub.Extended
	}
	switch {
	case id&idError != 0:
		m.Flags = hub.Error
	case id&idRemote != 0 && m.Data == [64]byte{}: // it has none
		m.Flags |= hub.Remote
	}
	if id != m.ID || flags != byte(m.Flags) {
		m.Tag = uint64(h | header(m.Flags)<<40)
	}
}

// fits reports whether h is a header with which m, or a copy of it, has come.
func (h header) fits(m *hub.Message) bool {
	var was hub.Message
	copy(was.Data[:], m.Bytes())
	newHeader(h.id(), h.flags()).set(&was)
	return was.Tag == m.Tag && was.ID == m.ID && was.Flags == m.Flags&^hub.Own && m.Len <= 8
}

var (
	errRemote = unsupported("remote")
	errFD     = unsupported("CAN FD")
	errError  = unsupported("error")
)

func unsupported(kind string) error {
	return fmt.Errorf("virtualcan: the protocol has no %s frames: %w", kind, errors.ErrUnsupported)
}

// uncarried tells why the protocol cannot carry m, or returns nil.
func uncarried(m *hub.Message) error {
	if m.Flags&(hub.Remote|hub.FDF|hub.Error) == 0 {
		return nil
	}
	return uncommon(m)
}

func uncommon(m *hub.Message) error {
	switch {
	case m.Tag != 0 && header(m.Tag).fits(m): // a peer has found a way
		return nil
	case m.Flags&hub.Error != 0:
		return errError
	case m.Flags&hub.FDF != 0:
		return errFD
	}
	return errRemote
}
