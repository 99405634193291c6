package canlog

import (
	"encoding/binary"
	"time"
)

// A BLF file has a header of 144 bytes and then objects, which begin with a
// header too. Most of them are containers, whose contents, one behind the
// other, are a stream of objects again. All numbers are little endian.

const (
	blfHeaderSize   = 144 // of the file, as it is written
	blfHeaderLeast  = 72  // of the file, the part that is used
	blfBaseSize     = 16  // of an object: mark, header size, version, size, type
	blfHeaderV1     = 32  // of an object with a time
	blfHeaderV2     = 40
	blfContainer    = 16 // behind the base: method, 6 bytes, size, 4 bytes
	blfMaxContainer = 128 << 10
)

const blfMark = "LOBJ" // in front of every object

// The types of objects.
const (
	blfTypeMessage   = 1
	blfTypeContainer = 10
	blfTypeError     = 73
	blfTypeMessage2  = 86
	blfTypeFD        = 100
	blfTypeFD64      = 101
)

// The methods of containers.
const (
	blfPlain = 0
	blfZlib  = 2
)

// The bits of an object's header and of identifiers and flags.
const (
	blfTenMicroseconds = 1 // the unit of times; anything else is nanoseconds
	blfNanoseconds     = 2

	blfExtended = 1 << 31 // in an identifier
	blfSent     = 1 << 0  // in the flags of a frame
	blfRemote   = 1 << 7

	blfEDL = 1 << 0 // in the flags of CAN FD; FD64 has those of ASC
	blfBRS = 1 << 1
	blfESI = 1 << 2
)

var little = binary.LittleEndian

// A systemTime is SYSTEMTIME of Windows: year, month, day of the week, day,
// hour, minute, second, millisecond. It is in UTC here.
type systemTime [16]byte

func newSystemTime(ns int64) (s systemTime) {
	t := time.Unix(0, ns).UTC()
	for i, v := range [...]int{
		t.Year(), int(t.Month()), int(t.Weekday()), t.Day(),
		t.Hour(), t.Minute(), t.Second(), t.Nanosecond() / 1e6,
	} {
		little.PutUint16(s[2*i:], uint16(v))
	}
	return s
}

// nanoseconds returns s as a time since 1970; no time at all counts as 1970.
func (s systemTime) nanoseconds() (ns int64, ok bool) {
	if s == (systemTime{}) {
		return 0, true
	}
	v := func(i int) int { return int(little.Uint16(s[2*i:])) }
	t := time.Date(v(0), time.Month(v(1)), v(3), v(4), v(5), v(6), v(7)*1e6, time.UTC)
	if !inRange(t) || int(t.Month()) != v(1) || t.Day() != v(3) ||
		v(4) > 23 || v(5) > 59 || v(6) > 59 || v(7) > 999 {
		return 0, false
	}
	return t.UnixNano(), true
}
