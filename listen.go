package canhub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"path"
	"slices"

	"github.com/canhub-go/canhub/transport/remote"
)

// A Server lets clients onto a channel. It has its address, and clients are let
// in when Run works.
type Server struct {
	url   string
	open  bool // to anybody, from elsewhere too
	serve func(ctx context.Context) error
	close func() error
}

// Listen makes a server for clients of the channel, at the address that url
// tells: without a host on loopback, without a port on the one of the protocol,
// with port 0 on a free one. The channel is of the Opener's Hub. In the protocol
// of python-can-remote a client can choose another channel that exists by the path
// of its URL.
//
// The errors are those of [Opener.Open].
func (o *Opener) Listen(channel, url string) (*Server, error) {
	servers := slices.DeleteFunc(Schemes(), func(s Scheme) bool { return s.Listen == nil })
	s, a, err := parse(url, servers, func(s Scheme) []Option { return s.Listen })
	if err != nil {
		return nil, err
	}
	bad := func(err error) (*Server, error) {
		return nil, fmt.Errorf("canhub: listen on %s: %w", withoutToken(url), err)
	}
	switch {
	case o.Hub == nil:
		return bad(errors.New("there is no hub: it takes an Opener with a Hub"))
	case a.path != "":
		return bad(fmt.Errorf("path %q: want %s://HOST:PORT", a.path, s.Name))
	}
	server, err := s.listen(o, channel, a)
	if err != nil {
		return bad(err)
	}
	return server, nil
}

// Run lets clients in until ctx is done, and then returns nil when they are gone.
// If the network fails it returns its error.
func (s *Server) Run(ctx context.Context) error { return s.serve(ctx) }

// URL returns what a client on this machine can open.
func (s *Server) URL() string { return s.url }

// Open reports whether anybody who reaches this machine may come in: it does not
// listen on loopback, and asks for no token.
func (s *Server) Open() bool { return s.open }

// Close gives the address back, if Run was not called.
func (s *Server) Close() error { return s.close() }

// tcp listens there.
func (a *address) tcp(port string) (net.Listener, error) { return net.Listen("tcp", a.hostPort(port)) }

// local returns an address that somebody listens on as a client on this machine
// has it, and whether it is for this machine alone.
func local(a net.Addr) (hostPort string, loopback bool) {
	addr := a.(*net.TCPAddr)
	ip := addr.IP
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return (&net.TCPAddr{IP: ip, Port: addr.Port}).String(), addr.IP.IsLoopback()
}

func listenRemote(o *Opener, channel string, a *address) (*Server, error) {
	opts := &remote.Options{
		Channel:    channel,
		Access:     remote.Existing,
		Token:      a.token(),
		Origins:    a.options["origin"],
		MaxClients: a.int("clients", 0, math.MaxInt32),
		Fallback:   o.Page,
		Logger:     o.Logger,
	}
	for _, origin := range opts.Origins {
		if _, err := path.Match(origin, ""); err != nil {
			a.fail("origin", origin, "a pattern such as *.example.com")
		}
	}
	cert, key := a.text("cert", ""), a.text("key", "")
	if a.err != nil {
		return nil, a.err
	}
	var secure *tls.Config
	if a.scheme == "wss" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("options cert and key: %w", err)
		}
		secure = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	l, err := a.tcp(remotePort)
	if err != nil {
		return nil, err
	}
	hostPort, loopback := local(l.Addr())
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	return &Server{
		url:   a.scheme + "://" + hostPort + "/",
		open:  !loopback && opts.Token == "",
		serve: func(ctx context.Context) error { return remote.Serve(ctx, l, o.Hub, opts) },
		close: l.Close,
	}, nil
}
