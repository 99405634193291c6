package hub

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// A Message is one CAN or CAN FD frame with the time and the place in the
// order that its channel gave it. It is a plain value without pointers:
// assigning it copies it, data and all.
//
// The zero Message is the standard data frame 000 without data.
type Message struct {
	// ID is the identifier: 11 bits, or 29 bits with [Extended]. In an error
	// frame it is the mask of error classes of linux/can/error.h.
	ID uint32
	// Flags tell the kind of frame.
	Flags Flags
	// Len is the number of data bytes: 0 to 8, or with [FDF] 0 to 8, 12, 16,
	// 20, 24, 32, 48 or 64 (ISO 11898-1). In a remote frame, which carries no
	// data, it is the length asked for, 0 to 8.
	Len uint8
	// Timestamp is in nanoseconds since 1970, UTC. The channel sets it when it
	// forwards the message, unless the sender keeps its own
	// ([SubscriberOptions].KeepTimestamps).
	Timestamp int64
	// Seq is the message's number on its channel, counted from 1. The channel
	// sets it. It is 0 in a message that has not been on a channel, and in the
	// error frames that the hub puts into one subscriber's stream.
	Seq uint64
	// Data holds the data bytes. Those from Len on do not belong to the
	// message; senders leave them 0.
	Data [64]byte

	// Tag is the sender's, to mark a message for those who know the mark: it travels
	// along on the channel, and the hub does not look at it. It is not of the
	// frame, so it has no place in the text and JSON forms, and transports do not
	// send it; but that for virtualcan keeps in it what a packet has beyond its frame.
	Tag uint64

	// That makes 96 bytes. Of 88 the last 16-byte move of a copy would overlap the
	// one before, and who copies that copy right away, as Recv and its callers do,
	// would wait for the processor's store buffer: twice as long.
}

// Flags tell the kind of a [Message]'s frame.
type Flags uint8

const (
	Extended Flags = 1 << iota // 29-bit identifier (IDE)
	Remote                     // remote frame (RTR)
	Error                      // error frame, as SocketCAN reports errors
	FDF                        // CAN FD frame
	BRS                        // CAN FD: data at the higher bit rate
	ESI                        // CAN FD: the sender is error passive
	Own                        // received by the subscriber that sent it; set by the hub

	allFlags = Extended | Remote | Error | FDF | BRS | ESI | Own
)

var flagNames = [...]string{"Extended", "Remote", "Error", "FDF", "BRS", "ESI", "Own"}

// String lists the flags that are set, as in "Extended|FDF".
func (f Flags) String() string {
	var set []string
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	if rest := f &^ allFlags; rest != 0 {
		set = append(set, fmt.Sprintf("%#x", uint8(rest)))
	}
	if set == nil {
		return "0"
	}
	return strings.Join(set, "|")
}

// errorBit marks an error frame in the eight-digit identifier of the text form
// (CAN_ERR_FLAG of linux/can.h); extendedBit and remoteBit may stand beside it.
const (
	errorBit    = 1 << 29
	remoteBit   = 1 << 30
	extendedBit = 1 << 31
)

const (
	maxStandard = 1<<11 - 1
	maxExtended = 1<<29 - 1
)

// Std returns a data frame with the 11-bit identifier id.
//
// Neither it nor the other constructors check their arguments: a message that
// cannot exist on a bus is what [Message.Validate] and Send refuse.
func Std(id uint32, data ...byte) Message {
	m := Message{ID: id, Len: uint8(min(len(data), 255))}
	copy(m.Data[:], data)
	return m
}

// Ext returns a data frame with the 29-bit identifier id.
func Ext(id uint32, data ...byte) Message {
	m := Std(id, data...)
	m.Flags = Extended
	return m
}

// RTR returns a remote frame that asks for length bytes. The identifier is
// extended if it does not fit in 11 bits; set [Extended] for a small one.
func RTR(id uint32, length uint8) Message {
	m := Message{ID: id, Flags: Remote, Len: length}
	if id > maxStandard {
		m.Flags |= Extended
	}
	return m
}

// FD returns a CAN FD frame without bit rate switch. The identifier is
// extended if it does not fit in 11 bits; set [Extended] for a small one.
func FD(id uint32, data ...byte) Message {
	m := Std(id, data...)
	m.Flags = FDF
	if id > maxStandard {
		m.Flags |= Extended
	}
	return m
}

// Bytes returns the data, Len bytes of it, and nothing for a remote frame. The
// slice is m's own array, so it can be used to change m.
func (m *Message) Bytes() []byte {
	if m.Flags&Remote != 0 {
		return nil
	}
	return m.Data[:min(int(m.Len), len(m.Data))]
}

// Time returns the Timestamp as a [time.Time].
func (m Message) Time() time.Time { return time.Unix(0, m.Timestamp) }

// fdLength is the number of data bytes for each DLC (ISO 11898-1).
var fdLength = [16]uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64}

// DLC returns the data length code that stands for Len in the frame: Len itself
// up to 8, and 9 to 15 for the longer CAN FD lengths. A length in between has
// the code of the next one.
func (m Message) DLC() uint8 {
	if m.Len <= 8 {
		return m.Len
	}
	for code, n := range fdLength {
		if m.Len <= n {
			return uint8(code)
		}
	}
	return 15
}

// Equal reports whether m and o are the same frame: identifier, flags, length
// and data. When and where they were sent (Timestamp, Seq, [Own]), the Tag and
// bytes beyond Len do not count.
func (m Message) Equal(o Message) bool {
	return m.ID == o.ID && m.Len == o.Len && (m.Flags^o.Flags)&^Own == 0 &&
		string(m.Bytes()) == string(o.Bytes())
}

// Validate tells why m cannot be sent, naming the field and its value; the
// error matches [ErrInvalid]. It refuses identifiers out of range, lengths
// that the kind of frame does not have, remote frames with data, BRS or ESI
// without FDF, remote frames in CAN FD, error frames that are also something
// else, unknown flags and times before 1970.
func (m *Message) Validate() error {
	if m.Flags == 0 && m.ID <= maxStandard && m.Len <= 8 && m.Timestamp >= 0 {
		return nil // most traffic there is
	}
	return m.fault()
}

// fault is Validate, without the short way.
func (m *Message) fault() error {
	f := m.Flags
	switch {
	case f&^allFlags != 0:
		return invalid("Flags %v: unknown flag", f)
	case f&Error != 0 && f&(Remote|FDF) != 0:
		return invalid("Flags %v: an error frame is neither Remote nor FDF", f)
	case f&Remote != 0 && f&FDF != 0:
		return invalid("Flags %v: CAN FD has no remote frames", f)
	case f&(BRS|ESI) != 0 && f&FDF == 0:
		return invalid("Flags %v: BRS and ESI need FDF", f)
	case f&(Extended|Error) == 0 && m.ID > maxStandard:
		return invalid("ID %#x: a standard identifier has 11 bits, at most 0x7ff", m.ID)
	case f&Error != 0 && m.ID > maxExtended:
		return invalid("ID %#x: the error classes have 29 bits, at most 0x1fffffff", m.ID)
	case m.ID > maxExtended:
		return invalid("ID %#x: an extended identifier has 29 bits, at most 0x1fffffff", m.ID)
	case f&FDF == 0 && m.Len > 8:
		return invalid("Len %d: a classic frame has at most 8 bytes", m.Len)
	case m.Len > 64 || fdLength[m.DLC()] != m.Len:
		return invalid("Len %d: a CAN FD frame has 0-8, 12, 16, 20, 24, 32, 48 or 64 bytes", m.Len)
	case f&Remote != 0 && m.Data != [64]byte{}:
		data := m.Data // a copy: m stays off the heap
		return invalid("Data %x: a remote frame carries no data", bytes.TrimRight(data[:], "\x00"))
	case m.Timestamp < 0:
		return invalid("Timestamp %d: before 1970", m.Timestamp)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
