package canlog

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Open opens the log file at path for reading; close the Reader when done. The
// end of the name tells the format, in either case: ".log" is a candump log,
// ".log.gz" one compressed with gzip. For a log in a file of another name, give
// [os.Open]'s file to [NewReader].
//
// A compressed file that was cut off gives the entries in front of the cut and
// then an error.
func Open(path string) (*Reader, error) {
	zipped, err := format(path)
	if err != nil {
		return nil, fmt.Errorf("canlog: open %s: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("canlog: %w", err)
	}
	if !zipped {
		r := NewReader(f, path)
		r.close = f.Close
		return r, nil
	}
	z, err := gzip.NewReader(f)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // an empty file is one that was cut off
	}
	if err != nil {
		f.Close() // read only: nothing can be lost
		return nil, fmt.Errorf("canlog: open %s: %w", path, err)
	}
	r := NewReader(z, path)
	r.close = f.Close
	return r, nil
}

// Create creates the log file at path, or empties it if it exists, in the
// format that [Open] finds for the same name. Close the Writer when done, and
// mind its error: until then the log may not be complete.
func Create(path string, o *WriterOptions) (*Writer, error) {
	zipped, err := format(path)
	if err != nil {
		return nil, fmt.Errorf("canlog: create %s: %w", path, err)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("canlog: %w", err)
	}
	if !zipped {
		w := NewWriter(f, o)
		w.close = f.Close
		return w, nil
	}
	z := gzip.NewWriter(f)
	w := NewWriter(z, o)
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

// format tells by the name of a file what is in it.
func format(path string) (zipped bool, err error) {
	name, zipped := strings.CutSuffix(strings.ToLower(path), ".gz")
	if !strings.HasSuffix(name, ".log") {
		return false, errors.New("unknown format: want a name that ends in .log or .log.gz")
	}
	return zipped, nil
}
