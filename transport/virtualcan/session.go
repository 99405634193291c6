package virtualcan

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
)

const (
	// haste is how long a client has to read the rest once all is to end.
	haste = time.Second
	// grace is how long the channel waits for a client whose queue is full, once
	// until it takes something: all goroutines that write get to run in that time,
	// and none must lose messages only because it did not.
	grace = 20 * time.Millisecond
	// maxBatch is how many messages are put onto the channel at once.
	maxBatch = 128
)

// A session is one client of a server. The goroutine of run reads, and one that
// it waits for writes.
type session struct {
	server *Server
	name   string
	wire   *wire
	sub    atomic.Pointer[hub.Subscriber] // nil until it is open

	told uint64 // losses that write has told
}

// dropped returns how many messages the client has lost.
func (n *session) dropped() uint64 {
	if sub := n.sub.Load(); sub != nil {
		return sub.Stats().Dropped
	}
	return 0
}

// join puts the client on the channel.
func (n *session) join() error {
	sub, err := n.server.hub.Open(n.server.opts.Channel, &hub.SubscriberOptions{
		Name:     n.server.opts.Channel + "/" + n.name,
		Queue:    n.server.opts.Queue,
		BlockFor: grace,
	})
	if err == nil {
		n.sub.Store(sub)
	}
	return err
}

// run serves the client, which has joined.
func (n *session) run(ctx context.Context) {
	log, sub := n.server.opts.Logger, n.sub.Load()
	defer n.server.ended(n)
	defer n.wire.Close()
	defer sub.Close()
	log.Debug("virtualcan: session", "client", n.name, "channel", sub.Channel())

	serving := ctx
	ctx, end := context.WithCancelCause(serving)
	// Regular reports whether it is this side that ends the session.
	regular := func() bool { return serving.Err() != nil || context.Cause(ctx) == hub.ErrClosed }
	var wg sync.WaitGroup
	wg.Go(func() {
		<-ctx.Done()
		if regular() {
			n.wire.hurry(haste)
		} else {
			n.wire.hurry(0)
		}
	})
	wg.Go(func() {
		err := n.write(ctx, sub)
		if lost := (*net.OpError)(nil); errors.As(err, &lost) && !n.wire.ending() {
			// The client may have gone, and what it has sent before is still read.
			n.wire.hurry(haste)
			select {
			case <-ctx.Done():
			case <-time.After(haste):
			}
		}
		end(err)
		n.wire.closeWrite()
	})
	err := n.read(ctx, sub)
	if err == hub.ErrClosed {
		n.wire.hurry(haste) // and write ends by itself: the hub may have more for the client
	} else {
		end(err)
	}
	ours := err == hub.ErrClosed || regular()
	if ours {
		// With bytes unread, Close would reset the connection, and some systems then
		// forget what the client has not read yet.
		io.Copy(io.Discard, n.wire)
	}
	wg.Wait()
	cause := context.Cause(ctx)
	if cause != io.EOF && !ours && !regular() && n.server.dropTold.Now() {
		log.Warn("virtualcan: client dropped", "client", n.name, "cause", cause)
	}
	log.Debug("virtualcan: session ended", "client", n.name, "cause", cause)
}

// read puts what the client sends onto the channel, until it goes.
func (n *session) read(ctx context.Context, sub *hub.Subscriber) error {
	s := n.server
	var batch *[maxBatch]hub.Message
	number := 0 // of those in batch
	flush := func() error {
		// It waits while the channel is busy, and so does this client alone.
		err := sub.SendBatch(ctx, batch[:number])
		if err == nil {
			s.received.Add(uint64(number))
		}
		number = 0
		return err
	}
	for {
		if err := n.wire.fill(); err != nil {
			return err
		}
		batch = batches.Get().(*[maxBatch]hub.Message)
		for {
			ok, err := n.wire.next(&batch[number])
			if _, bad := err.(*frameError); bad {
				if total := s.malformed.Add(1); s.malformedTold.Now() {
					s.opts.Logger.Warn("virtualcan: a packet that is no frame", "client", n.name, "error", err, "so far", total)
				}
				continue
			}
			if ok {
				number++
			}
			if !ok || number == maxBatch {
				if err := flush(); err != nil {
					return err
				}
			}
			if err != nil {
				return err
			}
			if !ok {
				break
			}
		}
		batches.Put(batch) // most clients are silent most of the time
	}
}

// batches are for messages that have come, and spaces for packets to be written.
var (
	batches = sync.Pool{New: func() any { return new([maxBatch]hub.Message) }}
	spaces  = sync.Pool{New: func() any { return new([maxWrite]byte) }}
)

// write sends what comes on the channel, as much at once as is there.
func (n *session) write(ctx context.Context, sub *hub.Subscriber) error {
	s := n.server
	now, cancel := context.WithCancel(context.Background())
	cancel() // a receive call with it does not wait
	space := spaces.Get().(*[maxWrite]byte)
	buf := space[:0]
	flush := func() error {
		if len(buf) == 0 {
			return nil
		}
		if err := n.wire.send(buf); err != nil {
			return err
		}
		s.sent.Add(uint64(len(buf) / packetLen))
		buf = buf[:0]
		n.tellLoss(sub)
		return nil
	}
	for {
		batch, err := sub.RecvBatch(now)
		if err != nil { // nothing is there
			if err := flush(); err != nil {
				return err
			}
			spaces.Put(space) // most clients are idle most of the time
			if batch, err = sub.RecvBatch(ctx); err != nil {
				return err
			}
			space = spaces.Get().(*[maxWrite]byte)
			buf = space[:0]
		}
		for len(batch) > 0 {
			buf, batch = appendPackets(buf, batch)
			if len(batch) == 0 {
				break
			}
			if why := uncarried(&batch[0]); why != nil {
				if total := s.refused.Add(1); s.refusalTold.Now() {
					s.opts.Logger.Warn("virtualcan: a message was not passed on", "client", n.name, "message", batch[0], "error", why, "so far", total)
				}
				batch = batch[1:]
			} else if err := flush(); err != nil { // buf is full
				return err
			}
		}
	}
}

// tellLoss logs that the client has lost messages, if it has lost more.
func (n *session) tellLoss(sub *hub.Subscriber) {
	if lost := sub.Stats().Dropped; lost > n.told && n.server.lossTold.Now() {
		n.told = lost
		n.server.opts.Logger.Warn("virtualcan: a client does not keep up and loses messages", "client", n.name, "so far", lost)
	}
}
