package canlog

import (
	"bufio"
	"fmt"
	"io"
)

// A parser knows the lines of one text format.
type parser interface {
	// parse reads one line into e, which is zero, and reports whether it held
	// an entry.
	parse(line []byte, e *Entry) (ok bool, bad *syntaxError)
	counters
}

// counters are what a log tells besides its entries.
type counters interface {
	dropped() uint64
	skipped() uint64
}

// text is the source of the text formats: it parts the input into lines and
// leaves them to a parser.
type text struct {
	name  string
	lines lines
	entry Entry // the one that next makes; here it needs no heap of its own
	parser
}

func newText(r io.Reader, name string, p parser) *text {
	return &text{name: name, lines: newLines(r), parser: p}
}

func (t *text) where() string { return position(t.name, t.lines.n) }

func (t *text) next() (Entry, error) {
	for {
		line, err := t.lines.next()
		switch {
		case err == io.EOF:
			return Entry{}, err
		case err != nil:
			return Entry{}, fmt.Errorf("canlog: %s: read: %w", t.where(), err)
		case len(line) > maxLine:
			return Entry{}, t.fail(line, &syntaxError{
				offset: maxLine,
				reason: fmt.Sprintf("the line is longer than %d bytes", maxLine),
				err:    bufio.ErrTooLong,
			})
		}
		t.entry = Entry{}
		ok, bad := t.parse(line, &t.entry)
		if bad != nil {
			return Entry{}, t.fail(line, bad)
		}
		if ok {
			return t.entry, nil
		}
	}
}

func (t *text) fail(line []byte, bad *syntaxError) *LineError {
	return &LineError{
		File:   t.name,
		Line:   t.lines.n,
		Col:    bad.offset + 1,
		Text:   shorten(line),
		Reason: bad.reason,
		Err:    bad.err,
	}
}
