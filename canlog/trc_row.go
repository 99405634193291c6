package canlog

import (
	"bytes"
	"math"

	"github.com/canhub-go/canhub/hub"
)

// row reads a line that is no comment. A row of something else than a frame
// that was sent or received is not ok.
func (l *trcLog) row(line []byte, e *Entry) (ok bool, bad *syntaxError) {
	f := fields{line: line}
	if l.columns.time < 0 {
		f.next()
		return false, f.fail(0, "no line ;$COLUMNS that can be read in front of the first frame")
	}
	c := &l.columns
	m := &e.Message
	var begin, end [trcMaxColumns]int
	n := 0
	for n < c.data && f.next() {
		begin[n], end[n] = f.start, f.end
		n++
	}
	at := func(i int) fields { // the end of the line, if the column is missing
		if i < n {
			return fields{line: line, start: begin[i], end: end[i]}
		}
		return fields{line: line, start: len(line), end: len(line)}
	}
	if c.kind >= 0 {
		kind := at(c.kind)
		flags, frame := trcKinds[string(kind.word())]
		if !frame {
			return false, nil
		}
		m.Flags = flags
	}
	e.Dir = DirUnknown
	if c.dir >= 0 {
		dir := at(c.dir)
		if e.Dir = direction(&dir); e.Dir == DirUnknown {
			return false, nil // "Warng", "Error"
		}
	}
	id := at(c.id)
	if bytes.Equal(id.word(), []byte("FFFFFFFF")) {
		return false, nil // the state of the bus, in version 1.0
	}
	t := at(c.time)
	if bad := l.time(&t, m); bad != nil {
		return false, bad
	}
	number := uint32(1)
	if c.bus >= 0 {
		bus := at(c.bus)
		if number, ok = parseNumber(bus.word(), 10, maxNumber); !ok {
			return false, bus.fail(0, "want the number of a bus, at most %d", maxNumber)
		}
	}
	e.Channel = l.channels.name(int(number))
	if bad := trcID(&id, m); bad != nil {
		return false, bad
	}
	length := at(max(c.length, c.dlc))
	if bad := l.length(&length, m); bad != nil {
		return false, bad
	}
	if bad := trcData(&f, m); bad != nil {
		return false, bad
	}
	if err := m.Validate(); err != nil {
		bad := id.fail(0, "%v", err)
		bad.err = err
		return false, bad
	}
	return true, nil
}

// time reads milliseconds since the start.
func (l *trcLog) time(f *fields, m *hub.Message) *syntaxError {
	if len(f.word()) == 0 {
		return f.fail(0, "no time")
	}
	ns, offset, reason := parseDecimal(f.word(), 6, false)
	if reason != "" {
		return f.fail(offset, "%s", reason)
	}
	if ns > math.MaxInt64-l.start {
		return f.fail(0, outOfRange)
	}
	m.Timestamp = l.start + ns
	return nil
}

// trcID reads an identifier; one of more than four digits is extended.
func trcID(f *fields, m *hub.Message) *syntaxError {
	var ok bool
	if m.ID, ok = parseNumber(f.word(), 16, math.MaxUint32); !ok {
		return f.fail(0, "want a hexadecimal identifier")
	}
	if len(f.word()) > 4 {
		m.Flags |= hub.Extended
	}
	return nil
}

// length reads the number of bytes or the DLC.
func (l *trcLog) length(f *fields, m *hub.Message) *syntaxError {
	if l.columns.length >= 0 {
		n, ok := parseNumber(f.word(), 10, 64)
		if !ok {
			return f.fail(0, "want a length, 0 to 64")
		}
		m.Len = uint8(n)
		return nil
	}
	dlc, ok := parseNumber(f.word(), 10, 15)
	if !ok {
		return f.fail(0, "want the DLC, 0 to 15")
	}
	m.Len = fdLengths[dlc]
	if m.Flags&hub.FDF == 0 {
		m.Len = min(m.Len, 8)
	}
	return nil
}

// trcData reads what is behind the current word: the data, or RTR for a remote
// frame in version 1.
func trcData(f *fields, m *hub.Message) *syntaxError {
	n := 0
	for f.next() {
		if n == 0 && f.is("RTR") {
			m.Flags |= hub.Remote
			return nil
		}
		if m.Flags&hub.Remote != 0 {
			return f.fail(0, "data in a remote frame")
		}
		if n == int(m.Len) {
			return f.fail(0, "more than %d bytes of data", m.Len)
		}
		b, ok := parseNumber(f.word(), 16, 255)
		if !ok {
			return f.fail(0, "want a byte of data in hexadecimal")
		}
		m.Data[n] = byte(b)
		n++
	}
	if n < int(m.Len) && m.Flags&hub.Remote == 0 {
		return f.fail(0, "%d bytes of data, want %d", n, m.Len)
	}
	return nil
}
