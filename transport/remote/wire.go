package remote

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// A wire is the network connection under a WebSocket. The WebSocket library
// reads from it, and writes control frames into it. Data frames are written
// beside the library, many at once, for it makes a system call for each.
//
// Once somebody has written a CLOSE no more frames go out, and once a write has
// failed nothing does: part of a frame may be out, and the other side would take
// what follows for the rest of it.
type wire struct {
	net.Conn

	client bool          // mask what is sent
	single bool          // one frame per write
	wait   time.Duration // how long a write may take, or 0: no limit

	// For reading, and so for one goroutine.
	first time.Time     // when the first message must have come, or zero
	quiet time.Duration // how long the other side may be silent, or 0: no limit
	ping  bool          // and is then pinged
	watch *closeWatch   // or nil

	pen  chan struct{} // holds the token of who writes; never closed
	shut bool          // a CLOSE went out; of who has the pen, and so is
	torn error         // why a write has failed
	last atomic.Int64  // when all that is written must be out, in ns since 1970, or 0
}

const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	final    = 0x80

	// haste is how long all writes may take once all is to end.
	haste = time.Second
)

var errSilent = errors.New("the other side is silent")

// Write is for the library: p is one control frame, or a part of the HTTP head.
func (w *wire) Write(p []byte) (int, error) {
	w.pen <- struct{}{}
	defer func() { <-w.pen }()
	if len(p) > 0 && p[0] == final|opClose {
		w.shut = true
	}
	return w.write(p)
}

// send writes whole frames.
func (w *wire) send(frames []byte) error {
	w.pen <- struct{}{}
	defer func() { <-w.pen }()
	for len(frames) > 0 {
		if w.shut {
			return net.ErrClosed
		}
		n := len(frames)
		if w.single {
			n = frameLen(frames)
		}
		if _, err := w.write(frames[:n]); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

func (w *wire) write(p []byte) (n int, err error) {
	if w.torn != nil {
		return 0, w.torn
	}
	defer func() { w.torn = err }()
	if w.wait > 0 {
		w.SetWriteDeadline(time.Now().Add(w.wait))
	}
	if last := w.last.Load(); last != 0 {
		w.SetWriteDeadline(time.Unix(0, last))
	}
	return w.Conn.Write(p)
}

// hurry bounds what is being written, and is to be written from now on.
func (w *wire) hurry() {
	last := time.Now().Add(haste)
	w.last.Store(last.UnixNano()) // first: a write looks at it after it has set its own
	w.SetWriteDeadline(last)
}

// Read is for the library. It pings a silent client.
func (w *wire) Read(p []byte) (int, error) {
	for pinged := false; ; pinged = true {
		switch {
		case !w.first.IsZero():
			w.SetReadDeadline(w.first)
		case w.quiet > 0:
			w.SetReadDeadline(time.Now().Add(w.quiet))
		}
		n, err := w.Conn.Read(p)
		if w.watch != nil {
			w.watch.see(p[:n])
		}
		switch {
		case n > 0 || !errors.Is(err, os.ErrDeadlineExceeded):
			return n, err
		case !w.ping || pinged || !w.first.IsZero():
			return 0, errSilent
		}
		if err := w.send([]byte{final | opPing, 0}); err != nil {
			return 0, err
		}
	}
}

// began says that the first message has come.
func (w *wire) began() {
	w.first = time.Time{}
	w.SetReadDeadline(time.Time{})
}

// appendMessage appends the frame that carries a message.
func (w *wire) appendMessage(dst []byte, opcode byte, payload []byte) []byte {
	if !w.client {
		return append(appendHead(dst, opcode, len(payload), 0), payload...)
	}
	return appendMasked(dst, opcode, payload, rand.Uint32())
}

func appendHead(dst []byte, opcode byte, n int, masked byte) []byte {
	dst = append(dst, final|opcode)
	switch {
	case n < 126:
		return append(dst, masked|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, masked|126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, masked|127), uint64(n))
}

func appendMasked(dst []byte, opcode byte, payload []byte, key uint32) []byte {
	dst = appendHead(dst, opcode, len(payload), 0x80)
	dst = binary.BigEndian.AppendUint32(dst, key)
	mask := dst[len(dst)-4:]
	for i, b := range payload {
		dst = append(dst, b^mask[i&3])
	}
	return dst
}

// frameLen returns the length of the first frame of p, which is whole.
func frameLen(p []byte) int {
	n, head := int(p[1]&0x7F), 2
	switch n {
	case 126:
		n, head = int(binary.BigEndian.Uint16(p[2:])), 4
	case 127:
		n, head = int(binary.BigEndian.Uint64(p[2:])), 10
	}
	if p[1]&0x80 != 0 {
		head += 4
	}
	return head + n
}
