package canlog

import (
	"math/bits"
	"strconv"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A trcWriter is the encoder of TRC logs of version 2.1.
type trcWriter struct {
	channels    numbers
	nanoseconds bool
	start       start
	begun       bool
	n           uint64 // of the row
}

func (w *trcWriter) append(b []byte, e *Entry) ([]byte, string) {
	m := &e.Message
	if m.Flags&hub.Error != 0 {
		return b, "its rows of errors have no place for class and data of an error frame"
	}
	channel, t, reason := place(&w.channels, &w.start, e)
	if reason != "" {
		return b, reason
	}
	b = w.header(b)
	var text [32]byte
	w.n++
	b = appendRight(b, strconv.AppendUint(text[:0], w.n, 10), 7)
	b = append(b, ' ')
	ms := strconv.AppendUint(text[:0], t/1e6, 10)
	ms = append(ms, '.')
	if w.nanoseconds {
		ms = appendPadded(ms, t%1e6, 6)
	} else {
		ms = appendPadded(ms, t%1e6/1e3, 3)
	}
	b = appendRight(b, ms, 13)
	b = append(b, ' ')
	b = append(b, trcKind(m.Flags)...)
	b = append(b, ' ')
	b = appendRight(b, strconv.AppendInt(text[:0], int64(channel), 10), 2)
	b = append(b, ' ')
	digits := 4
	if m.Flags&hub.Extended != 0 {
		digits = 8
	}
	b = appendRight(b, appendHex(text[:0], m.ID, digits), 8)
	b = append(b, ' ')
	b = append(b, ascDir(e.Dir)...)
	b = append(b, " -  "...)
	at := len(b)
	b = strconv.AppendUint(b, uint64(m.DLC()), 10)
	for len(b) < at+5 {
		b = append(b, ' ')
	}
	b = appendSpaced(b, m.Bytes())
	return append(b, "\r\n"...), ""
}

func trcKind(f hub.Flags) string {
	switch f & (hub.Remote | hub.FDF | hub.BRS | hub.ESI) {
	case hub.Remote:
		return "RR"
	case hub.FDF:
		return "FD"
	case hub.FDF | hub.BRS:
		return "FB"
	case hub.FDF | hub.BRS | hub.ESI:
		return "FE"
	case hub.FDF | hub.ESI:
		return "BI"
	}
	return "DT"
}

// header writes the header if it is not written yet.
func (w *trcWriter) header(b []byte) []byte {
	if w.begun {
		return b
	}
	w.begun = true
	b = append(b, ";$FILEVERSION=2.1\r\n;$STARTTIME="...)
	b = appendDays(b, uint64(w.start.ns))
	b = append(b, "\r\n;$COLUMNS=N,O,T,B,I,d,R,L,D\r\n;\r\n;   Start time: "...)
	b = time.Unix(0, w.start.ns).UTC().AppendFormat(b, "2006-01-02 15:04:05.000 UTC")
	return append(b, "\r\n;   N: number, O: offset in ms, T: type, B: bus, I: identifier,\r\n"+
		";   d: direction, R: reserved, L: DLC, D: data\r\n;\r\n"...)
}

// appendDays appends a time since 1970 as days since the end of 1899.
func appendDays(b []byte, ns uint64) []byte {
	const day, epoch = 24 * 3600 * uint64(time.Second), 25569
	b = strconv.AppendUint(b, ns/day+epoch, 10)
	b = append(b, '.')
	const one = 1e15 // tells times that are a nanosecond apart
	hi, lo := bits.Mul64(ns%day, one)
	lo, carry := bits.Add64(lo, day/2, 0)
	part, _ := bits.Div64(hi+carry, lo, day)
	return appendPadded(b, part, 15)
}

func (w *trcWriter) flush(b []byte) []byte { return b }
func (w *trcWriter) end(b []byte) []byte   { return w.header(b) }
