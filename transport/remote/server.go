package remote

import (
	"bufio"
	"context"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/coder/websocket"

	"github.com/canhub-go/canhub/hub"
)

// Handler returns a handler that lets WebSocket clients onto channels of h,
// which the caller closes. It may be mounted anywhere; the path that it sees
// chooses the channel. A session runs in the goroutine of its request and ends
// when the client goes, when h is closed or when the context of the request is
// done, which for a [http.Server] means that of BaseContext.
func Handler(h *hub.Hub, o *Options) http.Handler { return newServer(h, o) }

// Serve serves clients on l until ctx is done. Then it says goodbye to them,
// and returns nil when all are gone, after two seconds at most. It closes l, and
// does not close h. If l is nil it listens on [DefaultAddress]; for TLS give it a
// listener of package crypto/tls.
//
// Beside the clients, 1,024 connections may be there at a time, of those who ask
// for a page or for nothing yet; others are closed at once.
//
// Before ctx is done it returns only if l fails, with the error of that.
func Serve(ctx context.Context, l net.Listener, h *hub.Hub, o *Options) error {
	if l == nil {
		var err error
		if l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", DefaultAddress); err != nil {
			return err
		}
	}
	s := newServer(h, o)
	base, end := context.WithCancel(context.Background())
	defer end()
	web := &http.Server{
		Handler:           http.HandlerFunc(s.serveInTime),
		ConnState:         s.bound,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: s.opts.HandshakeTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(l) }() // received below
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	end()
	limit, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	if web.Shutdown(limit) != nil {
		web.Close()
	}
	s.end()
	if err == nil {
		<-failed
	}
	return err
}

// A server is the Handler.
type server struct {
	hub  *hub.Hub
	opts Options

	waiting  atomic.Int64 // connections of Serve that are no client's
	mu       sync.Mutex   // for the two below
	clients  int
	ended    bool
	sessions sync.WaitGroup
}

func newServer(h *hub.Hub, o *Options) *server {
	return &server{hub: h, opts: o.withDefaults()}
}

// enter counts one more client. It returns false if there are too many.
func (s *server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.clients >= s.opts.MaxClients {
		return false
	}
	s.clients++
	s.sessions.Add(1)
	return true
}

func (s *server) leave() {
	s.mu.Lock()
	s.clients--
	s.mu.Unlock()
	s.sessions.Done()
}

// end lets nobody in any more and waits for those who are there.
func (s *server) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.sessions.Wait()
}

// maxWaiting is how many connections without a client Serve keeps: a stranger
// can hold one for as long as he likes, and it takes some 20 KiB.
const maxWaiting = 1024

// bound closes a connection that is one too many.
func (s *server) bound(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if s.waiting.Add(1) > maxWaiting {
			conn.Close() // and so it is closed soon, and counted off
		}
	case http.StateHijacked, http.StateClosed:
		s.waiting.Add(-1)
	}
}

// serveInTime does not wait for long for the body of a request, which nobody
// here reads: net/http would, to keep the connection.
func (s *server) serveInTime(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.opts.HandshakeTimeout))
	}
	s.ServeHTTP(w, r)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !upgrades(r) {
		s.opts.Fallback.ServeHTTP(w, r)
		return
	}
	if !s.admits(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "a token is needed", http.StatusUnauthorized)
		return
	}
	if s.rebound(r) {
		http.Error(w, "a page of this host is not admitted: the server does not know the name", http.StatusForbidden)
		return
	}
	channel, ok := s.choose(strings.Trim(r.URL.Path, "/"))
	if !ok {
		http.Error(w, "no such channel", http.StatusNotFound)
		return
	}
	if !s.enter() {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many clients", http.StatusServiceUnavailable)
		return
	}
	defer s.leave()

	python := strings.HasPrefix(r.UserAgent(), "python-can")
	up := &upgrade{ResponseWriter: w, wire: &wire{
		single: r.TLS != nil, // Python sees only one message of a TLS record
		wait:   s.opts.WriteTimeout,
		first:  time.Now().Add(s.opts.HandshakeTimeout),
		quiet:  s.opts.PingInterval,
		ping:   !python,
		pen:    make(chan struct{}, 1),
	}}
	if python {
		up.wire.quiet = s.opts.IdleLimit
	}
	// What Python's server answers to those who offer neither.
	w.Header().Set("Sec-WebSocket-Protocol", protocolJSON)
	ws, err := websocket.Accept(up, r, &websocket.AcceptOptions{
		Subprotocols:    []string{protocolBinary, protocolJSON},
		OriginPatterns:  s.opts.Origins,
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		s.opts.Logger.Debug("remote: no WebSocket", "client", r.RemoteAddr, "error", err)
		return
	}
	ws.SetReadLimit(int64(s.opts.MaxMessage))
	(&session{
		server:  s,
		ws:      ws,
		wire:    up.wire,
		json:    !strings.EqualFold(ws.Subprotocol(), protocolBinary), // it is in the letters of the client
		channel: channel,
		log:     s.opts.Logger.With("client", r.RemoteAddr),
	}).run(r.Context())
}

// upgrades reports whether r asks for a WebSocket.
func upgrades(r *http.Request) bool {
	for _, v := range r.Header.Values("Upgrade") {
		for p := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(p), "websocket") {
				return true
			}
		}
	}
	return false
}

// admits reports whether r shows the token.
func (s *server) admits(r *http.Request) bool {
	if s.opts.Token == "" {
		return true
	}
	token := r.URL.Query().Get("token")
	if scheme, t, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = t
	}
	return subtle.ConstantTimeCompare([]byte(token), []byte(s.opts.Token)) == 1
}

// rebound reports whether r may come from a page of a stranger whose host has
// been made to point to this machine (DNS rebinding).
func (s *server) rebound(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if r.Header.Get("Origin") == "" || s.opts.Token != "" || !ok || !local.IP.IsLoopback() {
		return false // no browser, or nothing that he could not have without
	}
	host := strings.ToLower(r.Host)
	name := (&url.URL{Host: host}).Hostname()
	if !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost") || net.ParseIP(name) != nil {
		return false // names that nobody can have
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return !slices.ContainsFunc(s.opts.Origins, func(pattern string) bool {
		target := host
		if strings.Contains(pattern, "://") {
			target = scheme + host
		}
		matched, _ := path.Match(pattern, target)
		return matched
	})
}

// maxName is how long the name of a channel may be that a stranger makes.
const maxName = 64

// choose returns the channel that a client calls name.
func (s *server) choose(name string) (string, bool) {
	switch {
	case name == "" || name == s.opts.Channel:
		return s.opts.Channel, true
	case s.opts.Access == Any && len(name) <= maxName && !strings.ContainsFunc(name, unicode.IsControl):
		return name, true
	}
	for _, c := range s.opts.Channels {
		if c == name {
			return name, true
		}
	}
	if s.opts.Access == Existing {
		for _, c := range s.hub.Channels() {
			if c.Name == name {
				return name, true
			}
		}
	}
	return "", false
}

// An upgrade puts a wire between the connection and the library.
type upgrade struct {
	http.ResponseWriter
	wire *wire
}

// Hijack returns a writer that has room for a control frame.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	u.wire.Conn = conn
	return u.wire, bufio.NewReadWriter(rw.Reader, bufio.NewWriterSize(u.wire, 256)), nil
}
