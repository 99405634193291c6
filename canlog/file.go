package canlog

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// Open opens the log file at path for reading; close the Reader when done. The
// end of the name tells the format, in either case: ".log" is a candump log,
// ".asc", ".blf", ".csv" and ".trc" are those of [Format], and with ".gz" behind
// it, as in ".log.gz", all but BLF are compressed with gzip. Any other name is
// an error that lists these; for such a file use [OpenWith].
//
// A compressed file that was cut off gives the entries in front of the cut and
// then an error.
func Open(path string) (*Reader, error) { return OpenWith(path, nil) }

// OpenWith is Open with options. If they name a Format, the end of path tells
// only whether the file is compressed. Nil options are the defaults.
func OpenWith(path string, o *ReaderOptions) (*Reader, error) {
	var with ReaderOptions
	if o != nil {
		with = *o
	}
	var zipped bool
	var err error
	if with.Format, zipped, err = formatOf(path, with.Format); err != nil {
		return nil, fmt.Errorf("canlog: open %s: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("canlog: %w", err)
	}
	in := &counted{in: f}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		in.size = info.Size()
	}
	if !zipped {
		r := NewReaderWith(in, path, &with)
		r.file, r.close = in, f.Close
		return r, nil
	}
	z, err := gzip.NewReader(in)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // an empty file is one that was cut off
	}
	if err != nil {
		f.Close() // read only: nothing can be lost
		return nil, fmt.Errorf("canlog: open %s: %w", path, err)
	}
	r := NewReaderWith(z, path, &with)
	r.file, r.close = in, f.Close
	return r, nil
}

// A counted counts what is read from a file.
type counted struct {
	in   io.Reader
	size int64 // of the file, 0 if it is not a regular one
	read atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// Create creates the log file at path, or empties it if it exists, in the
// format that [Open] finds for the same name, unless the options name another.
// Close the Writer when done, and mind its error: until then the log may not
// be complete.
func Create(path string, o *WriterOptions) (*Writer, error) {
	var with WriterOptions
	if o != nil {
		with = *o
	}
	var zipped bool
	var err error
	if with.Format, zipped, err = formatOf(path, with.Format); err != nil {
		return nil, fmt.Errorf("canlog: create %s: %w", path, err)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("canlog: %w", err)
	}
	if !zipped {
		w := NewWriter(f, &with)
		w.close = f.Close
		if blf, ok := w.enc.(*blfWriter); ok {
			w.close = func() error { return closeBLF(f, blf, w) }
		}
		return w, nil
	}
	z := gzip.NewWriter(f)
	w := NewWriter(z, &with)
	w.flush = z.Flush
	w.close = func() error {
		err := z.Close()
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return err
	}
	return w, nil
}

// closeBLF completes the header of the file, which tells its size, and closes
// it. What is no regular file, such as a pipe, cannot be changed any more.
func closeBLF(f *os.File, blf *blfWriter, w *Writer) error {
	var err error
	if info, serr := f.Stat(); serr == nil && info.Mode().IsRegular() && w.err == nil {
		_, err = f.WriteAt(blf.final(), 0)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
