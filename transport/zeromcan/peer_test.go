package zeromcan_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

// These tests speak ZMTP by hand, to say what no library would.

var greeting = append([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x01NULL"), make([]byte, 48)...)

func ready(kind string) []byte {
	body := "\x05READY\x0bSocket-Type\x00\x00\x00" + string(rune(len(kind))) + kind
	return zeromcan.AppendZMTP(nil, 4, []byte(body))
}

// A peer is one connection.
type peer struct {
	net.Conn
	r *bufio.Reader
}

func connect(t testing.TB, address string) *peer {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(long)); err != nil {
		t.Fatal(err)
	}
	return &peer{c, bufio.NewReader(c)}
}

// newPeer has shaken hands.
func newPeer(t testing.TB, address, kind string) *peer {
	t.Helper()
	p := connect(t, address)
	p.shake(t, kind)
	return p
}

func (p *peer) shake(t testing.TB, kind string) {
	t.Helper()
	p.say(t, greeting)
	if _, err := io.ReadFull(p.r, make([]byte, 64)); err != nil {
		t.Fatalf("no greeting: %v", err)
	}
	p.say(t, ready(kind))
	if flags, body := p.frame(t); flags != 4 || !bytes.HasPrefix(body, []byte("\x05READY")) {
		t.Fatalf("frame %#x %q, want READY", flags, body)
	}
}

func (p *peer) say(t testing.TB, b []byte) {
	t.Helper()
	if _, err := p.Write(b); err != nil {
		t.Fatal(err)
	}
}

func (p *peer) frame(t testing.TB) (flags byte, body []byte) {
	t.Helper()
	flags, body, err := p.read()
	if err != nil {
		t.Fatal(err)
	}
	return flags, body
}

func (p *peer) read() (flags byte, body []byte, err error) {
	var head [9]byte
	if _, err := io.ReadFull(p.r, head[:2]); err != nil {
		return 0, nil, err
	}
	n := uint64(head[1])
	if head[0]&2 != 0 {
		if _, err := io.ReadFull(p.r, head[2:]); err != nil {
			return 0, nil, err
		}
		n = binary.BigEndian.Uint64(head[1:])
	}
	body = make([]byte, n)
	_, err = io.ReadFull(p.r, body)
	return head[0], body, err
}

// call makes a request and returns the reply.
func (p *peer) call(t testing.TB, request []byte) []byte {
	t.Helper()
	p.say(t, zeromcan.AppendEnvelope(nil, request))
	if flags, body := p.frame(t); flags != 1 || len(body) != 0 {
		t.Fatalf("frame %#x %x, want an empty one first", flags, body)
	}
	flags, body := p.frame(t)
	if flags != 0 {
		t.Fatalf("frame %#x %x, want the last", flags, body)
	}
	return body
}

// subscribe returns when the subscription is in force.
func (p *peer) subscribe(t testing.TB, frame []byte) {
	t.Helper()
	p.say(t, append(frame, "\x04\x0b\x04PING\x00\x00test"...))
	if flags, body := p.frame(t); flags != 4 || string(body) != "\x04PONGtest" {
		t.Fatalf("frame %#x %q, want PONG", flags, body)
	}
}

// mustEnd waits for the other side to close.
func (p *peer) mustEnd(t testing.TB, why string) {
	t.Helper()
	if _, err := io.Copy(io.Discard, p.r); err != nil {
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Errorf("the connection stays open: %s", why)
		}
	}
}

func recv(t testing.TB, b hub.Bus) hub.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	m, err := b.Recv(ctx)
	if err != nil {
		t.Fatalf("Recv: %v", err)
	}
	return m
}
