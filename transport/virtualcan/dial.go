package virtualcan

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// answerTime is how long it may take to connect.
const answerTime = 15 * time.Second

// Dial connects to a server, at HOST:PORT, or HOST for port 18881. It waits for
// the connection until ctx is done, for 15 seconds at most. When ctx ends later,
// that does not matter to the bus. The error names the server and what went
// wrong.
//
// The protocol does not tell when the server has the client on its channel.
func Dial(ctx context.Context, address string, o *DialOptions) (*Bus, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	name, err := withPort(address)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{Timeout: answerTime}).DialContext(ctx, "tcp", name) // with TCP_NODELAY
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("virtualcan: %w", err)
	}
	return newBus(conn, name, opts), nil
}

// withPort returns an address with the default port if it has none.
func withPort(address string) (string, error) {
	host, port := address, defaultPort
	if ip, err := netip.ParseAddr(address); err == nil && ip.Is6() {
		return net.JoinHostPort(host, port), nil
	}
	if i := strings.LastIndexByte(address, ':'); i >= 0 && !strings.HasSuffix(address, "]") {
		var err error
		if host, port, err = net.SplitHostPort(address); err != nil {
			return "", fmt.Errorf("virtualcan: %w", err)
		}
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" || port == "" {
		return "", fmt.Errorf("virtualcan: address %q: want HOST:PORT, or HOST for port %s", address, defaultPort)
	}
	return net.JoinHostPort(host, port), nil
}
