package zeromcan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"

	"github.com/canhub-go/canhub/hub"
)

// hubName is the name under which the messages of others than clients are
// published. No client is given it.
const hubName = "canhub"

const (
	// maxTopics is how many subscriptions one connection may have. All known
	// clients have one, to everything.
	maxTopics = 16
	// maxBatch is about how many bytes one write has, and writeBuffer how many
	// the system is to keep for a client that is slow.
	maxBatch    = 32 << 10
	writeBuffer = 64 << 10
)

// A subscriber is one SUB client.
type subscriber struct {
	client net.Addr
	queue  chan []byte   // frames of ZMTP; publish and its own reader send, never closed
	done   chan struct{} // closed by serveSubscriber
	topics [][]byte      // what the body of a message begins with; server.mu is for it
}

// publish hands the channel's messages to all subscribers, until ctx is done or
// the hub is closed. It never waits for one.
func (s *server) publish(ctx context.Context) error {
	var body []byte
	for {
		batch, err := s.node.RecvBatch(ctx)
		if err != nil {
			return err
		}
		for i := range batch {
			m, name := &batch[i], hubName
			if m.Flags&hub.Own != 0 {
				name = s.senders[m.Tag]
				s.free <- m.Tag
			}
			if err := uncarried(m); err != nil {
				if s.uncarried.add(1) { // its text is made for this alone
					s.uncarried.tell(s.opts.Logger, warnUncarried, "message", m.String(), "error", err)
				}
				continue
			}
			body = appendFrame(body[:0], name, m)
			s.hand(body)
		}
	}
}

// hand gives a publication to all who want it.
func (s *server) hand(body []byte) {
	var frame []byte // all queues share it
	var slow *subscriber
	missed := uint64(0)
	s.mu.Lock()
	for q := range s.subscribers {
		if !slices.ContainsFunc(q.topics, func(t []byte) bool { return bytes.HasPrefix(body, t) }) {
			continue
		}
		if frame == nil {
			frame = appendZMTP(make([]byte, 0, 2+len(body)), 0, body)
		}
		select {
		case q.queue <- frame:
		default:
			slow = q
			missed++
		}
	}
	s.mu.Unlock()
	if missed > 0 {
		s.lost.report(missed, s.opts.Logger, warnLost, "client", slow.client)
	}
}

// serveSubscriber serves one SUB client until it leaves.
func (s *server) serveSubscriber(_ context.Context, c net.Conn) error {
	l, err := open(c, "PUB", "SUB", "XSUB")
	if err != nil {
		return err
	}
	l.ttl = true
	if tcp, ok := c.(*net.TCPConn); ok {
		if err := tcp.SetWriteBuffer(writeBuffer); err != nil {
			return err
		}
	}
	q := &subscriber{client: c.RemoteAddr(), queue: make(chan []byte, s.opts.Queue), done: make(chan struct{})}
	s.mu.Lock()
	s.subscribers[q] = struct{}{}
	s.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		s.mu.Lock()
		delete(s.subscribers, q)
		s.mu.Unlock()
		close(q.done)
		l.Close()
	}()
	wg.Go(func() {
		if err := q.write(l); errors.Is(err, os.ErrDeadlineExceeded) {
			s.senseless.report(1, s.opts.Logger, warnSenseless, "client", q.client, "error", err)
		}
		l.Close() // ends the reader
	})

	pong := func(frame []byte) error {
		select {
		case q.queue <- frame:
		default: // as slow as that
		}
		return nil
	}
	var parts [][]byte
	for {
		var command bool
		if parts, command, err = l.readMessage(parts, pong); err != nil {
			return err
		}
		topic, on, ok := subscription(parts, command)
		if !ok {
			continue // nothing else that a subscriber says means anything
		}
		if err := s.subscribe(q, topic, on); err != nil {
			return err
		}
	}
}

// subscription reads both forms: a command, and the message of ZMTP 3.0.
func subscription(parts [][]byte, command bool) (topic []byte, on, ok bool) {
	b := parts[0]
	if !command {
		if len(parts) != 1 || len(b) == 0 || b[0] > 1 {
			return nil, false, false
		}
		return b[1:], b[0] == 1, true
	}
	name, topic, _ := cutShort(b)
	return topic, string(name) == "SUBSCRIBE", string(name) == "SUBSCRIBE" || string(name) == "CANCEL"
}

func (s *server) subscribe(q *subscriber, topic []byte, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(q.topics, func(t []byte) bool { return bytes.Equal(t, topic) })
	switch {
	case !on && i >= 0:
		q.topics = slices.Delete(q.topics, i, i+1)
	case on && len(q.topics) == maxTopics:
		return fmt.Errorf("more than %d subscriptions", maxTopics)
	case on:
		q.topics = append(q.topics, bytes.Clone(topic))
	}
	return nil
}

// write sends what is queued until done is closed, or the client does not take
// it.
func (q *subscriber) write(l *link) error {
	var batch []byte
	for {
		select {
		case frame := <-q.queue:
			batch = append(batch[:0], frame...)
		case <-q.done:
			return nil
		}
		for len(q.queue) > 0 && len(batch) < maxBatch { // only this goroutine receives
			batch = append(batch, <-q.queue...)
		}
		if err := l.write(batch); err != nil {
			return err
		}
	}
}
