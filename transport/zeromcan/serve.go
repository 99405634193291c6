package zeromcan

import (
	"cmp"
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

	// A message of a client has a place in senders until it has come back to node,
	// and that place as its Tag. free has the places that are to be had: who sends
	// takes one, publish gives it back. Never closed.
	senders [maxAhead]string
	free    chan uint64

	names atomic.Uint64 // the number of the next client

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

// Listen listens at the two addresses that [Serve] needs, each HOST:PORT, where port
// 0 is a free one: for calls, by default at [DefaultAddress], and for publications,
// without HOST at that of the calls, and by default at the port after theirs or,
// for port 0, at a free one. The empty string is the default.
//
// There is no security in the protocol: whoever reaches an address can read or
// send.
func Listen(calls, publish string) (c, p net.Listener, err error) {
	calls = cmp.Or(calls, DefaultAddress)
	if publish, err = publishAddress(calls, publish); err != nil {
		return nil, nil, err
	}
	if c, err = net.Listen("tcp", calls); err != nil {
		return nil, nil, fmt.Errorf("zeromcan: %w", err) // which names the address
	}
	if p, err = net.Listen("tcp", publish); err != nil {
		c.Close()
		return nil, nil, fmt.Errorf("zeromcan: publish: %w", err)
	}
	return c, p, nil
}

// Serve is a server for one channel of h until ctx is done, with the listeners
// of [Listen], or if both are nil with those of Listen("", ""). It opens the
// channel as one subscriber, which sends for all clients.
//
// It returns nil when ctx is done. Before that it returns an error about an option
// or an address, [net.ErrClosed] if somebody closes a listener, or [hub.ErrClosed]
// if somebody closes h. When it returns, the listeners and all connections are
// closed and its goroutines have ended.
func Serve(ctx context.Context, calls, publish net.Listener, h *hub.Hub, o *Options) error {
	if calls == nil && publish == nil {
		var err error
		if calls, publish, err = Listen("", ""); err != nil {
			return err
		}
	}
	defer calls.Close()
	defer publish.Close()
	opts, err := o.withDefaults()
	if err != nil {
		return err
	}
	node, err := h.Open(opts.Channel, &hub.SubscriberOptions{Name: "zeromcan", OwnMessages: true})
	if err != nil {
		return err
	}
	defer node.Close()
	s := &server{
		opts:        opts,
		node:        node,
		free:        make(chan uint64, maxAhead),
		subscribers: make(map[*subscriber]struct{}),
	}
	for i := range uint64(maxAhead) {
		s.free <- i
	}
	s.names.Store(*opts.first)
	defer s.tell()

	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { cancel(s.publish(inner)) })
	wg.Go(func() { cancel(s.accept(inner, calls, s.answerCalls)) })
	wg.Go(func() { cancel(s.accept(inner, publish, s.serveSubscriber)) })
	<-inner.Done()
	if ctx.Err() != nil {
		return nil
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

// accept serves connections until ctx is done or l is closed, each in a goroutine
// of its own that it waits for.
func (s *server) accept(ctx context.Context, l net.Listener, serve func(context.Context, net.Conn) error) error {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	life, end := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	slots := make(chan struct{}, s.opts.MaxClients)
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) { // by the caller
				return fmt.Errorf("zeromcan: %w", err)
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
			stop := context.AfterFunc(life, func() { c.Close() })
			defer stop()
			err := serve(life, c)
			if life.Err() == nil && !gone(err) {
				s.senseless.report(1, s.opts.Logger, warnSenseless, "client", c.RemoteAddr(), "error", err)
			}
		})
	}
}

// gone reports whether err only says that a client has left, in whatever way.
func gone(err error) bool {
	var sys *os.SyscallError // reset by the peer, broken pipe
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || err == errSilent || errors.As(err, &sys)
}
