package main

import (
	"encoding/binary"
	"fmt"

	"github.com/canhub-go/canhub/hub"
)

// A job is what every contender has to do: publishers send messages, and every
// subscriber receives all that it wants, none lost, none twice, those of one
// publisher in the order in which it sent them.
type job struct {
	publishers  int // at most maxPublishers
	subscribers int

	filtered bool // every second subscriber wants only the even identifiers
	selects  bool // subscribers receive in a select with a second case
	paired   bool // subscriber n wants only what publisher n sends

	// What the select loops also watch: each a chan of its own, as a ticker is. All
	// of them on one chan would fight for its lock, and that would be measured.
	// They are never closed.
	others []chan struct{}
}

const maxPublishers = 64

// step is the distance between two messages of one publisher that s wants.
func (j *job) step(s int) uint64 {
	if j.filtered && s%2 == 1 {
		return 2
	}
	return 1
}

// sources is how many publishers each subscriber receives from.
func (j *job) sources() uint64 {
	if j.paired {
		return 1
	}
	return uint64(j.publishers)
}

// stamp makes m the nth message of publisher p: n and p are its data, and its
// identifier is even when n is.
func stamp(m *hub.Message, p int, n uint64) {
	m.ID = uint32(n & 0x7FF)
	m.Len = 8
	binary.LittleEndian.PutUint64(m.Data[:8], uint64(p)<<56|n)
}

// wanted reports whether m is for a subscriber of the given step, for contenders
// that have no filters of their own.
func wanted(m *hub.Message, step uint64) bool { return step == 1 || m.ID&1 == 0 }

// A checker looks at every message that one subscriber receives. Its cost is a
// part of every cell, also of the bare one.
type checker struct {
	next [maxPublishers]uint64 // the data of the next message of each publisher
	step uint64
	left uint64 // messages still to come
	bad  bool   // a message came that should not have come
	got  uint64 // its data
}

func newChecker(j *job, s int) *checker {
	c := &checker{step: j.step(s)}
	for p := range c.next {
		c.next[p] = uint64(p) << 56
	}
	return c
}

// see takes note of m and reports whether to stop: m was the last to come, or
// the first wrong one. It is small enough to be inlined.
func (c *checker) see(m *hub.Message) bool {
	w := binary.LittleEndian.Uint64(m.Data[:8])
	next := &c.next[w>>56%maxPublishers]
	if w != *next {
		c.bad, c.got = true, w
		return true
	}
	*next += c.step
	c.left--
	return c.left == 0
}

// seeAll is see for several messages. There must be none behind the last.
func (c *checker) seeAll(batch []hub.Message) (done bool, err error) {
	for i := range batch {
		if c.see(&batch[i]) {
			if more := len(batch) - 1 - i; more > 0 && !c.bad {
				err = fmt.Errorf("%d messages behind the last", more)
			}
			return true, err
		}
	}
	return false, nil
}

// err tells what was wrong when the subscriber stopped.
func (c *checker) err() error {
	if c.left == 0 {
		return nil
	}
	if !c.bad {
		return fmt.Errorf("the stream ended with %d messages missing", c.left)
	}
	const n = 1<<56 - 1
	p := c.got >> 56
	return fmt.Errorf("received message %d of publisher %d, want %d: lost, twice or out of order", c.got&n, p, c.next[p%maxPublishers]&n)
}

const encodedSize = 88

// encode and decode are for contenders that carry bytes: 96 of them, as many as
// a hub.Message has.
func encode(b []byte, m *hub.Message) {
	_ = b[encodedSize-1]
	binary.LittleEndian.PutUint32(b, m.ID)
	b[4], b[5] = byte(m.Flags), m.Len
	binary.LittleEndian.PutUint64(b[8:], uint64(m.Timestamp))
	binary.LittleEndian.PutUint64(b[16:], m.Seq)
	copy(b[24:encodedSize], m.Data[:])
}

func decode(m *hub.Message, b []byte) {
	_ = b[encodedSize-1]
	m.ID = binary.LittleEndian.Uint32(b)
	m.Flags, m.Len = hub.Flags(b[4]), b[5]
	m.Timestamp = int64(binary.LittleEndian.Uint64(b[8:]))
	m.Seq = binary.LittleEndian.Uint64(b[16:])
	copy(m.Data[:], b[24:encodedSize])
}
