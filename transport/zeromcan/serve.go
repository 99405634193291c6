package zeromcan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A server is what the goroutines of one Serve share.
type server struct {
	opts Options
	node *hub.Subscriber // all clients are one node of the channel; only publish receives

	turn    chan struct{} // has room for the one who sends to node; never closed
	ahead   chan struct{} // has one for each message of node that is to come back; never closed
	senders chan string   // whose those are, with as much room; who has the turn sends, never closed
	names   atomic.Uint64 // the number of the next client

	mu          sync.Mutex // for the map and the topics in it; never held while waiting
	subscribers map[*subscriber]struct{}

	refused, senseless, unsent, uncarried, lost reporter
}

// maxAhead is how many messages of clients may be on their way through the hub.
const maxAhead = 1024

const (
	warnRefused   = "zeromcan: client refused"
	warnSenseless = "zeromcan: client makes no sense"
	warnUnsent    = "zeromcan: message of a client not sent"
	warnUncarried = "zeromcan: message not published"
	warnLost      = "zeromcan: messages dropped, a subscriber is too slow"
)

// Serve is a server for one channel of h, until ctx is done. It opens the channel
// as one subscriber, which sends for all clients.
//
// It returns the ctx's error as it is, an error about an option or an address
// that it cannot have, or [hub.ErrClosed] if h is closed. When it returns, all
// connections are closed and its goroutines have ended.
func Serve(ctx context.Context, h *hub.Hub, o *Options) error {
	opts, err := o.withDefaults()
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var listen net.ListenConfig
	calls, err := listen.Listen(ctx, "tcp", opts.Address)
	if err != nil {
		return fmt.Errorf("zeromcan: %w", err) // which names the address
	}
	defer calls.Close()
	publish, err := listen.Listen(ctx, "tcp", opts.Publish)
	if err != nil {
		return fmt.Errorf("zeromcan: publish: %w", err)
	}
	defer publish.Close()
	node, err := h.Open(opts.Channel, &hub.SubscriberOptions{Name: "zeromcan", OwnMessages: true})
	if err != nil {
		return err
	}
	defer node.Close()
	s := &server{
		opts:        opts,
		node:        node,
		turn:        make(chan struct{}, 1),
		ahead:       make(chan struct{}, maxAhead),
		senders:     make(chan string, maxAhead),
		subscribers: make(map[*subscriber]struct{}),
	}
	s.names.Store(*opts.first)
	defer s.tell()

	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { cancel(s.publish(inner)) })
	wg.Go(func() { s.accept(inner, calls, s.answerCalls) })
	wg.Go(func() { s.accept(inner, publish, s.serveSubscriber) })
	if opts.Started != nil {
		opts.Started(calls.Addr(), publish.Addr())
	}
	<-inner.Done()
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Cause(inner)
}

// tell logs what the reporters have kept to themselves.
func (s *server) tell() {
	s.refused.tell(s.opts.Logger, warnRefused)
	s.senseless.tell(s.opts.Logger, warnSenseless)
	s.unsent.tell(s.opts.Logger, warnUnsent)
	s.uncarried.tell(s.opts.Logger, warnUncarried)
	s.lost.tell(s.opts.Logger, warnLost)
}

// accept serves connections until ctx is done, each in a goroutine of its own
// that it waits for.
func (s *server) accept(ctx context.Context, l net.Listener, serve func(context.Context, net.Conn) error) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, s.opts.MaxClients)
	for ctx.Err() == nil {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			s.refused.report(1, s.opts.Logger, warnRefused, "error", err)
			select { // the system has no more files, say: that passes
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			c.Close()
			s.refused.report(1, s.opts.Logger, warnRefused, "client", c.RemoteAddr(), "error",
				fmt.Sprintf("%d connections on %s, which is the limit", s.opts.MaxClients, l.Addr()))
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			defer c.Close()
			stop := context.AfterFunc(ctx, func() { c.Close() })
			defer stop()
			err := serve(ctx, c)
			if ctx.Err() == nil && !gone(err) {
				s.senseless.report(1, s.opts.Logger, warnSenseless, "client", c.RemoteAddr(), "error", err)
			}
		})
	}
}

// gone reports whether err only says that a client has left, in whatever way.
func gone(err error) bool {
	var sys *os.SyscallError // reset by the peer, broken pipe
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &sys)
}
