package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// timeStyles are the values of --time: words, and candump's letters.
var timeStyles = map[string]timeStyle{
	"none": noTime, "absolute": absolute, "date": date, "delta": delta, "zero": zero,
	"a": absolute, "A": date, "d": delta, "z": zero,
}

// A timeStyle says how the time of a frame is shown.
type timeStyle uint8

const (
	noTime   timeStyle = iota
	absolute           // seconds since 1970
	date               // of the local time
	delta              // seconds since the frame shown before
	zero               // seconds since the first frame shown
)

// dumpLines shows frames as lines for people, as candump does.
type dumpLines struct {
	out   *bufio.Writer
	buses []*namedBus // their place is their color
	width int         // of the longest name
	line  []byte

	time        timeStyle
	location    *time.Location // of date
	first, last int64
	started     bool

	ascii, color bool
}

func newDumpLines(w io.Writer, buses []*namedBus) *dumpLines {
	d := &dumpLines{out: bufio.NewWriterSize(w, 1<<16), buses: buses, location: time.Local}
	for _, b := range buses {
		d.width = max(d.width, len(b.name))
	}
	return d
}

func (d *dumpLines) flush() error { return d.out.Flush() }

func (d *dumpLines) frame(bus *namedBus, m hub.Message) error {
	d.line = d.append(d.line[:0], bus, &m)
	_, err := d.out.Write(d.line)
	return err
}

// colors are those of the buses, in turn. Red is for error frames.
var colors = [...]string{"\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[35m", "\x1b[34m"}

const red, plain = "\x1b[31m", "\x1b[0m"

func (d *dumpLines) append(b []byte, bus *namedBus, m *hub.Message) []byte {
	if d.color {
		color := red
		if m.Flags&hub.Error == 0 {
			color = colors[slices.Index(d.buses, bus)%len(colors)]
		}
		b = append(b, color...)
	}
	b = d.appendTime(b, m.Timestamp)
	b = fmt.Appendf(b, "  %*s  ", d.width, bus.name)
	b = appendFrame(b, m)
	if d.ascii && m.Flags&(hub.Remote|hub.Error) == 0 {
		pad := 3 + max(0, 3*(8-int(m.Len))) // behind the place of eight bytes, or more
		if m.Len == 0 {
			pad++
		}
		for range pad {
			b = append(b, ' ')
		}
		b = append(b, '\'')
		for _, c := range m.Bytes() {
			b = append(b, printable(c))
		}
		b = append(b, '\'')
	}
	if d.color {
		b = append(b, plain...)
	}
	return append(b, '\n')
}

const hexDigits = "0123456789ABCDEF"

// appendFrame appends identifier, length and data: "123   [2]  AA BB".
func appendFrame(b []byte, m *hub.Message) []byte {
	b = append(b, idText(m.ID, m.Flags)...)
	if m.Flags&hub.FDF != 0 { // two digits tell CAN FD
		b = fmt.Appendf(b, "  [%02d]", m.Len)
	} else {
		b = fmt.Appendf(b, "   [%d]", m.Len)
	}
	if m.Flags&hub.Remote != 0 {
		return append(b, "  remote request"...)
	}
	b = append(b, ' ')
	for _, c := range m.Bytes() {
		b = append(b, ' ', hexDigits[c>>4], hexDigits[c&15])
	}
	if m.Len == 0 {
		b = b[:len(b)-1]
	}
	if m.Flags&hub.Error != 0 {
		b = append(b, "   ERRORFRAME"...)
		if words := errorWords(m); words != "" {
			b = append(append(b, ' '), words...)
		}
	}
	return b
}

func (d *dumpLines) appendTime(b []byte, at int64) []byte {
	if !d.started {
		d.first, d.last, d.started = at, at, true
	}
	switch d.time {
	case noTime:
		return b
	case date:
		b = time.Unix(0, at).In(d.location).AppendFormat(b, " (2006-01-02 15:04:05.000000)")
	case absolute:
		b = appendSeconds(b, at, 10)
	case delta:
		b = appendSeconds(b, at-d.last, 3)
	case zero:
		b = appendSeconds(b, at-d.first, 3)
	}
	d.last = at
	return b
}

// appendSeconds appends nanoseconds as " (000.000000)", cut to the microsecond.
func appendSeconds(b []byte, ns int64, digits int) []byte {
	b = append(b, " ("...)
	if ns < 0 { // as between buses that do not tell the time alike
		b = append(b, '-')
		ns = -ns
	}
	return fmt.Appendf(b, "%0*d.%06d)", digits, ns/1e9, ns%1e9/1e3)
}

// dumpJSON shows each frame as a JSON object in a line of its own.
type dumpJSON struct{ out *bufio.Writer }

func (d *dumpJSON) flush() error { return d.out.Flush() }

func (d *dumpJSON) frame(bus *namedBus, m hub.Message) error {
	frame, err := m.MarshalJSON()
	if err != nil {
		return err
	}
	b := append([]byte(`{"bus":`), strconv.Quote(bus.name)...) // a name has nothing that JSON writes otherwise
	b = append(b, `,"time":"`...)
	b = m.Time().UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `",`...)
	b = append(b, frame[1:]...)
	_, err = d.out.Write(append(b, '\n'))
	return err
}
