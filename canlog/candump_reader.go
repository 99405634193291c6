package canlog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/canhub-go/canhub/hub"
)

// candump is the parser of candump's lines.
type candump struct {
	names names
	lost  uint64
}

func (c *candump) dropped() uint64 { return c.lost }
func (c *candump) skipped() uint64 { return 0 }

func (c *candump) parse(line []byte, e *Entry) (ok bool, bad *syntaxError) {
	f := fields{line: line}
	if !f.next() || line[f.start] == '#' {
		return false, nil
	}
	if rest, found := bytes.CutPrefix(line[f.start:], []byte("DROPCOUNT:")); found {
		dropped, bad := parseDropped(rest, len(line)-len(rest))
		c.lost += dropped
		return false, bad
	}
	bad = parseEntry(&f, e, &c.names)
	return bad == nil, bad
}

// parseEntry reads a line of which f has found the first word.
func parseEntry(f *fields, e *Entry, n *names) *syntaxError {
	ns, offset, reason := parseTime(f.word())
	if reason != "" {
		return f.fail(offset, "%s", reason)
	}
	if !f.next() {
		return f.fail(0, "no channel and no frame behind the time")
	}
	channel := *f
	if !f.next() {
		if bytes.IndexByte(channel.word(), '#') >= 0 {
			return channel.fail(0, "no channel in front of the frame")
		}
		return f.fail(0, "no frame behind the channel")
	}
	if offset, reason := checkChannel(channel.word()); reason != "" {
		return channel.fail(offset, "%s", reason)
	}
	m, bad := parseFrame(f)
	if bad != nil {
		return bad
	}
	m.Timestamp = ns
	e.Message = m
	e.Channel = n.intern(channel.word())
	e.Dir = DirUnknown
	if !f.next() {
		return nil
	}
	switch string(f.word()) {
	case "R", "r":
		e.Dir = DirReceived
	case "T", "t":
		e.Dir = DirSent
	default:
		return f.fail(0, "want R, T or the end of the line behind the frame")
	}
	if f.next() {
		return f.fail(0, "want the end of the line behind the direction")
	}
	return nil
}

// parseFrame reads the current word as a frame. hub.Parse keeps nothing of its
// text, so the compiler needs no heap for the string of a short frame.
func parseFrame(f *fields) (hub.Message, *syntaxError) {
	m, err := hub.Parse(string(f.word()))
	if err == nil {
		return m, nil
	}
	var pe *hub.ParseError
	if errors.As(err, &pe) {
		bad := f.fail(pe.Offset, "%s", pe.Reason)
		bad.err = pe
		return m, bad
	}
	return m, f.fail(0, "%v", err)
}

// parseTime reads "(seconds.fraction)" as nanoseconds. If it cannot, it tells
// the offset in word and the reason.
func parseTime(word []byte) (ns int64, offset int, reason string) {
	if word[0] != '(' {
		return 0, 0, "want a line that begins with a time in parentheses"
	}
	i := 1
	var sec uint64
	for ; i < len(word) && isDigit(word[i]); i++ {
		sec = min(sec*10+uint64(word[i]-'0'), math.MaxInt64/10) // far out of range, and stays so
	}
	digits := i - 1
	var frac uint64
	decimals := 0
	if digits > 0 && i < len(word) && word[i] == '.' {
		i++
		for ; i < len(word) && isDigit(word[i]); i++ {
			if decimals++; decimals > 9 {
				return 0, i, "more than nine decimals in the time"
			}
			frac = frac*10 + uint64(word[i]-'0')
		}
		if decimals == 0 {
			digits = 0
		}
	}
	switch {
	case i == len(word):
		return 0, i, "no ) behind the time"
	case i == 1 && word[i] == '-':
		return 0, i, "negative time: a log begins in 1970 or at 0"
	case word[i] != ')' || digits == 0:
		return 0, i, fmt.Sprintf("unexpected %s in the time, want decimal seconds", quoteAt(word, i))
	case i+1 < len(word):
		return 0, i + 1, "want white space behind the time"
	}
	for ; decimals < 9; decimals++ {
		frac *= 10
	}
	const most, second = math.MaxInt64, 1_000_000_000
	if sec > most/second || sec == most/second && frac > most%second {
		return 0, 1, outOfRange
	}
	return int64(sec*second + frac), 0, ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// parseDropped reads what candump writes behind "DROPCOUNT:",
//
//	dropped 3 CAN frames on 'vcan0' socket (total drops 3)
//
// as far as the number. It stands at offset in its line.
func parseDropped(text []byte, offset int) (uint64, *syntaxError) {
	f := fields{line: text}
	bad := func() *syntaxError {
		return &syntaxError{
			offset: offset + f.start,
			reason: `want "dropped", a number and "CAN frames" behind DROPCOUNT:`,
		}
	}
	if !f.next() || string(f.word()) != "dropped" || !f.next() {
		return 0, bad()
	}
	n, err := strconv.ParseUint(string(f.word()), 10, 32) // candump has 32 bits
	if err != nil {
		return 0, bad()
	}
	if !f.next() || string(f.word()) != "CAN" || !f.next() {
		return 0, bad()
	}
	if w := string(f.word()); w != "frame" && w != "frames" {
		return 0, bad()
	}
	return n, nil
}
