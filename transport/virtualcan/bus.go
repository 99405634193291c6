package virtualcan

import (
	"cmp"
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// A Bus is a client: a node on the channel of a server. It is a [hub.Bus]: any
// number of goroutines may send, one at a time receives.
type Bus struct {
	opts DialOptions
	name string // of the server
	wire *wire

	life   *bus.Life                // ended by receive
	in     chan hub.Message         // received and wanted; receive sends, never closed
	out    *bus.Outbox[hub.Message] // from Send to transmit
	failed atomic.Pointer[error]    // why transmit could not write
	sent   chan struct{}            // closed by transmit, its last act

	transmitted, received, malformed atomic.Uint64
}

const (
	// queueLength is how many messages wait in the process, each way.
	queueLength = 256
	// goodbye is how long to wait for the other side to have read everything.
	goodbye = 2 * time.Second
)

// Stats count what a [Bus] has sent and received.
type Stats struct {
	Sent      uint64 // messages given to the system
	Received  uint64 // messages that are or were there for Recv
	Malformed uint64 // packets that are no frames, passed over
}

// Stats returns the counts so far. It may also be called after Close.
func (b *Bus) Stats() Stats {
	return Stats{Sent: b.transmitted.Load(), Received: b.received.Load(), Malformed: b.malformed.Load()}
}

func newBus(conn net.Conn, name string, opts DialOptions) *Bus {
	b := &Bus{
		opts: opts,
		name: name,
		wire: &wire{Conn: conn, readWait: opts.PacketTimeout},
		life: bus.NewLife(),
		in:   make(chan hub.Message, queueLength),
		out:  bus.NewOutbox[hub.Message](queueLength),
		sent: make(chan struct{}),
	}
	go func() { b.life.End(b.receive()) }() // Close waits for both
	go b.transmit()
	return b
}

// Send sends m to the server. It returns when m has a place behind what was sent
// before; it waits while there is none, because the network or the server is
// slow. What was accepted is sent even if Close follows, unless the connection
// breaks. The Timestamp is not sent.
//
// It returns the ctx's error if ctx is done, also at the call; then nothing was
// sent. It returns an error that matches [hub.ErrInvalid] for a message that
// cannot exist, one that matches [errors.ErrUnsupported] for a remote, CAN FD or
// error frame, [hub.ErrClosed] after Close, and when the connection has ended,
// what Recv returns for that.
func (b *Bus) Send(ctx context.Context, m hub.Message) error {
	if err := cmp.Or(ctx.Err(), b.life.Over()); err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	if err := uncarried(&m); err != nil {
		return err
	}
	return b.out.Put(ctx, b.life, m)
}

// Recv returns the next message. It waits while there is none, until ctx is
// done. What is queued it returns even then: with a done ctx it is a poll.
//
// It returns the ctx's error, or [hub.ErrClosed] after Close. When the connection
// has ended it returns what was queued and then, each time, [hub.ErrClosed] if
// the server has closed it, otherwise an error that tells what broke it.
func (b *Bus) Recv(ctx context.Context) (hub.Message, error) {
	return bus.Recv(ctx, b.life, b.in)
}

// Close leaves the bus. It ends every blocked call with [hub.ErrClosed], sends
// what was accepted, waits for the server to close the connection too, and
// returns when nothing of the bus is left, after two seconds at most. It may be
// called more than once and by several goroutines, and returns nil.
func (b *Bus) Close() error {
	b.life.Close(func() {
		b.wire.hurry(goodbye)
		b.out.Close()
		<-b.sent
		b.wire.closeWrite()
	})
	return nil
}
