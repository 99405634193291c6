package canlog

import (
	"bufio"
	"fmt"
	"io"
)

// blfLog is the source of BLF logs.
type blfLog struct {
	channels numbers
	contents blfContents
	in       *bufio.Reader // the contents
	pos      int64         // in the contents
	begun    bool
	start    int64 // in nanoseconds since 1970, from which times count
	others   uint64
	err      error // the end, or what is wrong; nothing follows
}

func newBLF(r io.Reader, name string, o *ReaderOptions) *blfLog {
	b := &blfLog{channels: numbers{given: o.Channels}}
	b.contents.file = name
	b.contents.in = bufio.NewReaderSize(r, blockSize)
	b.in = bufio.NewReaderSize(&b.contents, blockSize)
	return b
}

func (b *blfLog) dropped() uint64 { return 0 }
func (b *blfLog) skipped() uint64 { return b.others + b.contents.others }
func (b *blfLog) where() string   { return position(b.contents.file, int(b.contents.pos)) }

func (b *blfLog) next() (Entry, error) {
	if b.err != nil {
		return Entry{}, b.err
	}
	if !b.begun {
		b.begun = true
		if err := b.header(); err != nil {
			if last(err) {
				b.err = err
			}
			return Entry{}, err
		}
	}
	for {
		e, ok, err := b.object()
		if err != nil && last(err) {
			b.err = err
		}
		if ok || err != nil {
			return e, err
		}
	}
}

// header reads the header of the file.
func (b *blfLog) header() error {
	c := &b.contents
	h, err := c.in.Peek(blfHeaderLeast)
	if n := min(len(h), 4); string(h[:n]) != "LOGG"[:n] {
		return c.fail("no BLF file, which begins with %q", "LOGG")
	}
	if err != nil {
		return c.wrap(noEOF(err))
	}
	size := int64(little.Uint32(h[4:]))
	if size < blfHeaderLeast {
		return c.fail("a header of %d bytes, want %d at least", size, blfHeaderLeast)
	}
	started := systemTime(h[40:56])
	if _, err := discard(c.in, size, nil); err != nil {
		return c.wrap(err)
	}
	c.pos = size
	ns, ok := started.nanoseconds()
	if !ok {
		return &ObjectError{File: c.file, Offset: 40, Inner: -1,
			Reason: "the start is no time from 1970 to 2262-04-11; times count from 1970 now"}
	}
	b.start = ns
	return nil
}

// object reads the next object of the contents.
func (b *blfLog) object() (e Entry, ok bool, err error) {
	gap, err := findObject(b.in)
	b.passed(gap)
	if err != nil {
		return e, false, b.wrap(err)
	}
	base, err := b.in.Peek(blfBaseSize)
	if err != nil {
		return e, false, b.wrap(noEOF(err))
	}
	size := int64(little.Uint32(base[8:]))
	if size < blfBaseSize {
		return e, false, b.fail(true, nil, "an object of %d bytes, less than its header", size)
	}
	least := blfLeast(little.Uint32(base[12:]), little.Uint16(base[6:]))
	if least == 0 {
		b.others++
		return e, false, b.wrap(b.pass(size))
	}
	reason := ""
	switch {
	case size < least:
		reason = fmt.Sprintf("an object of %d bytes, want %d at least of this type", size, least)
	case size > blfMaxObject:
		reason = fmt.Sprintf("an object of %d bytes, much more than a CAN frame needs", size)
	default:
		object, err := b.in.Peek(int(size))
		if err != nil {
			return e, false, b.wrap(noEOF(err))
		}
		reason = b.frame(object, &e)
	}
	if reason != "" {
		err = b.fail(false, nil, "%s", reason)
		if perr := b.pass(size); perr != nil {
			b.err = b.wrap(perr) // comes next
		}
		return Entry{}, false, err
	}
	return e, true, b.wrap(b.pass(size))
}

// pass passes n bytes of the contents over.
func (b *blfLog) pass(n int64) error {
	_, err := discard(b.in, n, b.passed)
	return err
}

func (b *blfLog) passed(n int) {
	b.pos += int64(n)
	b.contents.forget(b.pos)
}

func (b *blfLog) wrap(err error) error {
	switch err {
	case errNoObject:
		return b.fail(true, nil, "no object, which begins with %q", blfMark)
	case io.ErrUnexpectedEOF:
		return b.fail(true, err, "the file ends in the middle of an object")
	}
	return err // nil, or of the containers with its place, or the end
}

func (b *blfLog) fail(last bool, err error, format string, args ...any) error {
	e := &ObjectError{File: b.contents.file, Reason: fmt.Sprintf(format, args...), Err: err, last: last}
	if len(b.contents.marks) > 0 {
		m := b.contents.marks[0]
		e.Offset, e.Inner = m.at, b.pos-m.from
	}
	return e
}
