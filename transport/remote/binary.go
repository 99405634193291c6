package remote

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/canhub-go/canhub/hub"
)

// A binary message is a byte that says what it is, the time as a double of
// seconds, the identifier, the length and the flags, all big-endian, and the
// data as the rest.
const (
	binaryFrame = 1 // the kind of a CAN frame; other kinds are passed over
	binaryHead  = 15

	// wireFlags are the flags that python-can-remote knows. The bits are those
	// of hub.Flags.
	wireFlags = hub.Extended | hub.Remote | hub.Error | hub.FDF | hub.BRS | hub.ESI
)

var (
	errShort = errors.New("binary message: shorter than the head of a frame, 15 bytes")
	errKind  = errors.New("binary message: of an unknown kind")
)

// appendBinary appends the binary form of m, which must be valid.
func appendBinary(dst []byte, m *hub.Message) []byte {
	dst = append(dst, binaryFrame)
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(seconds(m.Timestamp)))
	dst = binary.BigEndian.AppendUint32(dst, m.ID)
	dst = append(dst, m.Len, byte(m.Flags&(wireFlags|hub.Own)))
	return append(dst, m.Bytes()...)
}

// decodeBinary sets m to the frame in p. The error is errKind, which is no
// fault, errShort, which ends a session, or tells why the frame cannot exist.
func decodeBinary(m *hub.Message, p []byte) error {
	*m = hub.Message{}
	switch {
	case len(p) == 0:
		return errShort
	case p[0] != binaryFrame:
		return errKind
	case len(p) < binaryHead:
		return errShort
	}
	m.Timestamp = nanoseconds(math.Float64frombits(binary.BigEndian.Uint64(p[1:])))
	m.ID = binary.BigEndian.Uint32(p[9:])
	m.Len = p[13]
	m.Flags = hub.Flags(p[14]) & (wireFlags | hub.Own)
	data := p[binaryHead:]
	if m.Flags&hub.Remote == 0 {
		if len(data) != int(m.Len) {
			return lengths(int(m.Len), len(data))
		}
		copy(m.Data[:], data) // one that is too long is not valid
	}
	return m.Validate()
}

func lengths(dlc, data int) error {
	return fmt.Errorf("%w: length %d and %d data bytes", hub.ErrInvalid, dlc, data)
}

// seconds returns ns as the double that Python has for it: a division of all of
// ns gives another one for some.
func seconds(ns int64) float64 {
	return float64(ns/1e9) + float64(ns%1e9)/1e9
}

// nanoseconds returns s as a Timestamp: 0 where it is no time that a Timestamp
// can hold.
func nanoseconds(s float64) int64 {
	if !(s >= 0 && s < math.MaxInt64/1e9-1) {
		return 0
	}
	whole, part := math.Modf(s)
	return int64(whole)*1e9 + int64(math.Round(part*1e9))
}
