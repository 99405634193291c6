package multicast

import (
	"errors"
	"fmt"

	"github.com/tinylib/msgp/msgp"

	"github.com/canhub-go/canhub/hub"
)

// fields are the values of a datagram's map that decide about each other. Where
// a key comes twice the last one counts, so they are judged at the end.
type fields struct {
	id, dlc, data, timestamp value
}

// Why a datagram is not a frame. What depends on a value names it, see decode.
var (
	errTooLong   = fmt.Errorf("longer than %d bytes", maxDatagram)
	errNoMap     = errors.New("not a msgpack map")
	errKeyType   = errors.New("a key is not a string")
	errTrailing  = errors.New("bytes behind the map")
	errRemoteFD  = errors.New("a remote frame in CAN FD")
	errRemoteErr = errors.New("both a remote and an error frame")
	errClassic   = errors.New("BRS or ESI, but not CAN FD")
	errDataType  = errors.New("data is neither binary nor a list of bytes")
	errDataLong  = errors.New("data of more than 64 bytes")
)

// decode reads a datagram as python-can does and sets m. The message can be one
// that its Validate refuses: CAN FD lengths between those that exist, and error
// frames in CAN FD. With an error m is undefined.
func decode(m *hub.Message, b []byte) error {
	*m = hub.Message{Flags: hub.Extended} // unless the map says otherwise
	if len(b) > maxDatagram {
		return errTooLong
	}
	if len(b) == 0 || msgp.NextType(b) != msgp.MapType {
		return errNoMap
	}
	n, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return err
	}
	var f fields
	for range n {
		if b, err = f.read(m, b); err != nil {
			return err
		}
	}
	if len(b) != 0 {
		return errTrailing
	}
	return f.judge(m)
}

// read takes one key and its value from b.
func (f *fields) read(m *hub.Message, b []byte) ([]byte, error) {
	if len(b) == 0 {
		return b, msgp.ErrShortBytes
	}
	var key []byte
	var err error
	switch n := int(b[0] &^ 0xa0); {
	case b[0]&0xe0 == 0xa0 && n < len(b): // a fixstr, as python-can writes
		key, b = b[1:n+1], b[n+1:]
	case msgp.NextType(b) != msgp.StrType:
		return b, errKeyType
	default:
		if key, b, err = msgp.ReadStringZC(b); err != nil {
			return b, err
		}
	}
	var flag hub.Flags
	switch string(key) {
	case "timestamp":
		return readValue(&f.timestamp, b, 1)
	case "arbitration_id":
		return readValue(&f.id, b, 1)
	case "dlc":
		return readValue(&f.dlc, b, 1)
	case "data":
		return readValue(&f.data, b, 1)
	case "channel", "is_rx":
		var v value
		return readValue(&v, b, 1)
	case "is_extended_id":
		flag = hub.Extended
	case "is_remote_frame":
		flag = hub.Remote
	case "is_error_frame":
		flag = hub.Error
	case "is_fd":
		flag = hub.FDF
	case "bitrate_switch":
		flag = hub.BRS
	case "error_state_indicator":
		flag = hub.ESI
	default:
		return b, fmt.Errorf("unknown key %q", key[:min(len(key), 40)])
	}
	m.Flags &^= flag
	if len(b) > 0 && b[0]&^1 == 0xc2 { // a bool, as nearly always
		if b[0] == 0xc3 {
			m.Flags |= flag
		}
		return b[1:], nil
	}
	var v value
	b, err = readValue(&v, b, 1)
	if v.truth() {
		m.Flags |= flag
	}
	return b, err
}

// judge sets all but the flags of m, and returns an error where python-can
// raises one.
func (f *fields) judge(m *hub.Message) error {
	fd := m.Flags&hub.FDF != 0
	switch {
	case m.Flags&hub.Remote != 0 && m.Flags&hub.Error != 0:
		return errRemoteErr
	case m.Flags&hub.Remote != 0 && fd:
		return errRemoteFD
	case m.Flags&(hub.BRS|hub.ESI) != 0 && !fd:
		return errClassic
	}

	id, ok := f.id.whole()
	switch {
	case f.id.kind == msgp.InvalidType: // not there: 0
	case !ok:
		return errors.New("arbitration_id is not a whole number")
	case id < 0 || id > maxExtendedID || id > maxStandardID && m.Flags&hub.Extended == 0:
		return fmt.Errorf("arbitration_id %#x is out of range", id)
	}
	m.ID = uint32(id)

	length := 0
	if m.Flags&hub.Remote == 0 { // else what data there are is thrown away
		var err error
		if length, err = f.data.bytes(&m.Data); err != nil {
			return err
		}
	}
	most := 8
	if fd {
		most = 64
	}
	dlc, ok := f.dlc.whole()
	switch {
	case f.dlc.kind == msgp.InvalidType || f.dlc.kind == msgp.NilType:
		dlc = int64(length)
	case !ok:
		return errors.New("dlc is not a whole number")
	}
	switch {
	case dlc < 0 || dlc > int64(most):
		return fmt.Errorf("dlc %d, want 0 to %d", dlc, most)
	case m.Flags&hub.Remote == 0 && dlc != int64(length):
		return fmt.Errorf("dlc %d, but %d bytes of data", dlc, length)
	}
	m.Len = uint8(dlc)
	m.Timestamp = f.timestamp.nanoseconds()
	return nil
}

// bytes sets data to what v, the data of a frame, stands for, and returns how
// many bytes that are.
func (v *value) bytes(data *[64]byte) (int, error) {
	var n int64
	switch v.kind {
	case msgp.InvalidType, msgp.NilType:
		return 0, nil
	case msgp.BinType:
		n = int64(len(v.raw))
	case msgp.BoolType, msgp.IntType, msgp.UintType, msgp.ArrayType:
		n = v.n // an integer stands for that many zeros
	case msgp.MapType:
		if v.n > 0 { // its keys are no bytes; without any it is no data
			return 0, errDataType
		}
	default:
		return 0, errDataType
	}
	switch {
	case n < 0:
		return 0, errDataType
	case n > int64(len(data)):
		return 0, errDataLong
	case v.kind == msgp.BinType:
		copy(data[:], v.raw)
	case v.kind == msgp.ArrayType:
		rest := v.raw
		for i := range n {
			var e value
			var err error
			if rest, err = readValue(&e, rest, 2); err != nil {
				return 0, err
			}
			switch e.kind {
			case msgp.BoolType, msgp.IntType, msgp.UintType:
			default:
				return 0, errDataType
			}
			if e.n < 0 || e.n > 255 {
				return 0, fmt.Errorf("%d in data is not a byte", e.n)
			}
			data[i] = byte(e.n)
		}
	}
	return int(n), nil
}
