package zeromcan_test

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

// wrongHellos are said by who is no client, and wrongFrames by a client that has
// shaken hands.
var (
	wrongHellos = map[string]string{
		"HTTP":              "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"zeros":             strings.Repeat("\x00", 200),
		"0xff":              strings.Repeat("\xff", 200),
		"ZMTP 2":            "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x03\x00\x00",
		"PLAIN":             strings.Replace(string(greeting), "NULL\x00", "PLAIN", 1),
		"no READY":          string(greeting) + "\x00\x01a",
		"another command":   string(greeting) + "\x04\x06\x05HELLO",
		"ERROR":             string(greeting) + "\x04\x08\x05ERROR\x01x",
		"an empty command":  string(greeting) + "\x04\x00",
		"a cut property":    string(greeting) + "\x04\x07\x05READY\x01",
		"a cut length":      string(greeting) + "\x04\x09\x05READY\x01a\x00",
		"a cut value":       string(greeting) + "\x04\x0c\x05READY\x01a\xff\xff\xff\xff",
		"a cut type":        string(greeting) + "\x04\x16\x05READY\x0bSocket-Type\xff\xff\xff\xff",
		"no socket type":    string(greeting) + "\x04\x06\x05READY",
		"another type":      string(greeting) + string(ready("PUSH")),
		"a READY too long":  string(greeting) + "\x06\x00\x00\x00\x00\x00\x00\xff\xff",
		"a claim of 2^63-1": string(greeting) + "\x06\x7f\xff\xff\xff\xff\xff\xff\xff",
		"a READY with more": string(greeting) + "\x05\x06\x05READY",
	}
	wrongFrames = map[string]string{
		"a claim of 64 KiB":      "\x02\x00\x00\x00\x00\x00\x01\x00\x00",
		"a claim of 2^63-1":      "\x02\x7f\xff\xff\xff\xff\xff\xff\xff",
		"a claim of 2^64-1":      "\x02\xff\xff\xff\xff\xff\xff\xff\xff",
		"2049 bytes":             "\x02\x00\x00\x00\x00\x00\x00\x08\x01" + strings.Repeat("x", 2049),
		"flags":                  "\xf8\x00",
		"a command with more":    "\x05\x02\x01a",
		"a command in a message": "\x01\x00\x04\x02\x01a",
		"a cut command":          "\x04\x02\x09a",
		"an empty command":       "\x04\x00",
		"a message without end":  strings.Repeat("\x01\x00", 100),
		"a short PING":           "\x04\x05\x04PING",
		"a long PING":            "\x04\x18\x04PING" + strings.Repeat("x", 19),
	}
)

func TestStrangersDoNoHarm(t *testing.T) {
	log := new(record)
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{Logger: log.logger()})
	a, b := dial(t, s, nil), dial(t, s, nil)
	n := byte(0)
	works := func() {
		t.Helper()
		n++
		send(t, a, hub.Std(1, n))
		hubtest.Want(t, b, hub.Std(1, n))
	}
	for name, hello := range wrongHellos {
		for _, address := range []string{s.calls, s.publish} {
			p := connect(t, address)
			p.say(t, []byte(hello))
			p.mustEnd(t, name)
			works()
		}
	}
	for name, frames := range wrongFrames {
		for address, kind := range map[string]string{s.calls: "REQ", s.publish: "SUB"} {
			p := newPeer(t, address, kind)
			p.say(t, []byte(frames))
			p.mustEnd(t, name)
			works()
		}
	}
	log.want(t, "client makes no sense")
}

// Who leaves in the middle of anything is missed by nobody.
func TestClientsMayVanishAtAnyByte(t *testing.T) {
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{})
	local := node(t, h)
	m := hub.Std(7)
	call := zeromcan.AppendEnvelope(nil, zeromcan.AppendSend(nil, "x", &m))
	for n := range call {
		p := newPeer(t, s.calls, "REQ")
		p.say(t, call[:n])
		p.Close()
	}
	p := newPeer(t, s.calls, "REQ")
	p.say(t, call) // and does not wait for the reply
	p.CloseWrite(t)
	hubtest.Want(t, local, m)
	hello := append(bytes.Clone(greeting), ready("SUB")...)
	for n := range hello {
		p := connect(t, s.publish)
		p.say(t, hello[:n])
		p.Close()
	}
	a, b := dial(t, s, nil), dial(t, s, nil)
	send(t, a, hub.Std(8))
	hubtest.Want(t, b, hub.Std(8))
}

// CloseWrite leaves, but can still hear.
func (p *peer) CloseWrite(t testing.TB) {
	t.Helper()
	if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	log := new(record)
	s := serve(t, newHub(t), zeromcan.Options{MaxClients: 2, Logger: log.logger()})
	connect(t, s.calls) // says nothing, and has a place for a while all the same
	second := newPeer(t, s.calls, "REQ")
	connect(t, s.calls).mustEnd(t, "it is the third of two")
	log.want(t, "2 connections on "+s.calls)
	second.Close()
	deadline := time.Now().Add(long)
	for { // until the server has seen that
		b, err := zeromcan.Dial(t.Context(), s.calls, &zeromcan.DialOptions{Publish: s.publish})
		if err == nil {
			b.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the place of one that has left is not free: %v", err)
		}
	}
}

// A client that asks and asks and reads no answer stops only itself.
func TestWhoReadsNoRepliesStopsNobody(t *testing.T) {
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{})
	a, b := dial(t, s, nil), dial(t, s, nil)
	p := newPeer(t, s.calls, "DEALER")
	if err := p.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	asks := bytes.Repeat(zeromcan.AppendEnvelope(nil, []byte("\x92\x02\x90")), 1000)
	for range 10_000 { // until nothing goes any more
		if _, err := p.Write(asks); err != nil {
			break
		}
	}
	send(t, a, hub.Std(1))
	hubtest.Want(t, b, hub.Std(1))
}

func TestServeEndsWhateverClientsDo(t *testing.T) {
	h := newHub(t)
	s, stop := serveAt(t, h, zeromcan.Options{}, place{"127.0.0.1:0", ""})
	connect(t, s.calls)
	connect(t, s.publish)
	newPeer(t, s.calls, "REQ").say(t, []byte("\x01"))
	newPeer(t, s.publish, "SUB").subscribe(t, []byte("\x00\x01\x01"))
	b := dial(t, s, nil)
	stop()
	if _, err := b.Recv(t.Context()); err == nil {
		t.Error("the bus goes on without a server")
	}
	if names := h.Channels(); len(names) != 0 {
		t.Errorf("the server has left the channels %v", names)
	}
}
