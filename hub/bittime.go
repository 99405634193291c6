package hub

import "math"

// Intermission is the number of bits, at the nominal bitrate, that are between a
// frame and the next at least.
const Intermission = 3

// Bits returns how long m's frame is on a real bus (ISO 11898-1:2015): how many
// bits it has at the nominal bitrate, and how many at the data bitrate. All
// from the start of frame to the last bit of the end of frame count, with the
// stuff bits that this identifier and this data cause; the [Intermission] behind
// it does not. Without [BRS] all bits are nominal ones.
//
// A remote frame has no data, whatever its Len. An [Error] frame that reports an
// error on the bus (its ID has the class protocol, acknowledge or bus error)
// counts as the longest error flag with its delimiter, 20 bits; what was sent of
// the frame that was hit is not known. Other error frames are news of a
// controller and take no bits.
//
// m has to be valid: for another message the numbers mean nothing.
func (m Message) Bits() (nominal, data int) {
	switch {
	case m.Flags&Error != 0:
		if m.ID&onTheBus == 0 {
			return 0, 0
		}
		return errorFlag + errorDelimiter, 0
	case m.Flags&FDF != 0:
		return m.fdBits()
	default:
		return m.classicBits(), 0
	}
}

const (
	onTheBus = 0x008 | 0x020 | 0x080 // classes of linux/can/error.h: PROT, ACK, BUSERROR

	errorFlag      = 12 // those of several nodes, overlapping
	errorDelimiter = 8

	crcDelimiter = 1
	ack          = 2 // slot and delimiter
	endOfFrame   = 7
)

func (m *Message) classicBits() int {
	h := m.classicHeader()
	n := 0
	if m.Flags&Remote == 0 {
		n = min(int(m.Len), 8)
	}

	// The CRC is the same with zeros in front of the frame, so both tables can
	// take whole nibbles.
	var crc crc15
	s := stuffer{entry: restart}
	first, padded := h.nibbles()
	for i := first; i >= 0; i -= 4 {
		crc.add(byte(h.bits >> i & 0xF))
		s.add(byte(padded >> i & 0xF))
	}
	for _, b := range m.Data[:n] {
		crc.add(b >> 4)
		crc.add(b & 0xF)
		s.add(b >> 4)
		s.add(b & 0xF)
	}
	// Behind its last bit stands the opposite, for it must not look like a fifth.
	tail := uint16(crc) | ^uint16(crc)>>1&1
	for i := 12; i >= 0; i -= 4 {
		s.add(byte(tail >> i & 0xF))
	}
	return h.n + 8*n + 15 + s.count + crcDelimiter + ack + endOfFrame
}

// fdBits needs no CRC: the bits behind the data have fixed stuff bits, as many
// as there are, whatever they stuff.
func (m *Message) fdBits() (nominal, data int) {
	h := m.fdHeader()
	n := int(fdLength[m.DLC()])
	s := stuffer{entry: restart}
	first, padded := h.nibbles()
	for i := first; i >= 0; i -= 4 {
		s.add(byte(padded >> i & 0xF))
	}
	for _, b := range m.Data[:n] {
		s.add(b >> 4)
		s.add(b & 0xF)
	}
	stuff := s.count
	if s.justStuffed() {
		stuff-- // the fixed one that follows does for it
	}
	const stuffCount, esiAndDLC = 4, 5
	crc, fixed := 17, 6
	if n > 16 {
		crc, fixed = 21, 7
	}
	all := h.n + 8*n + stuff + stuffCount + crc + fixed + crcDelimiter + ack + endOfFrame
	if m.Flags&BRS == 0 {
		return all, 0
	}

	// The rate changes with BRS, and a stuff bit belongs to the bit before it.
	slow := stuffer{entry: restart}
	first, padded = header{h.bits >> esiAndDLC, h.n - esiAndDLC}.nibbles()
	for i := first; i >= 0; i -= 4 {
		slow.add(byte(padded >> i & 0xF))
	}
	nominal = h.n - esiAndDLC + slow.count + ack + endOfFrame
	return nominal, all - nominal
}

// A header is what a frame begins with, up to the DLC.
type header struct {
	bits uint64 // the last one is the lowest
	n    int
}

// classicHeader: SOF, identifier, RTR, two dominant bits, DLC. An extended
// identifier has SRR and IDE behind its first 11 bits.
func (m *Message) classicHeader() header {
	tail := uint64(m.DLC() & 0xF)
	if m.Flags&Remote != 0 {
		tail |= 1 << 6
	}
	if id := uint64(m.ID); m.Flags&Extended == 0 {
		return header{id&maxStandard<<7 | tail, 19}
	} else {
		return header{id>>18&maxStandard<<27 | 3<<25 | id&0x3FFFF<<7 | tail, 39}
	}
}

// fdHeader: SOF, identifier, RRS (and IDE, if that is dominant), FDF, res, BRS,
// ESI, DLC.
func (m *Message) fdHeader() header {
	tail := 1<<7 | uint64(m.DLC())
	if m.Flags&BRS != 0 {
		tail |= 1 << 5
	}
	if m.Flags&ESI != 0 {
		tail |= 1 << 4
	}
	if id := uint64(m.ID); m.Flags&Extended == 0 {
		return header{id&maxStandard<<10 | tail, 22}
	} else {
		return header{id>>18&maxStandard<<29 | 3<<27 | id&0x3FFFF<<9 | tail, 41}
	}
}

// nibbles returns the header with bits in front of it that cause no stuff bit,
// and how far to shift it for the first nibble.
func (h header) nibbles() (first int, padded uint64) {
	const alternating = math.MaxUint64 / 3 // its lowest bit is 1, and SOF 0
	return (h.n - 1) &^ 3, alternating<<h.n | h.bits
}

// A stuffer counts the stuff bits of a stream of bits.
type stuffer struct {
	entry uint8 // of stuffing, for the last four bits
	count int
}

const restart = 0b100 << 4 // the entry behind one recessive bit

func (s *stuffer) add(nibble byte) {
	s.entry = stuffing[(s.entry&0x70|nibble)&0x7F]
	s.count += int(s.entry & 0b11)
}

// justStuffed reports whether the last bit caused a stuff bit.
func (s *stuffer) justStuffed() bool { return s.entry&0b100 != 0 }

// stuffing has an entry for each state (bits 4 to 6 of the index) and the four
// bits that follow it (bits 0 to 3). The state is the value of the last bit (bit
// 6) and the length of the run that it ends, less 1. The entry has the next
// state in the same place, in bits 0 and 1 how many stuff bits the four cause,
// and in bit 2 whether the last of them does.
var stuffing = func() (all [128]uint8) {
	for i := range all {
		last, run, count, just := i>>6, i>>4&3+1, 0, 0
		for n := 3; n >= 0; n-- {
			just = 0
			switch bit := i >> n & 1; {
			case bit != last:
				last, run = bit, 1
			case run == 4:
				last, run = 1-bit, 1 // the stuff bit
				count, just = count+1, 1
			default:
				run++
			}
		}
		all[i] = uint8(last<<6 | (run-1)<<4 | just<<2 | count)
	}
	return all
}()

// A crc15 is the CRC of classic frames, in the upper 15 bits.
type crc15 uint16

func (c *crc15) add(nibble byte) { *c = *c<<4 ^ crcs[byte(*c>>12)^nibble] }

var crcs = func() (all [16]crc15) {
	const polynomial = 0x4599 << 1
	for i := range all {
		c := crc15(i) << 12
		for range 4 {
			if c&0x8000 != 0 {
				c = c<<1 ^ polynomial
			} else {
				c <<= 1
			}
		}
		all[i] = c
	}
	return all
}()
