package canlog

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
)

// A Reader reads the entries of a log. It is not safe for concurrent use.
type Reader struct {
	name    string
	lines   lines
	names   names
	dropped uint64
	close   func() error // nil if there is nothing to close
	closed  bool
}

// NewReader returns a Reader of the candump log r. Errors give name as the name
// of the file; it may be empty.
//
// The Reader reads ahead, but hands out each entry as soon as its line is
// complete, so that it can follow a pipe.
func NewReader(r io.Reader, name string) *Reader {
	return &Reader{name: name, lines: newLines(r)}
}

// Entries returns an iterator over the entries of the log, in the order of the
// file. A line that cannot be read comes as a [*LineError] with a zero Entry,
// and the iteration goes on with the next line if the loop does. An error of
// the underlying reader names file and line and is the last of the iteration.
//
// Entries reads each entry once. A loop that was left can be taken up by
// another one, which begins behind the last line read.
func (r *Reader) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for {
			e, err := r.next()
			if err == io.EOF {
				return
			}
			if !yield(e, err) {
				return
			}
			if _, goOn := err.(*LineError); err != nil && !goOn {
				return
			}
		}
	}
}

// Dropped returns how many frames the one who wrote the log has lost,
// according to the DROPCOUNT lines among those read so far.
func (r *Reader) Dropped() uint64 { return r.dropped }

// Close ends the reading, and closes the file if the Reader comes from [Open].
// It may be called more than once; later calls do nothing.
func (r *Reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	if r.close == nil {
		return nil
	}
	return r.close()
}

// next returns the next entry, a *LineError, io.EOF, or a read error with its
// place.
func (r *Reader) next() (Entry, error) {
	for {
		if r.closed {
			return Entry{}, fmt.Errorf("canlog: %s: read: %w", position(r.name, r.lines.n), os.ErrClosed)
		}
		line, err := r.lines.next()
		switch {
		case err == io.EOF:
			return Entry{}, err
		case err != nil:
			return Entry{}, fmt.Errorf("canlog: %s: read: %w", position(r.name, r.lines.n), err)
		case len(line) > maxLine:
			return Entry{}, r.fail(line, &syntaxError{
				offset: maxLine,
				reason: fmt.Sprintf("the line is longer than %d bytes", maxLine),
				err:    bufio.ErrTooLong,
			})
		}
		var e Entry
		dropped, ok, bad := parseLine(line, &e, &r.names)
		if bad != nil {
			return Entry{}, r.fail(line, bad)
		}
		r.dropped += dropped
		if ok {
			return e, nil
		}
	}
}

func (r *Reader) fail(line []byte, bad *syntaxError) *LineError {
	return &LineError{
		File:   r.name,
		Line:   r.lines.n,
		Col:    bad.offset + 1,
		Text:   shorten(line),
		Reason: bad.reason,
		Err:    bad.err,
	}
}

// names keeps the names of channels, so that a log of a million lines does not
// make a million strings. It keeps maxNames of them, 64 kB; a log with more of
// them is no log of a car and pays for its own.
type names struct {
	last string
	seen map[string]string
}

const maxNames = 256

func (n *names) intern(b []byte) string {
	if n.last == string(b) { // compares without allocating, like the lookup below
		return n.last
	}
	name, ok := n.seen[string(b)]
	if !ok {
		name = string(b)
		if n.seen == nil {
			n.seen = make(map[string]string)
		}
		if len(n.seen) < maxNames {
			n.seen[name] = name
		}
	}
	n.last = name
	return name
}
