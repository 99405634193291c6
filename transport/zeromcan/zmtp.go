package zeromcan

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// This file is what is needed of ZMTP 3.1, ZeroMQ's protocol on TCP: RFC 37 of
// rfc.zeromq.org, with the mechanism NULL.

const (
	// maxFrame is the longest frame that is read, ten times the longest that the
	// protocol needs. What claims to be longer ends the connection before any
	// memory is taken for it.
	maxFrame = 2048
	// maxParts is how many frames a message may have: a call has two, and one more
	// for each proxy that it came through.
	maxParts = 8

	// handshakeTime is how long a peer may take to say who it is, and writeTime
	// how long to take what it is sent.
	handshakeTime = 5 * time.Second
	writeTime     = 10 * time.Second
)

// Bits of the byte before each frame.
const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4
)

// greeting is the first that each side says: signature, version 3.1, mechanism,
// no server role (NULL has none), and nothing.
var greeting = []byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01NULL" + strings.Repeat("\x00", 16+1+31))

// errSilent is the end that a peer wanted in this case, by the TTL of its PING.
var errSilent = errors.New("nothing came within the time to live of a PING")

// A link is one ZMTP connection. One goroutine reads it; any may write whole
// frames, which net.Conn does not mix.
type link struct {
	net.Conn
	r     *bufio.Reader
	minor byte    // of the peer's version
	head  [8]byte // the length of the frame read last
	buf   []byte  // and its body
	whole []byte  // the parts of the message read last

	ttl  bool // the TTL of a PING counts
	ends bool // and is running
}

// open shakes hands on c as a socket of kind own with one of the kinds in peers.
// It leaves closing c to the caller, also after an error.
func open(c net.Conn, own string, peers ...string) (*link, error) {
	if err := c.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return nil, err
	}
	l := &link{Conn: c, r: bufio.NewReaderSize(c, maxFrame)}
	if _, err := c.Write(greeting); err != nil {
		return nil, err
	}
	// libzmq closes a connection where READY comes along with the greeting and
	// what follows it. Each step here waits for the peer's.
	if err := l.readGreeting(); err != nil {
		return nil, err
	}
	ready := property([]byte("\x05READY"), "Socket-Type", own)
	if own == "REQ" {
		ready = property(ready, "Identity", "")
	}
	if _, err := c.Write(appendZMTP(nil, flagCommand, ready)); err != nil {
		return nil, err
	}
	flags, body, err := l.readFrame()
	if err != nil {
		return nil, err
	}
	kind, err := peerKind(flags, body)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(peers, kind) {
		return nil, fmt.Errorf("the peer is a ZeroMQ socket of type %.20q, want %s", kind, strings.Join(peers, " or "))
	}
	return l, c.SetDeadline(time.Time{})
}

func (l *link) readGreeting() error {
	var g [64]byte
	if _, err := io.ReadFull(l.r, g[:10]); err != nil { // the signature: who speaks another protocol may say less than 64 bytes
		return err
	}
	if g[0] != 0xff || g[9] != 0x7f {
		return errors.New("the peer does not speak ZeroMQ")
	}
	if _, err := io.ReadFull(l.r, g[10:12]); err != nil {
		return err
	}
	if g[10] < 3 { // 0 to 2 are those of ZMTP 1 and 2
		return errors.New("the peer speaks a ZMTP older than 3")
	}
	l.minor = g[11]
	if g[10] > 3 {
		l.minor = 1 // it is to speak ours
	}
	if _, err := io.ReadFull(l.r, g[12:]); err != nil {
		return err
	}
	if mechanism := string(bytes.TrimRight(g[12:32], "\x00")); mechanism != "NULL" {
		return fmt.Errorf("the peer wants the mechanism %.20q, want NULL", mechanism)
	}
	return nil
}

// peerKind returns the socket type that a READY tells.
func peerKind(flags byte, body []byte) (string, error) {
	name, rest, ok := cutShort(body)
	switch {
	case flags&flagCommand == 0 || !ok:
		return "", errors.New("the peer sends something else than READY")
	case string(name) == "ERROR":
		reason, _, _ := cutShort(rest)
		return "", fmt.Errorf("the peer refuses: %.100q", reason)
	case string(name) != "READY":
		return "", fmt.Errorf("the peer sends %.20q, want READY", name)
	}
	var kind string
	for len(rest) > 0 {
		name, value, ok := cutShort(rest)
		if !ok || len(value) < 4 || uint64(binary.BigEndian.Uint32(value)) > uint64(len(value)-4) {
			return "", errors.New("the peer's READY is cut")
		}
		n := binary.BigEndian.Uint32(value)
		if strings.EqualFold(string(name), "Socket-Type") {
			kind = string(value[4 : 4+n])
		}
		rest = value[4+n:]
	}
	return kind, nil
}

// cutShort takes a string behind a byte with its length from b.
func cutShort(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) > len(b)-1 {
		return nil, nil, false
	}
	return b[1 : 1+b[0]], b[1+b[0]:], true
}

func property(dst []byte, name, value string) []byte {
	dst = append(append(dst, byte(len(name))), name...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

// appendZMTP appends one frame.
func appendZMTP(dst []byte, flags byte, body []byte) []byte {
	if len(body) > 255 {
		dst = append(dst, flags|flagLong)
		dst = binary.BigEndian.AppendUint64(dst, uint64(len(body)))
	} else {
		dst = append(dst, flags, byte(len(body)))
	}
	return append(dst, body...)
}

// appendEnvelope appends a message of REQ or REP: behind an empty frame.
func appendEnvelope(dst, body []byte) []byte {
	return appendZMTP(append(dst, flagMore, 0), 0, body)
}

// readFrame returns the next frame. The body is valid until the next call.
func (l *link) readFrame() (flags byte, body []byte, err error) {
	if flags, err = l.r.ReadByte(); err != nil {
		if l.ends && errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, nil, errSilent
		}
		return 0, nil, err
	}
	if l.ends { // it lives
		l.ends = false
		if err := l.SetReadDeadline(time.Time{}); err != nil {
			return 0, nil, err
		}
	}
	switch {
	case flags&^(flagMore|flagLong|flagCommand) != 0,
		flags&flagCommand != 0 && flags&flagMore != 0:
		return 0, nil, fmt.Errorf("the peer sends a frame with the flags %#x", flags)
	}
	l.head = [8]byte{}
	size := l.head[7:]
	if flags&flagLong != 0 {
		size = l.head[:]
	}
	if _, err := io.ReadFull(l.r, size); err != nil {
		return 0, nil, cut(err)
	}
	n := binary.BigEndian.Uint64(l.head[:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("the peer sends a frame of %d bytes, want at most %d", n, maxFrame)
	}
	l.buf = slices.Grow(l.buf[:0], int(n))[:n]
	if _, err := io.ReadFull(l.r, l.buf); err != nil {
		return 0, nil, cut(err)
	}
	return flags, l.buf, nil
}

// cut is for an end within a frame.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readMessage returns the frames of the next message, or the next command
// but PING, whose answer it hands to pong, to be written. All is valid until
// the next call.
func (l *link) readMessage(parts [][]byte, pong func(frame []byte) error) (_ [][]byte, command bool, err error) {
	parts, l.whole = parts[:0], l.whole[:0]
	for {
		flags, body, err := l.readFrame()
		if err != nil {
			return nil, false, err
		}
		if flags&flagCommand != 0 {
			name, rest, ok := cutShort(body)
			switch {
			case ok && string(name) == "PING": // libzmq may say it between the parts of a message
				if err := l.answerPing(rest, pong); err != nil {
					return nil, false, err
				}
				continue
			case !ok || len(parts) != 0:
				return nil, false, errors.New("the peer sends a command that is cut, or within a message")
			}
			return append(parts, body), true, nil
		}
		if flags&flagMore == 0 && len(parts) == 0 {
			return append(parts, body), false, nil // nearly always, and nothing to copy
		}
		if len(parts) == maxParts {
			return nil, false, fmt.Errorf("the peer sends a message of more than %d parts", maxParts)
		}
		begin := len(l.whole)
		l.whole = append(l.whole, body...) // if it moves, earlier parts keep the old memory
		parts = append(parts, l.whole[begin:])
		if flags&flagMore == 0 {
			return parts, false, nil
		}
	}
}

// answerPing hands the answer to a PING with these arguments to pong. Its TTL, in
// tenths of a second, is how long the peer may then be silent.
func (l *link) answerPing(args []byte, pong func(frame []byte) error) error {
	if len(args) < 2 || len(args) > 2+16 {
		return errors.New("the peer sends a wrong PING")
	}
	if err := pong(appendZMTP(nil, flagCommand, append([]byte("\x04PONG"), args[2:]...))); err != nil {
		return err
	}
	ttl := time.Duration(binary.BigEndian.Uint16(args)) * time.Second / 10
	if ttl == 0 || !l.ttl {
		return nil
	}
	l.ends = true
	return l.SetReadDeadline(time.Now().Add(ttl))
}

// write sends whole frames. A peer that does not take them in time has had it.
func (l *link) write(frames []byte) error {
	if err := l.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := l.Write(frames)
	return err
}
