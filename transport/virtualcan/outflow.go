package virtualcan

import (
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

const (
	// grace is how old a write may be before the client is one that does not keep
	// up. Until then the channel waits for it: all goroutines get to run in that
	// time, and no client is to lose messages only because one did not.
	grace = 5 * time.Millisecond
	// distrust is how long the channel does not wait for a client again for which
	// it has waited in vain.
	distrust = 250 * time.Millisecond
)

// An outflow holds packets for a client until they are written. One goroutine
// puts, and calls give, wait and end, and one takes and writes. As long as the
// network takes everything at once, give does all the work.
type outflow struct {
	limit   int           // how many bytes wait at most
	filled  chan struct{} // a token from give and end: look again; never closed
	emptied chan struct{} // a token from take: there is room; never closed
	attempt func(p []byte) int

	mu    sync.Mutex // for these; never held while waiting
	buf   []byte     // what waits
	begun []byte     // what was given in part, up to rest
	rest  int
	busy  bool      // who takes has something, or is about to
	since time.Time // since when that is being written
	spare []byte    // of a quiet client, for the next buf
	ended bool      // nothing more is put
	lost  bool      // nothing more is written

	// Of who puts.
	distrusted time.Time // until then nothing waits for room
	stopped    bool      // limit is raised for the last time
}

// newOutflow returns one for limit bytes. Attempt writes what can be written
// without waiting, and returns how much that was.
func newOutflow(limit int, attempt func(p []byte) int) *outflow {
	return &outflow{limit: limit, attempt: attempt, filled: make(chan struct{}, 1), emptied: make(chan struct{}, 1)}
}

// spaces are for packets to be written. What is larger is not used again.
var spaces = sync.Pool{New: func() any { return new([maxWrite]byte) }}

// smallSpace is how much a quiet client keeps.
const smallSpace = 2 << 10

// put adds the packets of messages until one has no room, or until one that the
// protocol cannot carry. It returns those that are left.
func (o *outflow) put(msgs []hub.Message) []hub.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost {
		return nil
	}
	n := len(o.buf)
	if size := min(n+len(msgs)*packetLen, o.limit); size > cap(o.buf) {
		o.grow(size)
	}
	b, msgs := appendPackets(o.buf[:n:min(cap(o.buf), o.limit)], msgs)
	o.buf = o.buf[:len(b)] // with all of its capacity, by which release knows it
	return msgs
}

// give has what was put written: right here, or by who takes, if that would wait or
// is at work anyway. It returns how many packets it has written itself.
func (o *outflow) give() (packets int) {
	o.mu.Lock()
	b := o.buf
	if o.busy || len(b) == 0 {
		o.mu.Unlock()
		return 0
	}
	o.buf = nil
	o.mu.Unlock()
	n := o.attempt(b)
	o.mu.Lock()
	defer o.mu.Unlock()
	if n == len(b) {
		o.release(b)
		return n / packetLen
	}
	o.begun, o.rest = b, n
	o.busy, o.since = true, time.Now()
	signal(o.filled)
	return n / packetLen
}

// grow makes room for size bytes.
func (o *outflow) grow(size int) {
	old := o.buf
	switch {
	case size <= cap(o.spare):
		o.buf, o.spare = o.spare[:0], nil
	case size <= smallSpace:
		o.buf = make([]byte, 0, smallSpace)
	case size <= maxWrite:
		o.buf = spaces.Get().(*[maxWrite]byte)[:0]
	default:
		o.buf = make([]byte, 0, max(size, min(2*size, o.limit)))
	}
	o.buf = append(o.buf, old...)
	o.release(old)
}

// release gives a buffer back.
func (o *outflow) release(b []byte) {
	switch cap(b) {
	case smallSpace:
		o.spare = b
	case maxWrite:
		spaces.Put((*[maxWrite]byte)(b[:maxWrite]))
	}
}

// full reports whether there is no room for one more, and since when the client is
// written to.
func (o *outflow) full() (full bool, since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.lost && len(o.buf)+packetLen > o.limit, o.since
}

// wait waits for room, as long as the client is worth it. It returns false if
// there is none. After stop it makes room once, for what the channel has given out
// already.
func (o *outflow) wait(stop <-chan struct{}) bool {
	full, since := o.full()
	if !full {
		return true
	}
	select {
	case <-stop:
		return o.stop()
	default:
	}
	now := time.Now()
	patience := grace - now.Sub(since)
	if patience <= 0 || now.Before(o.distrusted) {
		return false
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	for full { // or a token was an old one
		select {
		case <-o.emptied:
			full, _ = o.full()
		case <-t.C:
			o.distrusted = time.Now().Add(distrust)
			return false
		case <-stop:
			return o.stop()
		}
	}
	return true
}

func (o *outflow) stop() (room bool) {
	if o.stopped {
		return false
	}
	o.stopped = true
	o.limit += 2 * inHand * packetLen // a batch, and what waits behind it
	return true
}

// take returns what is to be written, from rest on, once there is something, and
// nothing at the end. What it returned before is written, and its memory is used
// again.
func (o *outflow) take(written []byte) (b []byte, rest int) {
	for {
		o.mu.Lock()
		o.release(written)
		written = nil
		if o.begun != nil {
			b, rest, o.begun = o.begun, o.rest, nil
		} else if o.busy || o.ended {
			b, o.buf, o.since = o.buf, nil, time.Now()
		}
		o.busy = len(b) > 0
		ended := o.ended
		o.mu.Unlock()
		switch {
		case len(b) > 0:
			signal(o.emptied)
			return b, rest
		case ended:
			return nil, 0
		}
		<-o.filled
	}
}

// end says that nothing more is put.
func (o *outflow) end() {
	o.mu.Lock()
	o.ended = true
	o.mu.Unlock()
	signal(o.filled)
}

// lose says that nothing more is written.
func (o *outflow) lose() {
	o.mu.Lock()
	o.lost, o.buf, o.spare = true, nil, nil
	o.mu.Unlock()
	signal(o.emptied)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
