package zeromcan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// A Bus is a client of a server. It is a [hub.Bus]: any number of goroutines may
// send, one at a time receives.
type Bus struct {
	opts    DialOptions
	address string
	name    string // that the server knows this client by
	calls   *link  // REQ
	frames  *link  // SUB

	turn    chan *time.Timer // the one there is: who has it may call; never closed
	owed    bool             // a reply is to be taken from replies; of who has the turn
	out     chan []byte      // frames for writeCalls, which receives; never closed
	asked   atomic.Bool      // a reply is to come: set by Send, taken back by readReplies
	replies chan []byte      // readReplies sends; has room for the one there may be; never closed

	queue      chan hub.Message // received and wanted; readFrames sends, never closed
	subscribed chan struct{}    // closed by readFrames when the server has confirmed it

	life    *bus.Life      // ended by end
	workers sync.WaitGroup // readReplies, readFrames and writeCalls

	counters counters
}

// queueLength is how many messages wait in the process. What comes beyond waits
// in the system's buffers, and then at the server until it drops it.
const queueLength = 256

// Name returns the name by which the server knows this client: from the original
// "client0" and so on.
func (b *Bus) Name() string { return b.name }

// Send asks the server to send m, and returns when it has done so. Any number of
// goroutines may call it; the protocol takes one message after the other.
//
// It returns the ctx's error if ctx is done. At the call nothing was sent then;
// later the server may send the message all the same. It returns an error that
// matches [hub.ErrInvalid] for a message that cannot exist, one that matches
// [errors.ErrUnsupported] for remote, error and CAN FD frames, which the protocol
// does not have, and the server's words where that refuses the message; after
// these the bus goes on. It returns [hub.ErrClosed] after Close, and why the bus
// has ended if it has.
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
	var timer *time.Timer
	select {
	case timer = <-b.turn:
	case <-ctx.Done():
		return ctx.Err()
	case <-b.life.Ended():
		return b.life.Err()
	}
	defer func() { b.turn <- timer }()
	if b.owed { // to a call that was given up
		if _, err := b.reply(ctx, timer); err != nil {
			return err
		}
	}
	b.asked.Store(true)
	select {
	case b.out <- appendEnvelope(nil, appendSend(nil, b.name, &m)):
	case <-ctx.Done():
		if !b.asked.CompareAndSwap(true, false) {
			return b.end(lost(b.address, errUnasked))
		}
		return ctx.Err()
	case <-b.life.Ended():
		return b.life.Err()
	}
	b.owed = true
	timer.Reset(b.opts.ReplyTime)
	refused, err := b.reply(ctx, timer)
	return cmp.Or(err, refused)
}

// reply waits for the server until the time for that is up, which runs since the
// call. refused is why the server has not sent the message.
func (b *Bus) reply(ctx context.Context, timer *time.Timer) (refused, err error) {
	late := false
	select {
	case reply := <-b.replies:
		return b.replied(reply), nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-b.life.Ended():
		err = b.life.Err()
	case <-timer.C:
		late = true
	}
	select {
	case reply := <-b.replies: // it came at the same time
		return b.replied(reply), nil
	default:
	}
	if late {
		err = b.end(fmt.Errorf("zeromcan: %s: no reply within %v", b.address, b.opts.ReplyTime))
	}
	return nil, err
}

func (b *Bus) replied(reply []byte) (refused error) {
	b.owed = false
	if _, err := decodeReply(reply); err != nil {
		return fmt.Errorf("zeromcan: %s: %w", b.address, err)
	}
	b.counters.sent.Add(1)
	return nil
}

// Recv returns the next message. It waits while there is none, until ctx is
// done. What is queued it returns even then: with a done ctx it is a poll.
//
// It returns the ctx's error, or [hub.ErrClosed] after Close. When the bus has
// ended for another reason it returns what was queued and then, each time, that
// reason; it matches [hub.ErrClosed] if the server has closed a connection.
func (b *Bus) Recv(ctx context.Context) (hub.Message, error) {
	return bus.Recv(ctx, b.life, b.queue)
}

// Close leaves the server. It ends every blocked call with [hub.ErrClosed] and
// returns when nothing of the bus is left. It may be called more than once and
// by several goroutines, and returns nil.
func (b *Bus) Close() error {
	b.life.Close(func() {
		b.end(hub.ErrClosed)
		b.workers.Wait()
	})
	return nil
}

// end ends the bus for that reason, if it has not ended, and returns the reason
// for which it has.
func (b *Bus) end(err error) error {
	if b.life.End(err) {
		b.calls.Close()
		b.frames.Close()
	}
	return b.life.Err()
}

var errUnasked = errors.New("the server sends a reply to nothing")

// lost returns the reason for the end that err, of a connection to address, is.
func lost(address string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("zeromcan: %s: the server has closed the connection: %w", address, hub.ErrClosed)
	}
	return fmt.Errorf("zeromcan: %s: %w", address, err)
}
