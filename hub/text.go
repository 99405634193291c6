package hub

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// String returns the frame in the form of candump -L and cansend: "123#AABB",
// "00000123#R5", "123##1AABB" (one digit of flags: 1 BRS, 2 ESI), and for
// error frames the class mask with bit 29 set, "20000004#0001000000000000".
// Timestamp, Seq and [Own] have no place in it, nor has [Extended] in an error
// frame.
func (m Message) String() string {
	var buf [2*64 + 16]byte
	return string(m.append(buf[:0]))
}

// AppendText appends the text of [Message.String] to b. The error is always
// nil.
func (m Message) AppendText(b []byte) ([]byte, error) { return m.append(b), nil }

func (m *Message) append(b []byte) []byte {
	id, digits := m.ID, 3
	switch {
	case m.Flags&Error != 0:
		id, digits = id|errorBit, 8
	case m.Flags&Extended != 0 || id > 0xFFF:
		digits = 8
	}
	for i := digits - 1; i >= 0; i-- {
		b = append(b, upperHex[id>>(4*i)&15])
	}
	b = append(b, '#')
	if m.Flags&Remote != 0 {
		b = append(b, 'R')
		if m.Len > 0 {
			b = strconv.AppendUint(b, uint64(m.Len), 10)
		}
		return b
	}
	if m.Flags&FDF != 0 {
		flags := byte('0')
		if m.Flags&BRS != 0 {
			flags |= 1
		}
		if m.Flags&ESI != 0 {
			flags |= 2
		}
		b = append(b, '#', flags)
	}
	for _, c := range m.Bytes() {
		b = append(b, upperHex[c>>4], upperHex[c&15])
	}
	return b
}

// Parse reads a frame in the form of candump -L and cansend, as
// [Message.String] writes it. Hex digits may be in either case and bytes
// separated by single dots; the FD flags digit may have its unused bits set;
// a CAN FD length that does not exist is filled with zeros to the next; a raw
// DLC behind 8 bytes, as in "_F", is accepted and dropped.
//
// What can-utils would cut off silently is refused: data beyond 8 or 64 bytes
// and anything behind the length of a remote frame. So is a frame that
// [Message.Validate] refuses. The error is a [*ParseError].
func Parse(text string) (Message, error) {
	var bad *ParseError
	p := parser{text: text, bad: &bad}
	m := p.frame()
	if bad != nil {
		return Message{}, bad
	}
	if err := m.Validate(); err != nil {
		p.fail(0, "%s", strings.TrimPrefix(err.Error(), ErrInvalid.Error()+": "))
		return Message{}, bad
	}
	return m, nil
}

// A parser reads text from pos on. It keeps the first failure in bad, which is
// not a part of it so that the compiler sees that no result holds the text.
type parser struct {
	text string
	pos  int
	bad  **ParseError
}

func (p *parser) ok() bool { return *p.bad == nil }

func (p *parser) fail(offset int, format string, args ...any) {
	if !p.ok() {
		return
	}
	// A copy: what was parsed may be a part of something large.
	text := strings.Clone(p.text[:min(len(p.text), 160)])
	if len(p.text) > len(text) {
		text += "..."
	}
	*p.bad = &ParseError{Text: text, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// next reports whether one of the bytes of set follows, and takes it if so.
func (p *parser) next(set string) bool {
	if p.pos < len(p.text) && strings.IndexByte(set, p.text[p.pos]) >= 0 {
		p.pos++
		return true
	}
	return false
}

// digit takes one hex digit; ok is false if there is none.
func (p *parser) digit() (v uint32, ok bool) {
	if p.pos == len(p.text) {
		return 0, false
	}
	switch c := p.text[p.pos]; {
	case '0' <= c && c <= '9':
		v = uint32(c - '0')
	case 'a' <= c && c <= 'f':
		v = uint32(c-'a') + 10
	case 'A' <= c && c <= 'F':
		v = uint32(c-'A') + 10
	default:
		return 0, false
	}
	p.pos++
	return v, true
}

func (p *parser) frame() (m Message) {
	p.id(&m)
	switch {
	case !p.ok():
	case !p.next("#"):
		p.fail(p.pos, "want # behind the identifier")
	case p.next("#"):
		flags, ok := p.digit()
		if !ok {
			p.fail(p.pos, "want one hex digit of CAN FD flags behind ##")
		}
		m.Flags |= FDF
		if flags&1 != 0 {
			m.Flags |= BRS
		}
		if flags&2 != 0 {
			m.Flags |= ESI
		}
		p.data(&m, 64)
		if p.ok() {
			m.Len = fdLength[m.DLC()]
		}
	case p.next("Rr"):
		m.Flags |= Remote
		if p.pos < len(p.text) && '0' <= p.text[p.pos] && p.text[p.pos] <= '8' {
			m.Len = p.text[p.pos] - '0'
			p.pos++
		}
		p.rawDLC(&m)
	default:
		p.data(&m, 8)
		p.rawDLC(&m)
		if m.Flags&Remote != 0 && m.Len > 0 {
			p.fail(9, "data behind an identifier with the remote bit")
		}
	}
	if p.pos < len(p.text) {
		p.fail(p.pos, "unexpected %q", strings.Clone(p.text[p.pos:p.pos+1]))
	}
	return m
}

// id takes 3 hex digits of a standard identifier, or 8 of an extended one with
// can_id's flags above its 29 bits.
func (p *parser) id(m *Message) {
	for {
		v, ok := p.digit()
		if !ok {
			break
		}
		m.ID = m.ID<<4 | v
		if p.pos > 8 {
			break
		}
	}
	switch p.pos {
	case 3:
	case 8:
		switch {
		case m.ID&errorBit != 0:
			m.Flags |= Error
		default:
			m.Flags |= Extended
		}
		if m.ID&remoteBit != 0 {
			m.Flags |= Remote
		}
		m.ID &= maxExtended
	default:
		p.fail(0, "an identifier has 3 or 8 hex digits")
	}
}

// data takes bytes of two hex digits each, with at most one dot before each
// and one at the end.
func (p *parser) data(m *Message, most int) {
	for n := 0; p.ok(); n++ {
		p.next(".")
		start := p.pos
		hi, ok := p.digit()
		if !ok {
			m.Len = uint8(n)
			break
		}
		lo, ok := p.digit()
		if !ok {
			p.fail(p.pos, "half a data byte")
			return
		}
		if n == most {
			p.fail(start, "more than %d data bytes", most)
			return
		}
		m.Data[n] = byte(hi<<4 | lo)
	}
}

// rawDLC takes the suffix of a frame of 8 bytes that was sent with a DLC above
// 8. A Message does not keep that DLC.
func (p *parser) rawDLC(m *Message) {
	if p.ok() && m.Len == 8 && p.next("_") {
		p.digit()
	}
}

// jsonMessage is a Message in JSON. The first fields are those that einride's
// can-go uses.
type jsonMessage struct {
	ID       *uint32     `json:"id"`
	Data     string      `json:"data"`
	Extended bool        `json:"extended,omitempty"`
	Remote   bool        `json:"remote,omitempty"`
	Length   *uint8      `json:"length,omitempty"` // of a remote frame only
	Error    bool        `json:"error,omitempty"`
	FD       bool        `json:"fd,omitempty"`
	BRS      bool        `json:"brs,omitempty"`
	ESI      bool        `json:"esi,omitempty"`
	Own      bool        `json:"own,omitempty"`
	Time     json.Number `json:"timestamp,omitempty"` // seconds, 9 decimals
	Seq      uint64      `json:"seq,omitempty"`
}

func (j *jsonMessage) flags() [7]*bool { // in the order of the constants
	return [...]*bool{&j.Extended, &j.Remote, &j.Error, &j.FD, &j.BRS, &j.ESI, &j.Own}
}

// MarshalJSON returns an object such as
//
//	{"id":291,"data":"AABB","timestamp":1700000000.000000000,"seq":1}
//
// with the data in hex, the time in seconds since 1970, exact to the
// nanosecond, and "extended", "remote" (then with "length"), "error", "fd",
// "brs", "esi" and "own" where they are true.
func (m Message) MarshalJSON() ([]byte, error) {
	j := jsonMessage{ID: &m.ID, Data: fmt.Sprintf("%X", m.Bytes()), Seq: m.Seq}
	for i, set := range j.flags() {
		*set = m.Flags&(1<<i) != 0
	}
	if j.Remote {
		j.Length = &m.Len
	}
	if m.Timestamp != 0 {
		sign, ns := "", uint64(m.Timestamp)
		if m.Timestamp < 0 {
			sign, ns = "-", -ns
		}
		j.Time = json.Number(fmt.Sprintf("%s%d.%09d", sign, ns/1e9, ns%1e9))
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what [Message.MarshalJSON] writes, and refuses what
// [Message.Validate] refuses.
func (m *Message) UnmarshalJSON(b []byte) error {
	if string(b) == "null" { // as encoding/json has it
		return nil
	}
	var j jsonMessage
	if err := json.Unmarshal(b, &j); err != nil {
		return fmt.Errorf("hub: message: %w", err)
	}
	if j.ID == nil {
		return errors.New("hub: message: no id")
	}
	r := Message{ID: *j.ID, Seq: j.Seq}
	for i, set := range j.flags() {
		if *set {
			r.Flags |= 1 << i
		}
	}
	if len(j.Data) > 2*len(r.Data) {
		return fmt.Errorf("hub: message: data: %d hex digits, at most %d", len(j.Data), 2*len(r.Data))
	}
	n, err := hex.Decode(r.Data[:], []byte(j.Data))
	if err != nil {
		return fmt.Errorf("hub: message: data %q: %w", j.Data, err)
	}
	r.Len = uint8(n)
	switch {
	case j.Remote && n > 0:
		return fmt.Errorf("hub: message: data %q: a remote frame carries no data", j.Data)
	case j.Length != nil && !j.Remote && *j.Length != r.Len:
		return fmt.Errorf("hub: message: length %d, but %d data bytes", *j.Length, n)
	case j.Length != nil:
		r.Len = *j.Length
	}
	if j.Time != "" {
		ns, err := parseSeconds(string(j.Time))
		if err != nil {
			return fmt.Errorf("hub: message: timestamp %s: %w", j.Time, err)
		}
		r.Timestamp = ns
	}
	if err := r.Validate(); err != nil {
		return err
	}
	*m = r
	return nil
}

// parseSeconds reads a decimal number of seconds as nanoseconds, without the
// loss of a float64. Digits beyond the ninth decimal are cut.
func parseSeconds(s string) (int64, error) {
	whole, frac, _ := strings.Cut(s, ".")
	if strings.Trim(whole+frac, "0123456789") != "" || whole == "" {
		return 0, errors.New("want plain decimal seconds")
	}
	frac = (frac + "000000000")[:9]
	ns, err := strconv.ParseInt(whole+frac, 10, 64)
	if err != nil {
		return 0, errors.New("out of range")
	}
	return ns, nil
}

// LogValue shows the frame in candump form, its time and its number.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("frame", m.String()),
		slog.Time("time", m.Time()),
		slog.Uint64("seq", m.Seq),
	)
}
