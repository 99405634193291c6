package canlog

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"strconv"

	"github.com/canhub-go/canhub/hub"
)

// csvHeader is the first line of a CSV log.
const csvHeader = "timestamp,arbitration_id,extended,remote,error,dlc,data"

// The columns of a CSV log.
const (
	csvTime = iota
	csvID
	csvExtended
	csvRemote
	csvError
	csvLength
	csvData
	csvColumns
)

// csvLog is the parser of CSV logs.
type csvLog struct {
	channel string // of all entries: there is no column for it
	begun   bool   // the line of the header is behind
}

func (c *csvLog) dropped() uint64 { return 0 }
func (c *csvLog) skipped() uint64 { return 0 }

func (c *csvLog) parse(line []byte, e *Entry) (ok bool, bad *syntaxError) {
	first := !c.begun
	c.begun = true
	if len(line) == 0 || first && string(line) == csvHeader {
		return false, nil
	}
	var row csvRow
	if bad := row.split(line); bad != nil {
		return false, bad
	}
	m := &e.Message
	var reason string
	if m.Timestamp, reason = csvSeconds(row.field[csvTime]); reason != "" {
		if first {
			reason += "; the first line is not " + strconv.Quote(csvHeader) + " either"
		}
		return false, row.fail(csvTime, "%s", reason)
	}
	for i, flag := range [...]hub.Flags{csvExtended: hub.Extended, csvRemote: hub.Remote, csvError: hub.Error} {
		if flag == 0 {
			continue
		}
		switch string(row.field[i]) {
		case "1":
			m.Flags |= flag
		case "0":
		default:
			return false, row.fail(i, "want 0 or 1, not %q", shorten(row.field[i]))
		}
	}
	id, hex := row.field[csvID], false
	if len(id) > 2 && id[0] == '0' && id[1]|0x20 == 'x' {
		id = id[2:]
	}
	if m.ID, hex = parseNumber(id, 16, math.MaxUint32); !hex {
		return false, row.fail(csvID, "want a hexadecimal identifier, not %q", shorten(row.field[csvID]))
	}
	length, digits := parseNumber(row.field[csvLength], 10, 64)
	switch {
	case !digits:
		return false, row.fail(csvLength, "want a length of 0 to 8, not %q", shorten(row.field[csvLength]))
	case length > 8:
		return false, row.fail(csvLength, "a length of %d bytes: CSV has no CAN FD frames, whose kind would be lost", length)
	}
	m.Len = uint8(length)
	if bad := row.data(m); bad != nil {
		return false, bad
	}
	if err := m.Validate(); err != nil {
		bad := row.fail(csvID, "%v", err)
		bad.err = err
		return false, bad
	}
	e.Channel = c.channel
	return true, nil
}

// A csvRow is a line in parts.
type csvRow struct {
	line  []byte
	field [csvColumns][]byte
	at    [csvColumns]int // where in line each begins
}

func (r *csvRow) split(line []byte) *syntaxError {
	r.line = line
	at := 0
	for i := range r.field {
		rest := line[at:]
		n := bytes.IndexByte(rest, ',')
		switch {
		case n < 0 && i < csvColumns-1:
			return &syntaxError{offset: len(line), reason: fmt.Sprintf("the line ends behind column %d of %d", i+1, csvColumns)}
		case n >= 0 && i == csvColumns-1:
			return &syntaxError{offset: at + n, reason: fmt.Sprintf("more than %d columns", csvColumns)}
		case n < 0:
			n = len(rest)
		}
		r.field[i], r.at[i] = rest[:n], at
		at += n + 1
	}
	return nil
}

func (r *csvRow) fail(column int, format string, args ...any) *syntaxError {
	return &syntaxError{offset: r.at[column], reason: fmt.Sprintf(format, args...)}
}

// data reads the last column into m, whose Flags and Len are set.
func (r *csvRow) data(m *hub.Message) *syntaxError {
	text := r.field[csvData]
	if len(text) > 4*3 { // 8 bytes and padding, and one byte more
		return r.fail(csvData, "more than 8 bytes of data")
	}
	var data [9]byte
	n, err := base64.StdEncoding.Strict().Decode(data[:], text)
	if err != nil || bytes.IndexByte(text, '\r') >= 0 { // which base64 passes over
		return r.fail(csvData, "data %q: want base64 with its padding", text)
	}
	want := int(m.Len)
	if m.Flags&hub.Remote != 0 {
		want = 0
	}
	if n != want {
		return r.fail(csvData, "%d bytes of data, want %d", n, want)
	}
	copy(m.Data[:], data[:n])
	return nil
}

// csvSeconds reads a time in seconds as Python prints a float: decimal, or
// with an exponent if it is below 0.0001, and with as many decimals as it takes
// to tell it from the next one. It is rounded to nanoseconds.
func csvSeconds(word []byte) (ns int64, reason string) {
	if bytes.IndexByte(word, 'e') > 0 && len(word) < 32 && (isDigit(word[0])) {
		f, err := strconv.ParseFloat(string(word), 64)
		if f = math.Round(f * 1e9); err == nil && f < math.MaxInt64 {
			return int64(f), ""
		}
		return 0, outOfRange
	}
	if len(word) == 0 {
		return 0, "no time"
	}
	ns, _, reason = parseDecimal(word, 9, true)
	return ns, reason
}
