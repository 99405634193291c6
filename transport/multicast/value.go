package multicast

import (
	"errors"
	"math"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// A value is one msgpack value of a datagram, of any type.
type value struct {
	kind msgp.Type // InvalidType: there is none
	n    int64     // of an integer, cut to what fits, or of a bool 0 or 1; elements of a map or array
	f    float64   // of a float
	raw  []byte    // of a string or binary its bytes, of an array what follows the header
}

// maxNesting is how many maps and arrays python-can's decoder follows into each
// other.
const maxNesting = 1024

var (
	errNesting = errors.New("nested too deeply")
	errUTF8    = errors.New("a string is not UTF-8")
	errMapKey  = errors.New("a map has a key that is neither string nor binary")
)

// readValue sets v to the value at the beginning of b and returns what is behind
// it. What lies in maps and arrays is checked and passed over. It allocates
// nothing.
func readValue(v *value, b []byte, nesting int) (rest []byte, err error) {
	*v = value{}
	if len(b) == 0 {
		return b, msgp.ErrShortBytes
	}
	switch v.kind = msgp.NextType(b); v.kind {
	case msgp.BoolType:
		v.n = int64(b[0] & 1) // c2 or c3
		return b[1:], nil
	case msgp.NilType:
		return b[1:], nil
	case msgp.IntType:
		v.n, rest, err = msgp.ReadInt64Bytes(b)
	case msgp.UintType:
		var u uint64
		u, rest, err = msgp.ReadUint64Bytes(b)
		v.n = int64(min(u, math.MaxInt64))
	case msgp.Float64Type:
		v.f, rest, err = msgp.ReadFloat64Bytes(b)
	case msgp.Float32Type:
		var f float32
		f, rest, err = msgp.ReadFloat32Bytes(b)
		v.f = float64(f)
	case msgp.StrType:
		v.raw, rest, err = msgp.ReadStringZC(b)
		if err == nil && !utf8.Valid(v.raw) {
			err = errUTF8
		}
	case msgp.BinType:
		v.raw, rest, err = msgp.ReadBytesZC(b)
	case msgp.MapType, msgp.ArrayType:
		return readContainer(v, b, nesting)
	default: // an extension, also one that msgp has a type for, or no msgpack
		if b[0] == 0xc1 {
			return b, msgp.InvalidPrefixError(b[0])
		}
		v.kind = msgp.ExtensionType
		rest, err = msgp.Skip(b)
	}
	return rest, err
}

// readContainer is readValue for a map or an array.
func readContainer(v *value, b []byte, nesting int) (rest []byte, err error) {
	if nesting >= maxNesting {
		return b, errNesting
	}
	var n uint32
	if v.kind == msgp.MapType {
		n, rest, err = msgp.ReadMapHeaderBytes(b)
	} else {
		n, rest, err = msgp.ReadArrayHeaderBytes(b)
	}
	if err != nil {
		return b, err
	}
	v.n, v.raw = int64(n), rest
	var e value
	for range n { // ends with the bytes that there are, whatever n claims
		if v.kind == msgp.MapType {
			if rest, err = readValue(&e, rest, nesting+1); err != nil {
				return b, err
			}
			if e.kind != msgp.StrType && e.kind != msgp.BinType {
				return b, errMapKey
			}
		}
		if rest, err = readValue(&e, rest, nesting+1); err != nil {
			return b, err
		}
	}
	return rest, nil
}

// truth reports whether Python takes v for true.
func (v *value) truth() bool {
	switch v.kind {
	case msgp.BoolType, msgp.IntType, msgp.UintType, msgp.MapType, msgp.ArrayType:
		return v.n != 0
	case msgp.Float64Type, msgp.Float32Type:
		return v.f != 0
	case msgp.StrType, msgp.BinType:
		return len(v.raw) != 0
	case msgp.ExtensionType:
		return true
	}
	return false // nil, and what is not there
}

// whole returns v as a whole number, and false if it is none. One that does not
// fit comes as the nearest that does.
func (v *value) whole() (int64, bool) {
	switch v.kind {
	case msgp.BoolType, msgp.IntType, msgp.UintType:
		return v.n, true
	case msgp.Float64Type, msgp.Float32Type:
		if v.f != math.Trunc(v.f) || math.IsInf(v.f, 0) { // NaN is not equal to itself
			return 0, false
		}
		return int64(max(-1<<62, min(v.f, 1<<62))), true
	}
	return 0, false
}

// nanoseconds returns v, seconds since 1970, as a Timestamp: 0 where it is no
// time that a Timestamp can hold.
func (v *value) nanoseconds() int64 {
	switch v.kind {
	case msgp.IntType, msgp.UintType:
		if v.n >= 0 && v.n <= math.MaxInt64/int64(1e9) {
			return v.n * 1e9
		}
	case msgp.Float64Type, msgp.Float32Type:
		if v.f >= 0 && v.f < math.MaxInt64/1e9-1 {
			whole, part := math.Modf(v.f)
			return int64(whole)*1e9 + int64(math.Round(part*1e9))
		}
	}
	return 0
}
