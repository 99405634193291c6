package zeromcan

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"github.com/canhub-go/canhub/hub"
)

// maxName is how long the name of a client may be. The original's are short, and
// every subscriber is sent it with every frame.
const maxName = 64

var (
	errRequest  = errors.New("not a request: want a msgpack array of a code and its arguments")
	errReply    = errors.New("not a reply: want a msgpack array of a status and a result")
	errFrame    = errors.New("not a frame: want a msgpack array of name, id, extended and data")
	errTrailing = errors.New("bytes behind the end")
	errName     = fmt.Errorf("the name is not a text of 1 to %d bytes", maxName)
	errExtended = errors.New("extended is not a bool")
	errData     = errors.New("data is neither a list of bytes nor binary")
	errDataLong = errors.New("more than 8 bytes of data")
	errByte     = errors.New("an element of data is not a byte")
)

// A request is what a client asks for.
type request struct {
	call int64
	name []byte // of callSend; shares the memory of what was read
	m    hub.Message
}

// decodeRequest reads a whole request. What the original would end with, an
// unknown call say, is an error here.
func decodeRequest(r *request, b []byte) error {
	b, err := readArray(b, 2, errRequest)
	if err != nil {
		return err
	}
	if r.call, b, err = readWhole(b); err != nil {
		return fmt.Errorf("code: %w", err)
	}
	switch r.call {
	case callVersion, callNewClient:
		b, err = readArray(b, 0, fmt.Errorf("call %d takes no arguments", r.call))
	case callSend:
		r.name, b, err = readFrame(&r.m, b)
	default:
		return fmt.Errorf("unknown call %d", r.call)
	}
	return ended(b, err)
}

// decodePublication reads a whole publication.
func decodePublication(m *hub.Message, b []byte) (name []byte, err error) {
	name, b, err = readFrame(m, b)
	return name, ended(b, err)
}

// decodeReply reads a reply up to its result, which is what is left of b.
func decodeReply(b []byte) (result []byte, err error) {
	if b, err = readArray(b, 2, errReply); err != nil {
		return nil, err
	}
	status, b, err := readWhole(b)
	if err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if status != 0 {
		text, _, err := msgp.ReadStringZC(b)
		if err != nil {
			text = nil // it says nothing that can be shown
		}
		return nil, fmt.Errorf("refused by the server, status %d: %q", status, text[:min(len(text), 200)])
	}
	return b, nil
}

// decodeVersion and decodeName read the results of those calls.
func decodeVersion(b []byte) (int64, error) {
	v, b, err := readWhole(b)
	return v, ended(b, err)
}

func decodeName(b []byte) (string, error) {
	name, b, err := readName(b)
	return string(name), ended(b, err)
}

func ended(rest []byte, err error) error {
	if err == nil && len(rest) != 0 {
		return errTrailing
	}
	return err
}

// readFrame takes [name, id, extended, data] from b and sets m, to a message
// that is valid.
func readFrame(m *hub.Message, b []byte) (name, rest []byte, err error) {
	*m = hub.Message{}
	if b, err = readArray(b, 4, errFrame); err != nil {
		return nil, b, err
	}
	if name, b, err = readName(b); err != nil {
		return nil, b, err
	}
	id, b, err := readWhole(b)
	if err != nil {
		return nil, b, fmt.Errorf("id: %w", err)
	}
	if id < 0 || id > math.MaxUint32 {
		return nil, b, fmt.Errorf("id %d is out of range", id)
	}
	m.ID = uint32(id)
	extended, b, err := readWhole(b) // the original takes numbers too
	if err != nil {
		return nil, b, errExtended
	}
	if extended != 0 {
		m.Flags = hub.Extended
	}
	if b, err = readData(m, b); err != nil {
		return nil, b, err
	}
	return name, b, m.Validate()
}

func readData(m *hub.Message, b []byte) (rest []byte, err error) {
	if msgp.NextType(b) == msgp.BinType {
		data, rest, err := msgp.ReadBytesZC(b)
		switch {
		case err != nil:
			return rest, errData
		case len(data) > 8:
			return rest, errDataLong
		}
		m.Len = uint8(copy(m.Data[:], data))
		return rest, nil
	}
	n, b, err := msgp.ReadArrayHeaderBytes(b)
	switch {
	case err != nil:
		return b, errData
	case n > 8:
		return b, errDataLong
	}
	m.Len = uint8(n)
	for i := range n {
		var v int64
		if v, b, err = readWhole(b); err != nil || v < 0 || v > 255 {
			return b, errByte
		}
		m.Data[i] = byte(v)
	}
	return b, nil
}

// readArray takes the beginning of an array of n elements, or returns otherwise.
func readArray(b []byte, n uint32, otherwise error) ([]byte, error) {
	got, rest, err := msgp.ReadArrayHeaderBytes(b)
	if err != nil || got != n {
		return b, otherwise
	}
	return rest, nil
}

// readName takes a client's name. It must be UTF-8: a Python client that is sent
// another does not survive it.
func readName(b []byte) (name, rest []byte, err error) {
	name, rest, err = msgp.ReadStringZC(b)
	if err != nil || len(name) < 1 || len(name) > maxName || !utf8.Valid(name) {
		return nil, b, errName
	}
	return name, rest, nil
}

// readWhole takes a whole number in any of the forms that are equal to it in
// Python: an integer, a float or a bool.
func readWhole(b []byte) (v int64, rest []byte, err error) {
	var f float64
	switch msgp.NextType(b) {
	case msgp.BoolType:
		var set bool
		if set, rest, err = msgp.ReadBoolBytes(b); set {
			v = 1
		}
		return v, rest, err
	case msgp.IntType, msgp.UintType:
		return msgp.ReadInt64Bytes(b) // an error if it does not fit
	case msgp.Float32Type:
		var short float32
		short, rest, err = msgp.ReadFloat32Bytes(b)
		f = float64(short)
	case msgp.Float64Type:
		f, rest, err = msgp.ReadFloat64Bytes(b)
	default:
		return 0, b, errors.New("not a number")
	}
	if err == nil && (f != math.Trunc(f) || math.Abs(f) > 1<<53) { // NaN is not equal to itself
		err = errors.New("not a whole number")
	}
	return int64(f), rest, err
}
