package remote

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
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

	life   *bus.Life             // ended by receive
	in     chan result           // received and wanted; receive sends, never closed
	out    *bus.Outbox[outgoing] // from Send to transmit
	failed atomic.Pointer[error] // why transmit has broken the connection
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
	if err := cmp.Or(ctx.Err(), b.life.Over()); err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	m.Flags &^= hub.Own
	return b.out.Put(ctx, b.life, outgoing{m: m})
}

// Recv returns the next message. It waits while there is none, until ctx is
// done. What is queued it returns even then: with a done ctx it is a poll.
//
// It returns the ctx's error, [hub.ErrClosed] after Close, or an [*EventError]
// after which the bus goes on. When the connection has ended it returns what was
// queued and then, each time, [hub.ErrClosed] if the server has ended it in the
// regular way, a [*CloseError] if it tells something else, or the network's error.
func (b *Bus) Recv(ctx context.Context) (hub.Message, error) {
	r, err := bus.Recv(ctx, b.life, b.in)
	if err != nil {
		return hub.Message{}, err
	}
	return r.m, r.err
}

// Close leaves the bus. It ends every blocked call with [hub.ErrClosed], sends
// what was accepted, says goodbye and returns when nothing of the bus is left,
// after two seconds at most. It may be called more than once and by several
// goroutines, and returns nil.
func (b *Bus) Close() error {
	b.life.Close(func() {
		late := time.AfterFunc(goodbye, func() { b.wire.Conn.Close() })
		defer late.Stop()
		b.out.Close()
		b.ended.Wait()
		b.ws.Close(websocket.StatusNormalClosure, "")
	})
	return nil
}
