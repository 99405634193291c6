package canlog

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"time"
)

// WriterOptions are the options of [NewWriter] and [Create]. The zero value,
// like nil, gives the lines of candump -L.
type WriterOptions struct {
	// Format is the format of the log. Default: Auto.
	Format Format
	// Nanoseconds writes times to the nanosecond, as candump -N does, where
	// otherwise they are cut to the microsecond. Default: false.
	Nanoseconds bool
	// Direction writes R or T behind the frame of a candump log, as candump -x
	// does, of entries whose Dir is known. Default: false.
	Direction bool
	// ChannelWidth is the number of bytes to which the names of channels in a
	// candump log are aligned to the right, at most 255. It grows with the
	// longest name written, as candump does it, so it is needed only to have the
	// first lines aligned too. If it is negative, names are not aligned.
	// Default: 0.
	ChannelWidth int
	// Channels are the names of channels in formats that have numbers for them
	// (ASC, BLF, TRC): the first of them gets number 1. The number of a name that
	// is not among them is the one at its end, plus 1, as python-can does it: 1
	// for "can0", 2 for "vcan1". An entry of a channel without number, or with
	// that of another one, is refused. Default: none.
	Channels []string
	// Location is where the dates of an ASC log count, which do not tell their
	// time zone. In one with summer time an hour of the year is there twice, and
	// a log that begins in it can be off by an hour: time.UTC has none of that.
	// Default: time.Local.
	Location *time.Location
}

// A Writer writes a log. It is not safe for concurrent use.
type Writer struct {
	format Format
	enc    encoder
	out    *bufio.Writer
	line   []byte // the line that Write makes
	entry  Entry  // the one that Write checks, see there
	flush  func() error
	close  func() error
	err    error // the first write error; sticky
	closed bool
}

// An encoder makes one of the formats. All its methods append to b what is to
// be written.
type encoder interface {
	// append encodes e, a valid entry. If the format cannot hold it, append
	// tells the reason and changes nothing.
	append(b []byte, e *Entry) (with []byte, reason string)
	// flush encodes what append has kept back.
	flush(b []byte) []byte
	// end encodes what stands at the end of the log.
	end(b []byte) []byte
}

// NewWriter returns a Writer to w. It is buffered: call [Writer.Close] at the
// end, or [Writer.Flush], behind which only the last line of ASC is missing. Nil options are the
// defaults.
//
// Each write to w holds whole lines, or whole containers of BLF, so that whoever
// reads along, or finds the log after a crash, sees no half ones. An unknown
// Format is taken for [Candump].
func NewWriter(w io.Writer, o *WriterOptions) *Writer {
	if o == nil {
		o = &WriterOptions{}
	}
	n := &Writer{format: o.Format, out: bufio.NewWriterSize(w, blockSize)}
	switch o.Format {
	case ASC:
		n.enc = newASCWriter(o)
	case BLF:
		n.enc = newBLFWriter(o)
	case CSV:
		n.enc = &csvWriter{nanoseconds: o.Nanoseconds}
	case TRC:
		n.enc = &trcWriter{channels: numbers{given: o.Channels}, nanoseconds: o.Nanoseconds}
	default:
		n.format = Candump
		n.enc = newCandumpWriter(o)
	}
	return n
}

// Write adds e to the log. It refuses, with an error that matches
// [ErrRefused], what could not be read back: a message that [hub.Message]'s
// Validate refuses, a channel whose name is empty, too long, or holds white
// space or characters that cannot be printed, an unknown Dir, and what the
// format cannot hold, which the documentation of the package tells. Every other
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
	// A copy in w is checked and written, for the address of e would make it
	// escape to the heap.
	w.entry = e
	if err := w.entry.Message.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	line, reason := w.enc.append(w.line[:0], &w.entry)
	w.line = line
	if reason != "" {
		return fmt.Errorf("%w: %v: %s", ErrRefused, w.format, reason)
	}
	return w.put(line)
}

// put hands line on, in one piece with others or alone.
func (w *Writer) put(line []byte) error {
	if len(line) > w.out.Available() {
		if err := w.out.Flush(); err != nil {
			return w.fail(err)
		}
	}
	if _, err := w.out.Write(line); err != nil {
		return w.fail(err)
	}
	return nil
}

// Flush writes what is buffered to the underlying writer. Behind the
// compression of [Create] too, a reader has everything then.
func (w *Writer) Flush() error {
	if w.err != nil {
		return w.err
	}
	w.line = w.enc.flush(w.line[:0])
	if err := w.put(w.line); err != nil {
		return err
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
	if w.err == nil {
		w.line = w.enc.end(w.enc.flush(w.line[:0]))
		w.put(w.line) // Flush returns its error
	}
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
