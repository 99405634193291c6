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
	// maxBatch is how many messages are put onto the channel at once.
	maxBatch = 128
	// inHand is how many messages of the channel may wait to be put into the outflow.
	inHand = 4096
)

// A session is one client of a server. The goroutine of run reads, and two that
// it waits for bring what others send: one from the channel, which does not wait
// for the client for long, and one to the client, where that has to be waited for.
type session struct {
	server *Server
	name   string
	wire   *wire
	sub    *hub.Subscriber
	out    *outflow
	lost   atomic.Uint64 // messages for which out had no room
}

// join puts the client on the channel.
func (n *session) join() (err error) {
	n.sub, err = n.server.hub.Open(n.server.opts.Channel, &hub.SubscriberOptions{
		Name:  n.server.opts.Channel + "/" + n.name,
		Queue: inHand,
	})
	return err
}

// run serves the client, which has joined.
func (n *session) run(ctx context.Context) {
	log := n.server.opts.Logger
	defer n.server.ended(n)
	defer n.wire.Close()
	log.Debug("virtualcan: session", "client", n.name, "channel", n.sub.Channel())

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
	forwarded := make(chan struct{}) // closed below
	wg.Go(func() {
		end(n.forward(ctx))
		close(forwarded)
		for err := error(nil); err == nil; { // until it is closed: the channel waits for nobody who ends
			_, err = n.sub.RecvBatch(context.Background())
		}
	})
	wg.Go(func() {
		err := n.write()
		if lost := (*net.OpError)(nil); errors.As(err, &lost) && !n.wire.ending() {
			// The client may have gone, and what it has sent before is still read.
			n.wire.hurry(haste)
			select {
			case <-ctx.Done():
			case <-time.After(haste):
			}
		}
		if err != nil {
			end(err)
		}
		n.wire.closeWrite()
	})
	err := n.read(ctx)
	if err == hub.ErrClosed {
		n.wire.hurry(haste) // and forward ends by itself: the hub may have more for the client
	} else {
		end(err)
	}
	<-forwarded
	n.sub.Close()
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
func (n *session) read(ctx context.Context) error {
	s := n.server
	var batch *[maxBatch]hub.Message
	number := 0 // of those in batch
	flush := func() error {
		// It waits while the channel is busy, and so does this client alone.
		err := n.sub.SendBatch(ctx, batch[:number])
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

// batches are for messages that have come.
var batches = sync.Pool{New: func() any { return new([maxBatch]hub.Message) }}

// forward brings what comes on the channel to the outflow, until ctx is done or
// the hub is closed.
func (n *session) forward(ctx context.Context) error {
	defer n.out.end()
	now, cancel := context.WithCancel(context.Background())
	cancel() // a receive call with it does not wait
	for ctx.Err() == nil {
		batch, err := n.sub.RecvBatch(now)
		if err != nil { // nothing is there
			n.give()
			if batch, err = n.sub.RecvBatch(ctx); err != nil {
				return err
			}
		}
		n.pass(batch, ctx.Done())
	}
	// What the channel had for the client until now, or about that, still goes.
	for left := n.sub.Stats().Queued; left > 0; {
		batch, err := n.sub.RecvBatch(ctx)
		if err != nil {
			return err
		}
		n.pass(batch, ctx.Done())
		left -= len(batch)
	}
	return ctx.Err()
}

// pass brings messages to the outflow, as far as there is room and the protocol
// can carry them.
func (n *session) pass(batch []hub.Message, stop <-chan struct{}) {
	s, log := n.server, n.server.opts.Logger
	lost := uint64(0)
	for {
		if lost == 0 {
			batch = n.out.put(batch)
		}
		if len(batch) == 0 {
			break
		}
		if why := uncarried(&batch[0]); why != nil {
			if total := s.refused.Add(1); s.refusalTold.Now() {
				log.Warn("virtualcan: a message was not passed on", "client", n.name, "message", batch[0], "error", why, "so far", total)
			}
			batch = batch[1:]
		} else if lost == 0 {
			n.give() // it is full
			if !n.out.wait(stop) {
				lost = 1
				batch = batch[1:]
			}
		} else {
			lost++
			batch = batch[1:]
		}
	}
	if lost > 0 {
		if total := n.lost.Add(lost); s.lossTold.Now() {
			log.Warn("virtualcan: a client does not keep up and loses messages", "client", n.name, "so far", total)
		}
	}
}

// give has what is in the outflow written.
func (n *session) give() { n.server.sent.Add(uint64(n.out.give())) }

// write sends what has to wait for the client, as much at once as is there.
func (n *session) write() error {
	var b []byte
	var rest int
	for {
		if b, rest = n.out.take(b); b == nil {
			return nil
		}
		if err := n.wire.send(b[rest:]); err != nil {
			n.out.lose()
			return err
		}
		n.server.sent.Add(uint64(len(b)/packetLen - rest/packetLen)) // the others were counted
	}
}
