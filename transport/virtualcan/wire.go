package virtualcan

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
)

const (
	// smallBuffer is how large a buffer of a quiet connection may be.
	smallBuffer = 4 << 10
	// maxWrite is about how many bytes are written at once.
	maxWrite = 4096 * packetLen
)

// A wire is a connection that carries packets, with bounded waits. One goroutine
// reads and one writes.
type wire struct {
	net.Conn
	readWait  time.Duration             // how long the rest of a packet may take, or 0: no limit
	writeWait time.Duration             // how long the other side may take nothing, or 0: no limit
	mu        sync.Mutex                // for hurry
	last      atomic.Pointer[time.Time] // when all is to end, if that is known

	// For reading.
	buf   []byte
	p     []byte    // in buf: what has come and was not looked at
	until time.Time // when the packet that p begins must be there, or zero
}

// next reads the next packet into m if all of it has come. It does not wait. A
// packet that is no frame is a *frameError, after which it goes on; any other
// error is an end.
func (w *wire) next(m *hub.Message) (ok bool, err error) {
	n, err := split(w.p)
	if err != nil || n == 0 || n > len(w.p) {
		return false, err
	}
	packet := w.p[:n]
	w.p = w.p[n:]
	w.until = time.Time{}
	if err := decodePacket(m, packet); err != nil {
		return false, &frameError{err}
	}
	return true, nil
}

// A frameError is a packet that is no frame.
type frameError struct{ error }

// fill waits for bytes behind those that are there, which next has found to be
// no whole packet. It grows the buffer by what has come, not by what is
// announced.
func (w *wire) fill() error {
	full := w.buf != nil && cap(w.p) == len(w.p)
	if w.buf == nil || full && len(w.buf) < maxPacket {
		w.buf = make([]byte, min(max(2*len(w.buf), smallBuffer), maxPacket))
	}
	w.p = w.buf[:copy(w.buf, w.p)]
	if len(w.p) > 0 && w.readWait > 0 && w.until.IsZero() {
		w.until = time.Now().Add(w.readWait)
	}
	w.deadline(w.SetReadDeadline, w.until)
	n, err := w.Read(w.buf[len(w.p):])
	w.p = w.buf[:len(w.p)+n]
	switch {
	case n > 0:
		return nil
	case err == io.EOF && len(w.p) > 0:
		return fmt.Errorf("%w in a packet", io.ErrUnexpectedEOF)
	case errors.Is(err, os.ErrDeadlineExceeded) && !w.ending():
		return fmt.Errorf("the rest of a packet did not come within %v", w.readWait)
	}
	return err
}

// send writes p, however long that takes, while the other side takes some of it
// again and again.
func (w *wire) send(p []byte) error {
	for {
		var t time.Time
		if w.writeWait > 0 {
			t = time.Now().Add(w.writeWait)
		}
		w.deadline(w.SetWriteDeadline, t)
		n, err := w.Write(p)
		p = p[n:]
		switch {
		case err == nil:
			w.deadline(w.SetWriteDeadline, time.Time{}) // or attempts would fail later
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded) || w.ending():
			return err
		case n == 0:
			return fmt.Errorf("nothing was taken for %v", w.writeWait)
		}
	}
}

// deadline sets one of the deadlines to t, or to when all is to end.
func (w *wire) deadline(set func(time.Time) error, t time.Time) {
	set(t)
	if last := w.last.Load(); last != nil {
		set(*last)
	}
}

// hurry bounds what is being read and written, and is to be from now on. Of
// several bounds the first to end counts.
func (w *wire) hurry(d time.Duration) {
	t := time.Now().Add(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.last.Load(); last == nil || t.Before(*last) {
		w.last.Store(&t) // first: the others look at it after they have set their own
		w.SetDeadline(t)
	}
}

func (w *wire) ending() bool { return w.last.Load() != nil }

// closeWrite tells the other side that nothing more comes.
func (w *wire) closeWrite() {
	if c, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	} else {
		w.Conn.Close()
	}
}
