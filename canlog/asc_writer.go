package canlog

import (
	"fmt"
	"strconv"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// An ascWriter is the encoder of ASC logs, in the form of python-can.
type ascWriter struct {
	channels    numbers
	location    *time.Location
	nanoseconds bool
	start       start
	begun       bool
}

func newASCWriter(o *WriterOptions) *ascWriter {
	w := &ascWriter{channels: numbers{given: o.Channels}, location: o.Location, nanoseconds: o.Nanoseconds}
	if w.location == nil {
		w.location = time.Local
	}
	return w
}

func (w *ascWriter) append(b []byte, e *Entry) ([]byte, string) {
	m := &e.Message
	if m.Flags&hub.Error != 0 && (m.ID != 0x80 || m.Len != 8 || [8]byte(m.Data[:8]) != [8]byte{}) {
		return b, fmt.Sprintf("of an error frame it tells only that there was one, which is read as %08X and eight zeros, so class and data would be lost",
			0x80|1<<29)
	}
	channel, t, reason := place(&w.channels, &w.start, e)
	if reason != "" {
		return b, reason
	}
	if !w.begun {
		w.begun = true
		b = w.header(b)
	}
	b = append(b, ' ')
	b = strconv.AppendUint(b, t/1e9, 10)
	b = appendFraction(b, t, w.nanoseconds)
	b = append(b, ' ')
	switch {
	case m.Flags&hub.Error != 0:
		b = strconv.AppendInt(b, int64(channel), 10)
		b = append(b, "  ErrorFrame"...)
	case m.Flags&hub.FDF != 0:
		b = appendASCFD(b, channel, e)
	default:
		b = appendASCClassic(b, channel, e)
	}
	return append(b, '\n'), ""
}

const ascDateForm = "Mon Jan _2 15:04:05.000 2006"

func (w *ascWriter) header(b []byte) []byte {
	date := time.Unix(0, w.start.ns).In(w.location)
	b = append(b, "date "...)
	b = date.AppendFormat(b, ascDateForm)
	b = append(b, "\nbase hex  timestamps absolute\ninternal events logged\nBegin Triggerblock "...)
	b = date.AppendFormat(b, ascDateForm)
	return append(b, "\n 0.000000 Start of measurement\n"...)
}

func (w *ascWriter) flush(b []byte) []byte { return b }

func (w *ascWriter) end(b []byte) []byte {
	if !w.begun {
		return append(b, "base hex  timestamps absolute\ninternal events logged\n"...)
	}
	return append(b, "End TriggerBlock\n"...)
}

func appendASCClassic(b []byte, channel int, e *Entry) []byte {
	m := &e.Message
	b = strconv.AppendInt(b, int64(channel), 10)
	b = append(b, "  "...)
	at := len(b)
	b = appendASCID(b, m)
	for len(b) < at+16 {
		b = append(b, ' ')
	}
	b = append(b, ascDir(e.Dir)...)
	if m.Flags&hub.Remote != 0 {
		b = append(b, "   r "...)
	} else {
		b = append(b, "   d "...)
	}
	b = append(b, '0'+m.Len)
	b = append(b, ' ')
	return appendSpaced(b, m.Bytes())
}

func appendASCFD(b []byte, channel int, e *Entry) []byte {
	m := &e.Message
	var text [16]byte
	b = append(b, "CANFD "...)
	b = appendRight(b, strconv.AppendInt(text[:0], int64(channel), 10), 3)
	b = append(b, ' ')
	b = append(b, ascDir(e.Dir)...)
	b = append(b, "   "...)
	b = appendRight(b, appendASCID(text[:0], m), 8)
	b = appendRight(b, nil, 2+32+1) // no name
	flags := uint64(ascEDL)
	for _, f := range [...]struct {
		of  hub.Flags
		bit uint64
	}{{hub.BRS, ascBRS}, {hub.ESI, ascESI}} {
		if m.Flags&f.of != 0 {
			flags |= f.bit
			b = append(b, "1 "...)
		} else {
			b = append(b, "0 "...)
		}
	}
	b = strconv.AppendUint(b, uint64(m.DLC()), 16)
	b = append(b, ' ')
	b = appendRight(b, strconv.AppendUint(text[:0], uint64(m.Len), 10), 2)
	b = append(b, ' ')
	b = appendSpaced(b, m.Bytes())
	b = append(b, "        0    0 "...) // duration and number of bits
	b = appendRight(b, strconv.AppendUint(text[:0], flags, 16), 8)
	return append(b, "        0        0        0        0        0"...)
}

func appendASCID(b []byte, m *hub.Message) []byte {
	b = appendHex(b, m.ID, 1)
	if m.Flags&hub.Extended != 0 {
		b = append(b, 'x')
	}
	return b
}

func ascDir(d Dir) string {
	if d == DirSent {
		return "Tx"
	}
	return "Rx"
}
