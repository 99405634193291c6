package virtualcan

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// DefaultAddress is where [Serve] listens if it gets no listener. The port is
// that of virtualcan's server, and of Dial where an address has none.
const (
	DefaultAddress = "127.0.0.1:" + defaultPort
	defaultPort    = "18881"
)

// DialOptions configure a client. Nil or the zero value is ready to use.
type DialOptions struct {
	// Filters select the messages to receive, as [hub.SubscriberOptions].Filters
	// does. The server sends all of them. Default: none.
	Filters []hub.Filter
	// PacketTimeout is how long the rest of a packet may take once a part of it
	// has come. Negative: no limit. Default: 10 s.
	PacketTimeout time.Duration
	// Logger hears of packets that are no frames, as warnings, at most once a
	// second. Its handler runs in the goroutine that receives: it must not close
	// the bus. Default: silent.
	Logger *slog.Logger
}

func (o *DialOptions) withDefaults() (DialOptions, error) {
	var r DialOptions
	if o != nil {
		r = *o
	}
	for i, f := range r.Filters {
		if f.StandardOnly && f.ExtendedOnly {
			return r, fmt.Errorf("virtualcan: Filters[%d]: StandardOnly and ExtendedOnly, which nothing matches", i)
		}
	}
	r.Filters = slices.Clone(r.Filters) // the caller may change its own
	limit(&r.PacketTimeout, 10*time.Second)
	r.Logger = orSilent(r.Logger)
	return r, nil
}

// Options configure a server. Nil or the zero value is ready to use.
type Options struct {
	// Channel is the channel that the clients are on. Default: "can0".
	Channel string

	// MaxClients is how many may be there at a time; the connections of others
	// are closed. Negative: no limit. Default: 256.
	MaxClients int
	// Queue is how many messages are kept for a client that does not keep up,
	// beside what is being written and what the network holds. One costs 18 bytes
	// while it waits; a client without any costs 110 KiB or so. 1 to 1048576.
	// Default: 4096.
	Queue int
	// PacketTimeout is how long the rest of a packet may take once a part of it
	// has come; then the client is dropped. Negative: no limit. Default: 10 s.
	PacketTimeout time.Duration
	// WriteTimeout is how long a client may take nothing of what is sent to it;
	// then it is dropped. Negative: no limit. Default: 10 s.
	WriteTimeout time.Duration

	// Logger hears who comes and goes, at debug level; who is dropped and what is
	// lost or not passed on, as warnings, at most once a second of each kind. Its
	// handler runs in a goroutine of a client, or in that of Serve: while it waits
	// for something, the channel may have to wait too. Default: silent.
	Logger *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	if r.Channel == "" {
		r.Channel = "can0"
	}
	if r.MaxClients == 0 {
		r.MaxClients = 256
	}
	if r.Queue == 0 {
		r.Queue = 4096
	}
	if r.Queue < 0 || r.Queue > maxQueue {
		return r, fmt.Errorf("virtualcan: Queue %d: want 1 to %d, or 0 for 4096", r.Queue, maxQueue)
	}
	limit(&r.PacketTimeout, 10*time.Second)
	limit(&r.WriteTimeout, 10*time.Second)
	r.Logger = orSilent(r.Logger)
	return r, nil
}

const maxQueue = 1 << 20 // of package hub

// limit makes 0 the default and what is negative 0, which is no limit.
func limit(d *time.Duration, byDefault time.Duration) {
	if *d == 0 {
		*d = byDefault
	}
	*d = max(*d, 0)
}

func orSilent(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
