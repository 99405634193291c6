package canlog

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
)

// blfContents is the stream of what is in the containers of a BLF file. It
// unpacks them while they are read, so that neither their size nor the one
// that they claim takes memory.
type blfContents struct {
	file string
	in   *bufio.Reader // the file
	pos  int64         // in the file, of the object that comes next or is open

	body   section   // of the container that is open
	data   io.Reader // what is in it; nil if none is open
	tells  int64     // how many bytes it says to hold
	left   int64     // of these, the ones that were not read yet
	size   int64     // of the whole container in the file
	unzip  io.ReadCloser
	total  int64  // bytes of contents that were read
	marks  []mark // where the contents come from, in order
	others uint64 // objects that are no container
	err    error  // the end, or what is wrong; nothing follows
}

// A mark tells that the contents from some place on are in the container at
// some place of the file.
type mark struct{ from, at int64 }

// Read reads contents of one container.
func (c *blfContents) Read(p []byte) (int, error) {
	for c.err == nil {
		if c.data == nil {
			c.err = c.open()
			continue
		}
		n, err := c.data.Read(p)
		if int64(n) > c.left {
			c.err = c.fail("the container holds more than the %d bytes that it tells", c.tells)
			n = int(c.left)
		} else if err != nil {
			c.err = c.close(err, c.left-int64(n))
		}
		c.left -= int64(n)
		c.total += int64(n)
		if n > 0 {
			return n, nil
		}
	}
	return 0, c.err
}

// open opens the next container.
func (c *blfContents) open() error {
	for {
		gap, err := findObject(c.in)
		c.pos += int64(gap)
		if err != nil {
			return c.wrap(err)
		}
		base, err := c.in.Peek(blfBaseSize)
		if err != nil {
			return c.wrap(err)
		}
		c.size = int64(little.Uint32(base[8:]))
		kind := little.Uint32(base[12:])
		switch {
		case c.size < blfBaseSize:
			return c.fail("an object of %d bytes, less than its header", c.size)
		case kind != blfTypeContainer:
			c.others++
			if _, err := discard(c.in, c.size, nil); err != nil {
				return c.wrap(err)
			}
			c.pos += c.size
			continue
		case c.size < blfBaseSize+blfContainer:
			return c.fail("a container of %d bytes, less than its header", c.size)
		}
		header, err := c.in.Peek(blfBaseSize + blfContainer)
		if err != nil {
			return c.wrap(noEOF(err))
		}
		method := little.Uint16(header[blfBaseSize:])
		c.tells = int64(little.Uint32(header[blfBaseSize+8:]))
		c.left = c.tells
		c.in.Discard(len(header)) // it is in the buffer
		c.body = section{in: c.in, left: c.size - int64(len(header))}
		c.mark()
		switch method {
		case blfPlain:
			c.data = &c.body
			return nil
		case blfZlib:
			if err := c.openZlib(); err != nil {
				return c.failWith(noEOF(err), "a container that is not compressed with zlib: %v", err)
			}
			c.data = c.unzip
			return nil
		}
		return c.fail("a container with the unknown compression %d", method)
	}
}

func (c *blfContents) openZlib() (err error) {
	if c.unzip == nil {
		c.unzip, err = zlib.NewReader(&c.body)
		return err
	}
	return c.unzip.(zlib.Resetter).Reset(&c.body, nil)
}

// close ends the container that is open, whose data end with err while they
// should be left bytes more.
func (c *blfContents) close(err error, left int64) error {
	plain := c.data == io.Reader(&c.body)
	c.data = nil
	switch {
	case err != io.EOF && !plain && (c.body.err == nil || c.body.err == io.ErrUnexpectedEOF):
		return c.failWith(noEOF(err), "the data of the container: %v", err)
	case err != io.EOF: // of the file
		return c.wrap(c.body.err)
	case left > 0:
		return c.fail("the container holds %d bytes less than it tells", left)
	}
	if _, err := discard(c.in, c.body.left, nil); err != nil {
		return c.wrap(err)
	}
	c.pos += c.size
	return nil
}

func (c *blfContents) mark() {
	m := mark{from: c.total, at: c.pos}
	if n := len(c.marks); n > 0 && c.marks[n-1].from == m.from {
		c.marks[n-1] = m // that container was empty
		return
	}
	c.marks = append(c.marks, m)
}

// forget drops the marks of containers that end before the contents at pos.
func (c *blfContents) forget(pos int64) {
	n := 0
	for n+1 < len(c.marks) && c.marks[n+1].from <= pos {
		n++
	}
	if n > 0 {
		c.marks = c.marks[:copy(c.marks, c.marks[n:])]
	}
}

// wrap makes an error of the reading below one with its place.
func (c *blfContents) wrap(err error) error {
	switch err {
	case io.EOF:
		return err
	case errNoObject:
		return c.fail("no object, which begins with %q", blfMark)
	case io.ErrUnexpectedEOF:
		return c.failWith(err, "the file ends in the middle of an object")
	}
	return fmt.Errorf("canlog: %s: read: %w", position(c.file, int(c.pos)), err)
}

func (c *blfContents) fail(format string, args ...any) error {
	return c.failWith(nil, format, args...)
}

func (c *blfContents) failWith(err error, format string, args ...any) error {
	return &ObjectError{File: c.file, Offset: c.pos, Inner: -1, Reason: fmt.Sprintf(format, args...), Err: err, last: true}
}

// findObject finds the next object, between whose mark and the one before may
// be bytes of padding, and passes them over. What is behind the last one is
// io.EOF, or io.ErrUnexpectedEOF if it looks like the begin of an object.
func findObject(in *bufio.Reader) (gap int, err error) {
	next, err := in.Peek(8)
	gap = bytes.Index(next, []byte(blfMark))
	switch {
	case gap >= 0:
		_, err := in.Discard(gap)
		if err == nil {
			_, err = in.Peek(blfBaseSize)
		}
		return gap, noEOF(err)
	case err == nil:
		return 0, errNoObject
	case err == io.EOF && len(bytes.Trim(next, "\x00")) > 0:
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// errNoObject is returned where an object should be.
var errNoObject = errors.New("no object")

// discard passes n bytes over and tells of each part how long it was.
func discard(in *bufio.Reader, n int64, passed func(int)) (int64, error) {
	for left := n; left > 0; {
		part, err := in.Discard(int(min(left, blockSize/2)))
		left -= int64(part)
		if passed != nil {
			passed(part)
		}
		if err != nil {
			return n - left, noEOF(err)
		}
	}
	return n, nil
}

// noEOF returns err, or io.ErrUnexpectedEOF if it is io.EOF.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A section is the next left bytes of in. If in has less, that is
// io.ErrUnexpectedEOF.
type section struct {
	in   *bufio.Reader
	left int64
	err  error // of in
}

func (s *section) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.in.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	s.err = noEOF(err)
	return n, s.err
}

func (s *section) ReadByte() (byte, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	b, err := s.in.ReadByte()
	if err == nil {
		s.left--
	}
	s.err = noEOF(err)
	return b, s.err
}
