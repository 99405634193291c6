package canlog

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"os"
	"sync/atomic"
	"time"
)

// ReaderOptions are the options of [NewReaderWith] and [OpenWith]. The zero
// value, like nil, is ready for use.
type ReaderOptions struct {
	// Format is the format of the log. Default: Auto.
	Format Format
	// Channel is the name of the channel of all entries of a CSV log, which
	// does not tell it. Default: "can0".
	Channel string
	// Channels are the names of channels in formats that have numbers for them
	// (ASC, BLF, TRC): number 1 is the first of them. Numbers beyond them are
	// named "can0" for 1, "can1" for 2, as python-can does it, and number 0 is
	// "can". Default: none.
	Channels []string
	// Location is where the dates in an ASC log count, which do not tell their
	// time zone. In one with summer time an hour of the year is there twice, and
	// a log that begins in it can be off by an hour: time.UTC has none of that.
	// Default: time.Local.
	Location *time.Location
}

// A Reader reads the entries of a log. It is not safe for concurrent use,
// but for Progress and Close.
type Reader struct {
	src    source
	file   *counted     // nil if the Reader does not come from Open
	close  func() error // nil if there is nothing to close
	closed atomic.Bool
}

// A source is a log in one of the formats.
type source interface {
	// next returns the next entry, an error that costs one entry or ends the
	// log (see last), or io.EOF.
	next() (Entry, error)
	// where returns the place in the log that was read last.
	where() string
	counters
}

// NewReader returns a Reader of the candump log r. Errors give name as the name
// of the file; it may be empty.
//
// The Reader reads ahead, but hands out each entry as soon as its line is
// complete, so that it can follow a pipe.
func NewReader(r io.Reader, name string) *Reader {
	return NewReaderWith(r, name, nil)
}

// NewReaderWith is NewReader for a log in any format, which the options tell.
// Nil options are the defaults. An unknown Format is taken for [Candump].
func NewReaderWith(r io.Reader, name string, o *ReaderOptions) *Reader {
	if o == nil {
		o = &ReaderOptions{}
	}
	switch o.Format {
	case ASC:
		return &Reader{src: newText(r, name, newASC(o))}
	case BLF:
		return &Reader{src: newBLF(r, name, o)}
	case CSV:
		return &Reader{src: newText(r, name, &csvLog{channel: cmp.Or(o.Channel, "can0")})}
	case TRC:
		return &Reader{src: newText(r, name, newTRC(o))}
	default:
		return &Reader{src: newText(r, name, &candump{})}
	}
}

// Entries returns an iterator over the entries of the log, in the order of the
// file. A line that cannot be read comes as a [*LineError] with a zero Entry,
// and the iteration goes on with the next line if the loop does; of a BLF log
// an object comes as an [*ObjectError] in the same way, if it is clear where
// the next one begins. An error of the underlying reader names file and line
// and is the last of the iteration.
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
			if err != nil && last(err) {
				return
			}
		}
	}
}

// last reports whether nothing can be read behind err.
func last(err error) bool {
	switch e := err.(type) {
	case *LineError:
		return false
	case *ObjectError:
		return e.last
	}
	return true
}

// Dropped returns how many frames the one who wrote the log has lost,
// according to the DROPCOUNT lines of a candump log among those read so far.
// The other formats do not tell.
func (r *Reader) Dropped() uint64 { return r.src.dropped() }

// Skipped returns how many lines or objects read so far were passed over as
// they tell of something else than a CAN frame, or in a way that the Reader
// does not know: statistics, events of other buses, markers. Comments and the
// lines of a header do not count. There are none in a candump log, of which
// such a line is an error.
func (r *Reader) Skipped() uint64 { return r.src.skipped() }

// Progress returns how many bytes of the file have been read, which runs ahead
// of the entries by a buffer, and how many it had when it was opened, both as
// they are in the file, compressed or not. It is for a Reader that comes from
// [Open]: otherwise, and where the size is not known, as of a pipe, they are 0.
// It may be called at any time from any goroutine.
func (r *Reader) Progress() (read, size int64) {
	if r.file == nil || r.file.size == 0 {
		return 0, 0
	}
	return r.file.read.Load(), r.file.size
}

// Close ends the reading, and closes the file if the Reader comes from [Open].
// It may be called more than once, from any goroutine; later calls do nothing. On
// Linux a read that waits for more of a pipe ends with an error then.
func (r *Reader) Close() error {
	if r.closed.Swap(true) || r.close == nil {
		return nil
	}
	return r.close()
}

// next returns the next entry, io.EOF, or an error with its place.
func (r *Reader) next() (Entry, error) {
	if r.closed.Load() {
		return Entry{}, fmt.Errorf("canlog: %s: read: %w", r.src.where(), os.ErrClosed)
	}
	return r.src.next()
}
