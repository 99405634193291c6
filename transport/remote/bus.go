package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/canhub-go/canhub/hub"
)

// A Bus is a client: a node on the channel of a server. It is a [hub.Bus]: any
// number of goroutines may send, one at a time receives.
type Bus struct {
	opts DialOptions
	name string // of the server, without secrets
	ws   *websocket.Conn
	wire *wire
	json bool   // send frames as JSON
	info string // channel_info

	in     chan result   // received and wanted; receive sends, never closed
	out    chan outgoing // accepted by Send; transmit receives, never closed
	quit   chan struct{} // closed by Close, once
	once   sync.Once
	failed atomic.Pointer[error] // why transmit has broken the connection
	done   chan struct{}         // closed by receive, its last act
	err    error                 // why receive has ended; set before done is closed
	ended  sync.WaitGroup        // counts transmit

	// tasks holds those that the server has, whenever nobody has it in hand;
	// never closed.
	tasks chan map[uint32]*Task

	sent, received, malformed atomic.Uint64
}

// A result is what one Recv returns.
type result struct {
	m   hub.Message
	err error
}

// Outgoing is a message, or the text of an event.
type outgoing struct {
	m    hub.Message
	text []byte
}

const (
	// queueLength is how many messages wait in the process, each way.
	queueLength = 256
	// maxAnswer is how long a message of a server may be.
	maxAnswer = 1 << 20
)

// Stats count what a [Bus] has sent and received.
type Stats struct {
	Sent      uint64 // messages given to the system
	Received  uint64 // messages and errors that are or were there for Recv
	Malformed uint64 // messages that are no frames, passed over
}

// Stats returns the counts so far. It may also be called after Close.
func (b *Bus) Stats() Stats {
	return Stats{Sent: b.sent.Load(), Received: b.received.Load(), Malformed: b.malformed.Load()}
}

// ChannelInfo returns what the server says about the channel.
func (b *Bus) ChannelInfo() string { return b.info }

// Send sends m to the server. It returns when m has a place behind what was sent
// before; it waits while there is none, because the network or the server is
// slow. What was accepted is sent even if Close follows, unless the connection
// breaks.
//
// It returns the ctx's error if ctx is done, also at the call; then nothing was
// sent. It returns an error that matches [hub.ErrInvalid] for a message that
// cannot exist, [hub.ErrClosed] after Close, and when the connection has ended,
// what Recv returns for that.
func (b *Bus) Send(ctx context.Context, m hub.Message) error {
	if err := m.Validate(); err != nil && ctx.Err() == nil && !b.isClosed() {
		return err
	}
	m.Flags &^= hub.Own
	return b.put(ctx, outgoing{m: m})
}

func (b *Bus) isClosed() bool {
	select {
	case <-b.quit:
		return true
	default:
		return false
	}
}

func (b *Bus) put(ctx context.Context, o outgoing) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.isClosed() {
		return hub.ErrClosed
	}
	select {
	case <-b.done:
		return b.err
	default:
	}
	select {
	case b.out <- o:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.quit:
		return hub.ErrClosed
	case <-b.done:
		return b.err
	}
}

// Recv returns the next message. It waits while there is none, until ctx is
// done. What is queued it returns even then: with a done ctx it is a poll.
//
// It returns the ctx's error, [hub.ErrClosed] after Close, or an [*EventError]
// after which the bus goes on. When the connection has ended it returns what was
// queued and then, each time, [hub.ErrClosed] if the server has ended it in the
// regular way, a [*CloseError] if it tells something else, or the network's error.
func (b *Bus) Recv(ctx context.Context) (hub.Message, error) {
	if b.isClosed() {
		return hub.Message{}, hub.ErrClosed
	}
	select {
	case r := <-b.in:
		return r.m, r.err
	default:
	}
	select {
	case r := <-b.in:
		return r.m, r.err
	case <-ctx.Done():
		return hub.Message{}, ctx.Err()
	case <-b.quit:
		return hub.Message{}, hub.ErrClosed
	case <-b.done:
	}
	select {
	case <-b.quit:
		return hub.Message{}, hub.ErrClosed
	case r := <-b.in:
		return r.m, r.err
	default:
		return hub.Message{}, b.err
	}
}

// Close leaves the bus. It ends every blocked call with [hub.ErrClosed], sends
// what was accepted, says goodbye and returns when nothing of the bus is left,
// after two seconds at most. It may be called more than once and by several
// goroutines, and returns nil.
func (b *Bus) Close() error {
	b.once.Do(func() {
		late := time.AfterFunc(goodbye, func() { b.wire.Conn.Close() })
		defer late.Stop()
		close(b.quit)
		b.ended.Wait()
		b.ws.Close(websocket.StatusNormalClosure, "")
	})
	<-b.done
	return nil
}

// transmit writes what was accepted, as much at once as is there.
func (b *Bus) transmit() {
	defer b.ended.Done()
	var buf, payload []byte
	for {
		var o outgoing
		select {
		case o = <-b.out:
		case <-b.done:
			return
		case <-b.quit:
			select {
			case o = <-b.out:
			default:
				return
			}
		}
		n := uint64(0)
		for buf = buf[:0]; ; {
			switch {
			case o.text != nil:
				buf = b.wire.appendMessage(buf, opText, o.text)
			case b.json:
				payload = appendJSON(payload[:0], &o.m)
				buf = b.wire.appendMessage(buf, opText, payload)
				n++
			default:
				payload = appendBinary(payload[:0], &o.m)
				buf = b.wire.appendMessage(buf, opBinary, payload)
				n++
			}
			if len(buf) >= maxWrite || len(b.out) == 0 {
				break
			}
			o = <-b.out
		}
		if err := b.wire.send(buf); err != nil {
			b.failed.Store(&err)
			b.wire.Conn.Close()
			return
		}
		b.sent.Add(n)
	}
}

// receive reads until the connection ends.
func (b *Bus) receive() {
	defer close(b.done)
	defer b.ws.CloseNow()
	var buf []byte
	var warned time.Time
	for {
		kind, p, err := read(b.ws, buf)
		if err != nil {
			b.err = b.cause(err)
			return
		}
		buf = p
		r, ok, err := b.take(kind, p)
		if err != nil {
			b.malformed.Add(1)
			if now := time.Now(); now.Sub(warned) >= time.Second {
				warned = now
				b.opts.Logger.Warn("remote: a message that is no frame", "server", b.name,
					"error", err, "so far", b.malformed.Load())
			}
			continue
		}
		if !ok {
			continue
		}
		b.received.Add(1)
		select {
		case b.in <- r:
		case <-b.quit: // and goes on reading, for the answer to the CLOSE
		}
	}
}

// take reads one message. It returns false for what is of no concern, and an
// error for what is no frame.
func (b *Bus) take(kind websocket.MessageType, p []byte) (r result, ok bool, err error) {
	if kind == websocket.MessageBinary {
		if err := decodeBinary(&r.m, p); err == errKind {
			return r, false, nil
		} else if err != nil {
			return r, false, err
		}
		return r, b.wants(&r.m), nil
	}
	e, err := parseEvent(p)
	if err != nil {
		return r, false, err
	}
	switch e.name {
	case message:
		if err := decodeJSON(&r.m, e.payload); err != nil {
			return r, false, err
		}
		return r, b.wants(&r.m), nil
	case errorEvent:
		r.err = &EventError{Text: plain(e.payload)}
		return r, true, nil
	}
	return r, false, nil
}

// wants applies the filters, for those that the server has not got.
func (b *Bus) wants(m *hub.Message) bool {
	return len(b.opts.Filters) == 0 || slices.ContainsFunc(b.opts.Filters, func(f hub.Filter) bool { return f.Match(*m) })
}

// cause returns what the end of a connection means, which err has told.
func (b *Bus) cause(err error) error {
	if w := b.wire.watch; w.found {
		var rest [512]byte
		b.wire.SetReadDeadline(time.Now().Add(haste))
		for !w.whole() {
			if _, err := b.wire.Read(rest[:]); err != nil {
				break
			}
		}
		return w.err()
	}
	var closed websocket.CloseError
	switch {
	case errors.As(err, &closed):
		switch closed.Code {
		case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
			return hub.ErrClosed
		}
		return &CloseError{Code: int(closed.Code), Reason: printable(closed.Reason, maxReason)}
	case b.failed.Load() != nil:
		err = *b.failed.Load()
	case errors.Is(err, io.EOF):
		return fmt.Errorf("remote: connection to %s lost: the other side has gone without a word", b.name)
	}
	return fmt.Errorf("remote: connection to %s lost: %w", b.name, err)
}
