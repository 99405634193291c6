package remote

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/canhub-go/canhub/hub"
)

// appendJSON appends the event that carries m, which must be valid, in the form
// that Python gives it.
func appendJSON(dst []byte, m *hub.Message) []byte {
	dst = append(dst, `{"type": "message", "payload": {"timestamp": `...)
	dst = appendSeconds(dst, m.Timestamp)
	dst = append(dst, `, `...)
	dst = appendFrame(dst, m)
	if m.Flags&hub.FDF != 0 {
		dst = append(dst, `, "is_fd": true`...)
		dst = appendBool(dst, "bitrate_switch", m.Flags&hub.BRS != 0)
		dst = appendBool(dst, "error_state_indicator", m.Flags&hub.ESI != 0)
	}
	if m.Flags&hub.Own != 0 {
		dst = append(dst, `, "is_rx": false`...)
	}
	return append(dst, `}}`...)
}

// appendFrame appends the members that every frame has.
func appendFrame(dst []byte, m *hub.Message) []byte {
	dst = append(dst, `"arbitration_id": `...)
	dst = strconv.AppendUint(dst, uint64(m.ID), 10)
	dst = appendBool(dst, "is_extended_id", m.Flags&hub.Extended != 0)
	dst = appendBool(dst, "is_remote_frame", m.Flags&hub.Remote != 0)
	dst = appendBool(dst, "is_error_frame", m.Flags&hub.Error != 0)
	dst = append(dst, `, "dlc": `...)
	dst = strconv.AppendUint(dst, uint64(m.Len), 10)
	dst = append(dst, `, "data": [`...)
	for i, b := range m.Bytes() {
		if i > 0 {
			dst = append(dst, `, `...)
		}
		dst = strconv.AppendUint(dst, uint64(b), 10)
	}
	return append(dst, `]`...)
}

func appendBool(dst []byte, name string, v bool) []byte {
	dst = append(dst, `, "`...)
	dst = append(dst, name...)
	dst = append(dst, `": `...)
	return strconv.AppendBool(dst, v)
}

// appendSeconds writes a time as Python writes the float.
func appendSeconds(dst []byte, ns int64) []byte {
	s := seconds(ns)
	if s != 0 && s < 1e-4 {
		return strconv.AppendFloat(dst, s, 'e', -1, 64)
	}
	n := len(dst)
	dst = strconv.AppendFloat(dst, s, 'f', -1, 64)
	if !bytes.Contains(dst[n:], []byte(".")) {
		dst = append(dst, ".0"...)
	}
	return dst
}

// A field is a member of a frame in JSON, and how to read it.
type field struct {
	name string
	read func(f *jsonFrame, v json.RawMessage) error
}

// A jsonFrame is a frame whose parts may contradict each other.
type jsonFrame struct {
	hub.Message
	dlc, data int // -1 where there was none
}

// fields are all members that python-can-remote takes. Any may be missing.
var fields = []field{
	{"timestamp", func(f *jsonFrame, v json.RawMessage) error {
		if s, err := strconv.ParseFloat(string(v), 64); err == nil {
			f.Timestamp = nanoseconds(s)
		}
		return nil // what is no time is none
	}},
	{"arbitration_id", func(f *jsonFrame, v json.RawMessage) (err error) {
		id, err := whole(v, math.MaxUint32)
		f.ID = uint32(id)
		return err
	}},
	{"dlc", func(f *jsonFrame, v json.RawMessage) (err error) {
		if string(v) != "null" {
			f.dlc, err = whole(v, math.MaxUint8)
		}
		return err
	}},
	{"data", func(f *jsonFrame, v json.RawMessage) (err error) {
		f.data, err = readData(f.Data[:], v)
		return err
	}},
	flag("is_extended_id", hub.Extended),
	flag("is_remote_frame", hub.Remote),
	flag("is_error_frame", hub.Error),
	flag("is_fd", hub.FDF),
	flag("bitrate_switch", hub.BRS),
	flag("error_state_indicator", hub.ESI),
	{"is_rx", func(f *jsonFrame, v json.RawMessage) error {
		if rx, err := truth(v); err == nil && !rx {
			f.Flags |= hub.Own
		}
		return nil
	}},
	{"channel", func(*jsonFrame, json.RawMessage) error { return nil }},
	{"check", func(*jsonFrame, json.RawMessage) error { return nil }}, // always
}

func flag(name string, bit hub.Flags) field {
	return field{name, func(f *jsonFrame, v json.RawMessage) error {
		set, err := truth(v)
		if f.Flags &^= bit; set {
			f.Flags |= bit
		}
		return err
	}}
}

// decodeJSON sets m to the frame in payload, which is valid JSON. The error
// tells why there is none.
func decodeJSON(m *hub.Message, payload json.RawMessage) error {
	members, err := object(payload)
	if err != nil {
		return fmt.Errorf("message: payload: %w", err)
	}
	f := jsonFrame{dlc: -1}
	f.Flags = hub.Extended // where nothing is said
	for name, v := range members {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			return fmt.Errorf("message: unknown key %.40q", name)
		}
		if err := fields[i].read(&f, v); err != nil {
			return fmt.Errorf("message: %s: %w", name, err)
		}
	}
	if f.Flags&hub.Remote != 0 {
		f.data, f.Data = 0, [64]byte{}
	}
	switch {
	case f.dlc < 0:
		f.dlc = f.data
	case f.dlc != f.data && f.Flags&hub.Remote == 0:
		return lengths(f.dlc, f.data)
	}
	f.Len = uint8(f.dlc)
	*m = f.Message
	return m.Validate()
}

// whole reads a number without a fraction, 0 to most.
func whole(v json.RawMessage, most int64) (int, error) {
	s, err := strconv.ParseFloat(string(v), 64) // exact up to 2^53
	if err != nil || s != math.Trunc(s) || s < 0 || s > float64(most) {
		return 0, fmt.Errorf("%.40s: want a whole number from 0 to %d", v, most)
	}
	return int(s), nil
}

// truth reads what Python takes for true or false, strings and such aside.
func truth(v json.RawMessage) (bool, error) {
	switch string(v) {
	case "true":
		return true, nil
	case "false", "null":
		return false, nil
	}
	n, err := strconv.ParseFloat(string(v), 64)
	if err != nil {
		return false, fmt.Errorf("%.40s: want true or false", v)
	}
	return n != 0, nil
}

// readData reads an array of bytes, and a number as so many zeros.
func readData(dst []byte, v json.RawMessage) (int, error) {
	if string(v) == "null" {
		return 0, nil
	}
	if v[0] != '[' {
		return whole(v, int64(len(dst)))
	}
	v = bytes.TrimSpace(v[1 : len(v)-1])
	for n := 0; ; n++ {
		if len(v) == 0 {
			return n, nil
		}
		if n == len(dst) {
			return 0, fmt.Errorf("more than %d bytes", len(dst))
		}
		var item []byte
		item, v, _ = bytes.Cut(v, []byte(","))
		b, err := whole(bytes.TrimSpace(item), math.MaxUint8)
		if err != nil {
			return 0, err
		}
		dst[n] = byte(b)
	}
}
