package canlog

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/canhub-go/canhub/hub"
)

// WriterOptions are the options of [NewWriter] and [Create]. The zero value,
// like nil, gives the lines of candump -L.
type WriterOptions struct {
	// Nanoseconds writes times with nine decimals, as candump -N does, where
	// otherwise six are written and the rest is cut off. Default: false.
	Nanoseconds bool
	// Direction writes R or T behind the frame, as candump -x does, of entries
	// whose Dir is known. Default: false.
	Direction bool
	// ChannelWidth is the number of bytes to which the names of channels are
	// aligned to the right, at most 255. It grows with the longest name
	// written, as candump does it, so it is needed only to have the first lines
	// aligned too. If it is negative, names are not aligned. Default: 0.
	ChannelWidth int
}

// A Writer writes a candump log. It is not safe for concurrent use.
type Writer struct {
	o      WriterOptions
	width  int
	out    *bufio.Writer
	line   []byte      // the line that Write makes
	m      hub.Message // the message that Write checks, see there
	flush  func() error
	close  func() error
	err    error // the first write error; sticky
	closed bool
}

// NewWriter returns a Writer to w. It is buffered: call [Writer.Flush] at the
// end. Nil options are the defaults.
//
// Each write to w holds whole lines, so that whoever reads along, or finds the
// log after a crash, sees no half ones.
func NewWriter(w io.Writer, o *WriterOptions) *Writer {
	n := &Writer{out: bufio.NewWriterSize(w, blockSize)}
	if o != nil {
		n.o = *o
	}
	n.width = min(n.o.ChannelWidth, maxChannel)
	return n
}

// Write adds e to the log. It refuses, with an error that matches
// [ErrRefused], what could not be read back: a message that [hub.Message]'s
// Validate refuses, a channel whose name is empty, too long, or holds white
// space or characters that cannot be printed, and an unknown Dir. Every other
// error is one of the underlying writer; all calls that follow return it
// again.
func (w *Writer) Write(e Entry) error {
	if w.err != nil {
		return w.err
	}
	if _, reason := checkChannel(e.Channel); reason != "" {
		return fmt.Errorf("%w: channel %q: %s", ErrRefused, e.Channel, reason)
	}
	if e.Dir > DirSent {
		return fmt.Errorf("%w: %v", ErrRefused, e.Dir)
	}
	// Validate is called on a copy in w, for the address of e.Message would
	// make e escape to the heap.
	w.m = e.Message
	if err := w.m.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	w.line = w.append(w.line[:0], &e)
	if len(w.line) > w.out.Available() {
		if err := w.out.Flush(); err != nil {
			return w.fail(err)
		}
	}
	if _, err := w.out.Write(w.line); err != nil {
		return w.fail(err)
	}
	return nil
}

// append appends the line of e, which has been checked, to b.
func (w *Writer) append(b []byte, e *Entry) []byte {
	t := uint64(w.m.Timestamp)
	b = append(b, '(')
	b = appendPadded(b, t/1e9, 10)
	b = append(b, '.')
	if w.o.Nanoseconds {
		b = appendPadded(b, t%1e9, 9)
	} else {
		b = appendPadded(b, t%1e9/1e3, 6)
	}
	b = append(b, ") "...)
	if w.width >= 0 {
		w.width = max(w.width, len(e.Channel))
		for range w.width - len(e.Channel) {
			b = append(b, ' ')
		}
	}
	b = append(b, e.Channel...)
	b = append(b, ' ')
	b, _ = w.m.AppendText(b) // the error is always nil
	if w.o.Direction {
		switch e.Dir {
		case DirReceived:
			b = append(b, " R"...)
		case DirSent:
			b = append(b, " T"...)
		}
	}
	return append(b, '\n')
}

// appendPadded appends v with zeros in front of it up to width digits.
func appendPadded(b []byte, v uint64, width int) []byte {
	var digits [20]byte
	s := strconv.AppendUint(digits[:0], v, 10)
	for range width - len(s) {
		b = append(b, '0')
	}
	return append(b, s...)
}

// Flush writes what is buffered to the underlying writer. Behind the
// compression of [Create] too, a reader has everything then.
func (w *Writer) Flush() error {
	if w.err != nil {
		return w.err
	}
	err := w.out.Flush()
	if err == nil && w.flush != nil {
		err = w.flush()
	}
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// Close flushes the log, and closes the file if the Writer comes from
// [Create]. It returns the first error that the log has met, whichever call it
// was: after a Close without error the log is complete. Later calls do nothing
// and return the same.
func (w *Writer) Close() error {
	if w.closed {
		if w.err == errWriterClosed {
			return nil
		}
		return w.err
	}
	w.closed = true
	err := w.Flush()
	if w.close != nil {
		if cerr := w.close(); err == nil && cerr != nil {
			err = w.fail(cerr)
		}
	}
	if w.err == nil {
		w.err = errWriterClosed
	}
	return err
}

// errWriterClosed is the sticky error of a Writer that was closed in good
// order.
var errWriterClosed = fmt.Errorf("canlog: write: %w", os.ErrClosed)

func (w *Writer) fail(err error) error {
	w.err = fmt.Errorf("canlog: write: %w", err)
	return w.err
}
