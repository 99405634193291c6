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
	for len(msgs) > 0 && len(room) >= packetLen && carries(&msgs[0]) {
		putPacket((*[packetLen]byte)(room), &msgs[0])
		room, msgs = room[packetLen:], msgs[1:]
	}
	return dst[:cap(dst)-len(room)], msgs
}

func putPacket(p *[packetLen]byte, m *hub.Message) {
	binary.BigEndian.PutUint64(p[0:], bodyLen<<32|uint64(m.ID))
	p[8] = byte(m.Flags) & flagExtended
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
	*m = hub.Message{}
	m.ID, m.Len = binary.BigEndian.Uint32(p), uint8(n)
	if p[4]&flagExtended != 0 {
		m.Flags = hub.Extended
	}
	copy(m.Data[:8], p[headLen:headLen+n])
	return m.Validate()
}

var (
	errRemote = unsupported("remote")
	errFD     = unsupported("CAN FD")
	errError  = unsupported("error")
)

func unsupported(kind string) error {
	return fmt.Errorf("virtualcan: the protocol has no %s frames: %w", kind, errors.ErrUnsupported)
}

func carries(m *hub.Message) bool { return m.Flags&(hub.Remote|hub.FDF|hub.Error) == 0 }

// uncarried tells why the protocol cannot carry m, or returns nil.
func uncarried(m *hub.Message) error {
	switch {
	case carries(m):
		return nil
	case m.Flags&hub.Error != 0:
		return errError
	case m.Flags&hub.FDF != 0:
		return errFD
	}
	return errRemote
}
