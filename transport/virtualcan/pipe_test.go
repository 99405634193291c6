package virtualcan

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/canhub-go/canhub/hub"
)

// Pipes is a listener without a network.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	quit  chan struct{} // closed by Close, once
	errs  chan error    // for Accept to return
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), quit: make(chan struct{}), errs: make(chan error, 1)}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case err := <-p.errs:
		return nil, err
	case <-p.quit:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.quit) })
	return nil
}

func (p *pipes) Addr() net.Addr { return nil }

// dial connects, and closes the connection when the test ends.
func (p *pipes) dial(t testing.TB) net.Conn {
	t.Helper()
	a, b := net.Pipe()
	p.conns <- b
	t.Cleanup(func() { a.Close() })
	return a
}

// A bench is a server in a bubble.
type bench struct {
	*Server
	hub   *hub.Hub
	pipes *pipes
	node  *hub.Subscriber
	log   logged
	end   func() // ends Serve and waits for it
}

func newBench(t testing.TB, o Options) *bench {
	t.Helper()
	b := &bench{hub: hub.New(nil), pipes: newPipes()}
	t.Cleanup(func() { b.hub.Close() })
	o.Logger = b.log.logger()
	b.Server, b.end = serveOn(t, b.pipes, b.hub, &o)
	var err error
	if b.node, err = b.hub.Open("can0", nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// Logged keeps what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// lines returns the lines so far that contain what.
func (l *logged) lines(what string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, what) {
			found = append(found, line)
		}
	}
	return found
}

// A collector reads a connection until it ends.
type collector struct {
	done chan struct{} // closed when it has ended
	mu   sync.Mutex
	got  bytes.Buffer
}

func collect(conn net.Conn) *collector {
	c := &collector{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			c.mu.Lock()
			c.got.Write(buf[:n])
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c
}

func (c *collector) messages(t testing.TB) []hub.Message {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	msgs, errs := decodeAll(c.got.Bytes())
	if errs != nil {
		t.Errorf("the server sends %x: %v", c.got.Bytes(), errs)
	}
	return msgs
}

func (c *collector) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// numbered returns n messages in order.
func numbered(n int) []hub.Message {
	var msgs []hub.Message
	for i := range n {
		msgs = append(msgs, hub.Ext(uint32(i), byte(i>>8), byte(i)))
	}
	return msgs
}

// poll returns what is queued.
func poll(t testing.TB, s *hub.Subscriber) (got []hub.Message) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for m := range s.All(ctx) {
		m.Timestamp, m.Seq = 0, 0
		got = append(got, m)
	}
	return got
}
