package canlog

import (
	"bytes"
	"math"
	"strings"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// ascLog is the parser of ASC logs.
type ascLog struct {
	channels numbers
	location *time.Location
	base     uint32 // of identifiers, DLCs and data: 10 or 16
	relative bool   // times count from the line before
	start    int64  // in nanoseconds since 1970, from which times count
	clock    int64  // the time of the line before, counted from start
	others   uint64 // lines that hold no CAN frame
}

func newASC(o *ReaderOptions) *ascLog {
	a := &ascLog{channels: numbers{given: o.Channels}, location: o.Location, base: 16}
	if a.location == nil {
		a.location = time.Local
	}
	return a
}

func (a *ascLog) dropped() uint64 { return 0 }
func (a *ascLog) skipped() uint64 { return a.others }

func (a *ascLog) parse(line []byte, e *Entry) (ok bool, bad *syntaxError) {
	f := fields{line: line}
	if !f.next() || bytes.HasPrefix(f.word(), []byte("//")) {
		return false, nil
	}
	if c := f.word()[0]; isDigit(c) || c == '-' {
		return a.event(&f, e)
	}
	switch strings.ToLower(string(f.word())) {
	case "date":
		return false, a.date(&f)
	case "begin":
		if !f.next() || !f.is("triggerblock") {
			break
		}
		a.clock = 0
		return false, a.date(&f)
	case "base":
		return false, a.bases(&f)
	case "no", "internal": // [no] internal events logged
		return false, nil
	case "end":
		return false, nil
	}
	a.others++
	return false, nil
}

// date takes the date behind the current word as that from which times count.
func (a *ascLog) date(f *fields) *syntaxError {
	start, bad := ascDate(f, a.location)
	a.start = start // 0 if it cannot be read: the error tells so
	return bad
}

// bases reads the line "base hex|dec [timestamps absolute|relative]".
func (a *ascLog) bases(f *fields) *syntaxError {
	f.next()
	switch {
	case f.is("hex"):
		a.base = 16
	case f.is("dec"):
		a.base = 10
	default:
		return f.fail(0, "want hex or dec behind base")
	}
	a.relative = false
	if !f.next() {
		return nil
	}
	if f.is("timestamps") && f.next() {
		switch {
		case f.is("absolute"):
			return nil
		case f.is("relative"):
			a.relative = true
			return nil
		}
	}
	return f.fail(0, "want timestamps absolute or timestamps relative")
}

// event reads a line that begins with a time.
func (a *ascLog) event(f *fields, e *Entry) (ok bool, bad *syntaxError) {
	ns, offset, reason := parseDecimal(f.word(), 9, false)
	if reason != "" {
		return false, f.fail(offset, "%s", reason)
	}
	if a.relative {
		if ns > math.MaxInt64-a.clock {
			return false, f.fail(0, outOfRange)
		}
		ns += a.clock
	}
	a.clock = ns
	if ns > math.MaxInt64-a.start {
		return false, f.fail(0, outOfRange)
	}
	e.Message.Timestamp = a.start + ns
	if !f.next() {
		return false, f.fail(0, "no event behind the time")
	}
	switch {
	case isDigit(f.word()[0]):
		ok, bad = a.classic(f, e)
	case f.is("CANFD"):
		ok, bad = a.fd(f, e)
	case f.is("Start"): // of measurement
		return false, nil
	}
	if bad == nil && !ok {
		a.others++
	}
	return ok, bad
}

// channel reads the current word as the number of a channel.
func (a *ascLog) channel(f *fields, e *Entry) *syntaxError {
	n, ok := parseNumber(f.word(), 10, maxNumber)
	if !ok {
		return f.fail(0, "want the number of a channel, at most %d", maxNumber)
	}
	e.Channel = a.channels.name(int(n))
	return nil
}

// id reads the current word as an identifier.
func (a *ascLog) id(f *fields, m *hub.Message) *syntaxError {
	word := f.word()
	if n := len(word) - 1; n > 0 && word[n]|0x20 == 'x' {
		m.Flags |= hub.Extended
		word = word[:n]
	}
	id, ok := parseNumber(word, a.base, math.MaxUint32)
	if !ok {
		return f.fail(0, "want an identifier in base %d", a.base)
	}
	if most := uint32(1<<11 - 1); id > most && m.Flags&hub.Extended == 0 {
		return f.fail(0, "a standard identifier has 11 bits; an extended one ends in x")
	}
	if id > 1<<29-1 {
		return f.fail(0, "an extended identifier has 29 bits")
	}
	m.ID = id
	return nil
}

// is reports whether the current word is name, in either case.
func (f *fields) is(name string) bool {
	return len(f.word()) == len(name) && strings.EqualFold(string(f.word()), name)
}

// direction reads the current word as Rx or Tx.
func direction(f *fields) Dir {
	switch {
	case f.is("Rx"):
		return DirReceived
	case f.is("Tx"):
		return DirSent
	}
	return DirUnknown
}
