package canlog

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// maxLine is the most bytes that a line may have. A frame with 64 bytes of
	// data and the longest name of a channel needs about 450.
	maxLine = 4096
	// blockSize is how much is read at once.
	blockSize = 64 << 10
)

// lines parts an input into lines in a buffer of constant size.
type lines struct {
	in   *bufio.Reader
	n    int   // the number of the line that next returned, from 1
	rest bool  // the end of that line has not been read yet
	err  error // of in, or io.EOF; no line follows
}

func newLines(r io.Reader) lines {
	return lines{in: bufio.NewReaderSize(r, blockSize)}
}

// next returns the next line without its end; it is valid until the next call.
// If the line is longer than maxLine, the part that is returned is so too, and
// the rest of it is passed over. After a read error, of which n is the line,
// next returns the error again.
func (l *lines) next() ([]byte, error) {
	// The rest of a long line is passed over only now, so that its error does
	// not have to wait for an end that may be far off.
	for l.rest && l.err == nil {
		_, err := l.in.ReadSlice('\n')
		l.done(err)
	}
	if l.err != nil {
		return nil, l.err
	}
	l.n++
	line, err := l.in.ReadSlice('\n')
	l.done(err)
	if l.err != nil && (l.err != io.EOF || len(line) == 0) {
		return nil, l.err
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// done notes what ReadSlice returned.
func (l *lines) done(err error) {
	l.rest = errors.Is(err, bufio.ErrBufferFull)
	if !l.rest {
		l.err = err
	}
}
