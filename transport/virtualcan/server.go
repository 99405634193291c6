package virtualcan

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// A Server has clients on a channel of a hub.
type Server struct {
	hub  *hub.Hub
	opts Options

	mu       sync.Mutex // for the two below
	sessions map[*session]struct{}
	dropped  uint64 // by sessions that have ended

	counters
	// When something was last told.
	lossTold, refusalTold, malformedTold, dropTold, rejectionTold, acceptTold bus.Seldom
}

// Serve serves clients on l until ctx is done. It is the Serve of a [NewServer].
func Serve(ctx context.Context, l net.Listener, h *hub.Hub, o *Options) error {
	s, err := NewServer(h, o)
	if err != nil {
		return err
	}
	return s.Serve(ctx, l)
}

// NewServer returns a server whose clients will be on a channel of h, which the
// caller closes.
func NewServer(h *hub.Hub, o *Options) (*Server, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{hub: h, opts: opts, sessions: make(map[*session]struct{})}, nil
}

// Serve serves clients on l until ctx is done. Then it sends them what is queued
// for them, closes their connections and returns nil when all are gone, after a
// second or little more. It closes l, and does not close the hub; when somebody
// else does, the clients' connections end, and new ones at once. If l is nil it
// listens on [DefaultAddress].
//
// Before ctx is done it returns only if l fails, with the error of that. Serve
// may be called several times, also at once, for several listeners.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if l == nil {
		var err error
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", DefaultAddress); err != nil {
			return err
		}
	}
	inner, end := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer end()
	running.Go(func() {
		<-inner.Done()
		l.Close()
	})
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errno := syscall.Errno(0); errors.As(err, &errno) && errno.Temporary() {
				if s.acceptTold.Now() {
					s.opts.Logger.Warn("virtualcan: nobody can connect for now", "error", err)
				}
				select { // for what it ran out of, such as files
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
				}
				continue
			}
			return err
		}
		n := s.newSession(conn)
		if n == nil {
			if total := s.rejected.Add(1); s.rejectionTold.Now() {
				s.opts.Logger.Warn("virtualcan: too many clients, one was not let in",
					"client", conn.RemoteAddr().String(), "limit", s.opts.MaxClients, "so far", total)
			}
			conn.Close()
			continue
		}
		// Here, so that clients join in the order in which they connect.
		if err := n.join(); err != nil {
			s.opts.Logger.Debug("virtualcan: no session", "client", n.name, "error", err)
			conn.Close()
			s.ended(n)
			continue
		}
		running.Go(func() { n.run(inner) })
	}
}

// newSession returns nil if there are too many.
func (s *Server) newSession(conn net.Conn) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.MaxClients > 0 && len(s.sessions) >= s.opts.MaxClients {
		return nil
	}
	n := &session{
		server: s,
		name:   conn.RemoteAddr().String(),
		wire:   &wire{Conn: conn, readWait: s.opts.PacketTimeout, writeWait: s.opts.WriteTimeout},
		out:    newOutflow(s.opts.Queue*packetLen, attempts(conn)),
	}
	s.sessions[n] = struct{}{}
	return n
}

// ended takes a session off the list.
func (s *Server) ended(n *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, n)
	s.dropped += n.lost.Load()
}

// Stats returns the counts so far.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	dropped := s.dropped
	for n := range s.sessions {
		dropped += n.lost.Load()
	}
	return ServerStats{
		Clients:   len(s.sessions),
		Rejected:  s.rejected.Load(),
		Received:  s.received.Load(),
		Malformed: s.malformed.Load(),
		Sent:      s.sent.Load(),
		Dropped:   dropped,
		Refused:   s.refused.Load(),
	}
}
