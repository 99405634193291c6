package remote

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// DefaultAddress is where [Serve] listens if it gets no listener. The port is
// that of python-can-remote.
const DefaultAddress = "127.0.0.1:54701"

// DialOptions configure a client. Nil or the zero value is ready to use.
type DialOptions struct {
	// JSON asks for the subprotocol can.json.v1, in which frames come as JSON.
	// Default: false, for can.binary+json.v1 where the server has it.
	JSON bool
	// Token is sent in a header, "Authorization: Bearer". Default: none.
	Token string
	// Header is sent with the request. Default: none.
	Header http.Header
	// TLS is for wss: URLs. Default: the system's authorities.
	TLS *tls.Config

	// Channel asks for a channel by name in place of the URL's path, where the
	// server allows that. Default: none.
	Channel string
	// OwnMessages also delivers the messages that this client sent, marked
	// [hub.Own] if the server marks them. Default: false.
	OwnMessages bool
	// KeepTimestamps asks the server to leave the messages sent the Timestamp
	// they carry. Default: false, it stamps them.
	KeepTimestamps bool
	// Filters select the messages to receive, as [hub.SubscriberOptions].Filters
	// does. The server gets them too, to send no others, unless one is an
	// inverted one, which the protocol does not know. Default: none.
	Filters []hub.Filter
	// Bitrate is in bit/s. A server that has a device sets it. Default: 0, not
	// sent.
	Bitrate int
	// FD asks a server that has a device for CAN FD. Default: false, not sent.
	FD bool
	// Config are more settings for the server's bus, as a Python program hands
	// them to can.Bus; they must be what package json can write, and win over
	// those above. Default: none.
	Config map[string]any

	// Logger hears of messages that are no frames, as warnings, at most once a
	// second. Its handler runs in the goroutine that receives: it must not close
	// the bus. Default: silent.
	Logger *slog.Logger
}

// config returns what the bus_request says.
func (o *DialOptions) config() map[string]any {
	c := make(map[string]any)
	if o.Channel != "" {
		c["channel"] = o.Channel
	}
	if o.OwnMessages {
		c["receive_own_messages"] = true
	}
	if o.KeepTimestamps {
		c["preserve_timestamps"] = true
	}
	if o.Bitrate != 0 {
		c["bitrate"] = o.Bitrate
	}
	if o.FD {
		c["fd"] = true
	}
	if filters := configFilters(o.Filters); filters != nil {
		c["can_filters"] = filters
	}
	for name, v := range o.Config {
		c[name] = v
	}
	return c
}

func (o *DialOptions) withDefaults() (DialOptions, error) {
	var r DialOptions
	if o != nil {
		r = *o
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	if r.Bitrate < 0 {
		return r, fmt.Errorf("remote: Bitrate %d: want more than 0, or 0 for none", r.Bitrate)
	}
	for i, f := range r.Filters {
		if f.StandardOnly && f.ExtendedOnly {
			return r, fmt.Errorf("remote: Filters[%d]: StandardOnly and ExtendedOnly, which nothing matches", i)
		}
	}
	r.Filters = append([]hub.Filter(nil), r.Filters...) // the caller may change its own
	return r, nil
}

// Access says which channels a client may choose.
type Access int

const (
	// Listed are Options.Channel and Options.Channels.
	Listed Access = iota
	// Existing are these, and all that exist when the client comes.
	Existing
	// Any is any name of up to 64 bytes, of which none is a control character.
	// The first client makes the channel, the last to leave ends it.
	Any
)

// Options configure a server. Nil or the zero value is ready to use. A limit of
// 0 is the default, a negative one is none.
type Options struct {
	// Channel is the channel of clients that choose none: whose path is "/".
	// Default: "can0".
	Channel string
	// Channels are more channels, chosen by the path of the URL: "/can1".
	// Default: none.
	Channels []string
	// Access opens other channels. Default: Listed, no others.
	Access Access
	// ConfigChannel also lets a client choose by "channel" in its bus_request,
	// which wins over the path. Default: false, it is ignored.
	ConfigChannel bool

	// Token is what a client must know: in a header "Authorization: Bearer TOKEN",
	// or for a browser, that cannot set one, in the URL as ?token=TOKEN. Others
	// get 401. Default: none is needed.
	Token string
	// Origins are patterns, as of path.Match, of the hosts whose web pages may
	// connect, such as "*.example.com" or "https://example.com". A page of the
	// server's own host may, too. But where no Token is needed and the connection
	// is of this machine, a name with dots must be here: anybody can let one point
	// to 127.0.0.1, and so his page in a local browser would be of this host. One
	// that is no pattern admits nobody and is logged. Default: no others.
	Origins []string
	// Fallback answers requests that are no WebSocket ones. Default: 404.
	Fallback http.Handler

	// MaxClients is how many may be there at a time; others get 503.
	// Default: 1024.
	MaxClients int
	// Queue is how many messages are kept for a client that does not keep up,
	// beside what the network holds. 1 to 1048576. Default: 512.
	Queue int
	// MaxMessage is how many bytes a message of a client may have. A client that
	// sends a longer one is dropped. Default: 131072, 128 KiB.
	MaxMessage int
	// MaxTasks is how many periodic tasks a client may have. All of them together
	// may send 10,000 messages a second. Default: 64.
	MaxTasks int
	// HandshakeTimeout is how long a client may take to ask for its bus.
	// Default: 10 s.
	HandshakeTimeout time.Duration
	// WriteTimeout is how long a client may take to make room for what is written
	// at once, 33 KiB at most. Default: 10 s.
	WriteTimeout time.Duration
	// PingInterval is how long a client may be silent before it is pinged. If it
	// does not answer within as much time again, it is dropped. Python clients
	// are never pinged, for a ping makes their recv hang. Default: 30 s.
	PingInterval time.Duration
	// IdleLimit is how long a Python client may be silent before it is dropped.
	// Default: 0, no limit; the system finds out when its host is gone.
	IdleLimit time.Duration

	// Logger hears who comes and goes, at debug level, and who is dropped, as
	// warnings. Default: silent.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var r Options
	if o != nil {
		r = *o
	}
	if r.Channel == "" {
		r.Channel = "can0"
	}
	if r.Fallback == nil {
		r.Fallback = http.NotFoundHandler()
	}
	limit(&r.MaxClients, 1024, maxInt)
	if r.Queue <= 0 {
		r.Queue = 512
	}
	r.Queue = min(r.Queue, maxQueue)
	limit(&r.MaxMessage, 128<<10, maxInt)
	limit(&r.MaxTasks, 64, maxInt)
	limit(&r.HandshakeTimeout, 10*time.Second, never)
	limit(&r.WriteTimeout, 10*time.Second, never)
	limit(&r.PingInterval, 30*time.Second, never)
	if r.IdleLimit == 0 {
		r.IdleLimit = -1
	}
	limit(&r.IdleLimit, never, never)
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	r.Origins = nil
	if o != nil {
		for _, p := range o.Origins {
			if _, err := path.Match(p, ""); err != nil {
				r.Logger.Error("remote: Options.Origins: no pattern", "origin", p)
				continue // the library would print something for each client
			}
			r.Origins = append(r.Origins, strings.ToLower(p))
		}
	}
	return r
}

const (
	maxInt   = 1<<31 - 2 // and one more is still an int everywhere
	maxQueue = 1 << 20   // of package hub
	never    = 100 * 365 * 24 * time.Hour
)

// limit sets *v to what it means: the default, none, or itself.
func limit[N int | time.Duration](v *N, byDefault, none N) {
	switch {
	case *v == 0:
		*v = byDefault
	case *v < 0 || *v > none:
		*v = none
	}
}
