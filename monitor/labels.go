package monitor

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Labels are names of messages.
type Labels map[ID]string

// An ID is a message's identifier and its width: 11 bits, or 29.
type ID struct {
	Value    uint32
	Extended bool
}

const (
	maxStandard = 1<<11 - 1
	maxExtended = 1<<29 - 1
	maxName     = 100 // bytes; more does not fit the page
)

// String returns the identifier in hexadecimal: three digits, or eight of an
// extended one.
func (id ID) String() string {
	if id.Extended {
		return fmt.Sprintf("%08X", id.Value)
	}
	return fmt.Sprintf("%03X", id.Value)
}

// A LabelError tells why a line of a file of names cannot be read.
type LabelError struct {
	File   string // the name given to the reader
	Line   int    // from 1
	Reason string
}

func (e *LabelError) Error() string {
	return fmt.Sprintf("monitor: %s:%d: %s", e.File, e.Line, e.Reason)
}

// LoadLabels reads the file path: a DBC file if it ends in ".dbc", otherwise
// one for [ReadLabels].
func LoadLabels(path string) (Labels, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("monitor: %w", err)
	}
	defer f.Close()
	if strings.EqualFold(filepath.Ext(path), ".dbc") {
		return ReadDBC(f, path)
	}
	return ReadLabels(f, path)
}

// ReadLabels reads lines of an identifier and a name:
//
//	# what is in my car
//	1A0 Engine
//	18FEF100 Cruise control
//
// The identifier is in hexadecimal, of 29 bits if it has eight digits,
// otherwise of 11. The name is the rest of the line, up to 100 bytes. Blank
// lines, and those that begin with #, are skipped. Any other line, and a
// second name for an identifier, is a [*LabelError]; name is the file's in it.
func ReadLabels(r io.Reader, name string) (Labels, error) {
	labels := make(Labels)
	err := eachLine(r, name, func(line string) error {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			return nil
		}
		digits, label := line, ""
		if i := strings.IndexAny(line, " \t"); i > 0 {
			digits, label = line[:i], strings.TrimSpace(line[i:])
		}
		id, err := parseID(digits)
		if err != nil {
			return err
		}
		return labels.add(id, label)
	})
	if err != nil {
		return nil, err
	}
	return labels, nil
}

func parseID(digits string) (ID, error) {
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil || len(digits) > 8 || digits[0] == '+' {
		return ID{}, fmt.Errorf("identifier %.20q: want up to eight hexadecimal digits", digits)
	}
	id, err := newID(uint32(n), len(digits) == 8)
	if err != nil && !id.Extended {
		err = fmt.Errorf("%w; one of 29 bits has eight digits", err)
	}
	return id, err
}

func newID(value uint32, extended bool) (ID, error) {
	id := ID{value, extended}
	switch {
	case !extended && value > maxStandard:
		return id, fmt.Errorf("identifier %v: above 7FF", id)
	case value > maxExtended:
		return id, fmt.Errorf("identifier %v: above 1FFFFFFF", id)
	}
	return id, nil
}

func (l Labels) add(id ID, name string) error {
	switch old, found := l[id]; {
	case name == "":
		return fmt.Errorf("identifier %v: no name", id)
	case len(name) > maxName:
		return fmt.Errorf("identifier %v: a name of %d bytes, at most %d", id, len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("identifier %v: name %.40q: not plain text", id, name)
	case found:
		return fmt.Errorf("identifier %v: it is %q already", id, old)
	}
	l[id] = name
	return nil
}

// json is an object of names by identifier in text form.
func (l Labels) json() []byte {
	names := make(map[string]string, len(l))
	for id, name := range l {
		names[id.String()] = name
	}
	body, err := json.Marshal(names)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return body
}

// maxLine is for DBC files, in which a line can name all values of a signal.
const maxLine = 1 << 20

// eachLine calls f for every line of r, and puts file and line to its error.
func eachLine(r io.Reader, name string, f func(line string) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	n := 0 // lines so far; the last one waits, for a read error may have cut it off
	var last string
	use := func() error {
		if n == 0 {
			return nil
		}
		if err := f(last); err != nil {
			return &LabelError{name, n, err.Error()}
		}
		return nil
	}
	for s.Scan() {
		if err := use(); err != nil {
			return err
		}
		last = s.Text()
		if n++; n == 1 {
			last = strings.TrimPrefix(last, "\uFEFF") // some editors' mark of UTF-8
		}
	}
	switch err := s.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return &LabelError{name, n + 1, fmt.Sprintf("more than %d bytes", maxLine)}
	case err != nil:
		return fmt.Errorf("monitor: %s:%d: %w", name, max(n, 1), err)
	}
	return use()
}
