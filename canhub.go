// Package canhub opens CAN buses by URL, so that a program can leave it to its
// user whether a bus is a channel in the process, a group of machines on a
// network or a recorded log:
//
//	bus, err := canhub.Open(ctx, "multicast://239.74.163.2?iface=lo")
//
// What comes back is a [hub.Bus]: Send, Recv and Close. These are the URLs; the
// options stand in the query, and [Schemes] has them all with their meaning. In
// the name of a file or channel %, ? and # are written as %25, %3F and %23. A
// server without a host is on this machine, without either at its usual port: ws:
// is ws://127.0.0.1:54701/.
//
//	hub:can0                              a channel of the Opener's hub
//	multicast://239.74.163.2:43113        python-can's udp_multicast
//	ws://host:54701/can0                  a server of python-can-remote's protocol; wss: with TLS
//	virtualcan://host:18881               a server of windelbouwman/virtualcan's TCP protocol
//	zeromcan://localhost:5555             a virtualcan server with ZeroMQ
//	log:drive.log?speed=2                 a log file, played at its own pace
//
// The packages that do the work can be used without this one: hub, canlog, and
// those under transport.
package canhub

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/canhub-go/canhub/hub"
)

// An Opener opens buses. The zero value is ready for all URLs but hub: ones.
type Opener struct {
	// Hub has the channels of hub: URLs. The Opener does not close it.
	// Default: nil, and such a URL is an error.
	Hub *hub.Hub
	// Page answers those who come to a server of [Opener.Listen] with a browser,
	// where it speaks HTTP. Default: nil, they get 404.
	Page http.Handler
	// Logger hears what a bus cannot return as an error, such as datagrams that
	// are no frames. Default: nil, silent.
	Logger *slog.Logger
}

// Open is the Open of the zero [Opener].
func Open(ctx context.Context, url string) (hub.Bus, error) { return (&Opener{}).Open(ctx, url) }

// Open opens the bus that url names. Where it has to connect to somebody it
// waits for that until ctx is done; the bus stays open when ctx ends later, until
// its Close.
//
// It returns an error that names the URL, without its token, and what is wrong with it. For an
// unknown scheme or option it lists the known ones.
func (o *Opener) Open(ctx context.Context, url string) (hub.Bus, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, a, err := parse(url, Schemes(), func(s Scheme) []Option { return s.Options })
	if err != nil {
		return nil, err
	}
	bus, err := s.open(ctx, o, a)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("canhub: open %s: %w", withoutToken(url), err)
	}
	return bus, nil
}
