package canlog

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// trcLog is the parser of TRC logs.
type trcLog struct {
	channels numbers
	version  string
	start    int64 // in nanoseconds since 1970, from which times count
	columns  trcColumns
	others   uint64 // lines that hold no CAN frame
}

// trcColumns tells in which column, from 0, each thing is; -1 is none.
type trcColumns struct {
	time, kind, bus, id, dir, length, dlc, data int
}

// trcVersions has the columns of the versions that do not list them.
var trcVersions = map[string]trcColumns{
	"1.0": {time: 1, id: 2, dlc: 3, data: 4, kind: -1, bus: -1, dir: -1, length: -1},
	"1.1": {time: 1, dir: 2, id: 3, dlc: 4, data: 5, kind: -1, bus: -1, length: -1},
	"1.3": {time: 1, bus: 2, dir: 3, id: 4, dlc: 6, data: 7, kind: -1, length: -1},
	"2.0": {time: -1},
	"2.1": {time: -1},
}

func newTRC(o *ReaderOptions) *trcLog {
	return &trcLog{channels: numbers{given: o.Channels}, version: "1.0", columns: trcVersions["1.0"]}
}

func (l *trcLog) dropped() uint64 { return 0 }
func (l *trcLog) skipped() uint64 { return l.others }

func (l *trcLog) parse(line []byte, e *Entry) (ok bool, bad *syntaxError) {
	f := fields{line: line}
	if !f.next() {
		return false, nil
	}
	if line[f.start] == ';' {
		return false, l.header(line, f.start)
	}
	ok, bad = l.row(line, e)
	if !ok && bad == nil {
		l.others++
	}
	return ok, bad
}

// header reads a line that begins with a semicolon at offset at. Most of them
// are comments.
func (l *trcLog) header(line []byte, at int) *syntaxError {
	name, value, found := bytes.Cut(line[at:], []byte("="))
	if !found {
		return nil
	}
	fail := func(format string, args ...any) *syntaxError {
		return &syntaxError{offset: at + len(name) + 1, reason: fmt.Sprintf(format, args...)}
	}
	value = bytes.TrimSpace(value)
	switch string(name) {
	case ";$FILEVERSION":
		columns, known := trcVersions[string(value)]
		if !known {
			return fail("version %q, want 1.0, 1.1, 1.3, 2.0 or 2.1", shorten(value))
		}
		l.version, l.columns = string(value), columns
	case ";$STARTTIME":
		ns, reason := trcDays(value)
		if reason != "" {
			return fail("%s", reason)
		}
		l.start = ns
	case ";$COLUMNS":
		if !strings.HasPrefix(l.version, "2.") {
			return nil // theirs are fixed
		}
		columns, reason := newTRCColumns(string(value))
		if reason != "" {
			return fail("%s", reason)
		}
		l.columns = columns
	}
	return nil
}

// newTRCColumns reads a list like "N,O,T,B,I,d,R,L,D".
func newTRCColumns(list string) (c trcColumns, reason string) {
	c = trcColumns{-1, -1, -1, -1, -1, -1, -1, -1}
	for i, name := range strings.Split(list, ",") {
		if i >= trcMaxColumns {
			return c, fmt.Sprintf("more than %d columns", trcMaxColumns)
		}
		switch name {
		case "O":
			c.time = i
		case "T":
			c.kind = i
		case "B":
			c.bus = i
		case "I":
			c.id = i
		case "d":
			c.dir = i
		case "l":
			c.length = i
		case "L":
			c.dlc = i
		case "D":
			c.data = i
		}
	}
	switch {
	case c.time < 0 || c.kind < 0 || c.id < 0 || c.data < 0 || c.length < 0 && c.dlc < 0:
		c.time = -1
		return c, "want the columns O, T, I, D, and l or L"
	case c.data != strings.Count(list, ","):
		c.time = -1
		return c, "want D to be the last column"
	}
	return c, ""
}

const trcMaxColumns = 16

// trcDays reads days since the end of 1899 in UTC, as a decimal number.
func trcDays(value []byte) (ns int64, reason string) {
	const day, epoch = 24 * 3600 * uint64(time.Second), 25569 // 1970 from then
	whole, frac, _ := bytes.Cut(value, []byte("."))
	days, ok := parseNumber(whole, 10, 1<<20)
	if !ok || days < epoch || uint64(days-epoch) > math.MaxInt64/day {
		return 0, "want a start in days since the end of 1899, from 1970 to 2262"
	}
	var n, one uint64 = 0, 1
	for i, c := range frac {
		switch {
		case !isDigit(c):
			return 0, "want a start in decimal days"
		case i < 18:
			n, one = n*10+uint64(c-'0'), one*10
		}
	}
	hi, lo := bits.Mul64(n, day)
	lo, carry := bits.Add64(lo, one/2, 0)
	part, _ := bits.Div64(hi+carry, lo, one)
	since := uint64(days-epoch)*day + part // at most two days more than fit
	if since > math.MaxInt64 {
		return 0, outOfRange
	}
	return int64(since), ""
}

// trcKinds has the flags of the kinds of rows in version 2 that are frames.
var trcKinds = map[string]hub.Flags{
	"DT": 0,
	"RR": hub.Remote,
	"FD": hub.FDF,
	"FB": hub.FDF | hub.BRS,
	"FE": hub.FDF | hub.BRS | hub.ESI,
	"BI": hub.FDF | hub.ESI,
}
