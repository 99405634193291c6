package zeromcan

import (
	"cmp"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// What the original uses, always.
const (
	// DefaultPort is where a server answers calls (REP).
	DefaultPort = 5555
	// DefaultPublishPort is where it publishes frames (PUB).
	DefaultPublishPort = 5556

	// DefaultAddress is where a server answers calls.
	DefaultAddress = "127.0.0.1:5555"
)

// DialOptions configure a [Bus]. Nil or the zero value is ready to use.
type DialOptions struct {
	// Publish is the address at which the server publishes, HOST:PORT. Without
	// HOST it is that of the calls. Default: that and the port after theirs, as
	// 5556 is after 5555.
	Publish string
	// ReplyTime is how long the server may take to answer a call. What takes
	// longer ends the bus. Default: 5 s.
	ReplyTime time.Duration
	// OwnMessages also delivers the messages that this bus sent, marked
	// [hub.Own], when the server publishes them. Default: false.
	OwnMessages bool
	// Filters select the messages to receive, as [hub.SubscriberOptions].Filters
	// does: any match is enough, none means all. They work in this process, so
	// all frames are received. Default: none.
	Filters []hub.Filter
	// Logger hears of publications that are not frames, at most once a second.
	// Its handler runs in the goroutine that receives: it must not close the
	// bus. Default: silent.
	Logger *slog.Logger
}

const defaultReplyTime = 5 * time.Second

func (o *DialOptions) withDefaults(address string) (string, DialOptions, error) {
	var r DialOptions
	if o != nil {
		r = *o
	}
	if address == "" {
		address = DefaultAddress
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(trimBrackets(address), strconv.Itoa(DefaultPort))
	}
	var err error
	if r.Publish, err = publishAddress(address, r.Publish); err != nil {
		return "", r, err
	}
	if r.ReplyTime == 0 {
		r.ReplyTime = defaultReplyTime
	}
	if r.ReplyTime < 0 {
		return "", r, fmt.Errorf("zeromcan: ReplyTime %v: want more than 0, or 0 for %v", r.ReplyTime, defaultReplyTime)
	}
	for i, f := range r.Filters {
		if f.StandardOnly && f.ExtendedOnly {
			return "", r, fmt.Errorf("zeromcan: Filters[%d]: StandardOnly and ExtendedOnly, which nothing matches", i)
		}
	}
	r.Filters = slices.Clone(r.Filters) // the caller may change its own
	return address, r, nil
}

func trimBrackets(host string) string {
	if len(host) > 2 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

// Options configure [Serve]. Nil or the zero value is ready to use.
type Options struct {
	// Channel is the hub's channel to serve. Default: "can0".
	Channel string
	// MaxClients is how many connections each of the two addresses may have. More
	// are closed at once. 1 to 65536. Default: 256.
	MaxClients int
	// Queue is how many frames wait for a subscriber that is slow. What comes
	// beyond it does not get. 1 to 65536. Default: 1024.
	Queue int
	// Logger hears of clients that are refused or make no sense, of messages that
	// the channel had no room for, that the protocol cannot carry, and that a slow
	// subscriber did not get, each at most once a second and at the end, as
	// warnings with the count so far. Its handler runs in the goroutines that
	// serve: it must not wait for the hub. Default: silent.
	Logger *slog.Logger

	first *uint64 // the number of the first client; nil: random
}

const (
	defaultChannel    = "can0"
	defaultMaxClients = 256
	defaultQueue      = 1024
	maxOption         = 1 << 16
)

func (o *Options) withDefaults() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	if r.Channel == "" {
		r.Channel = defaultChannel
	}
	if r.MaxClients == 0 {
		r.MaxClients = defaultMaxClients
	}
	if r.Queue == 0 {
		r.Queue = defaultQueue
	}
	switch {
	case r.MaxClients < 1 || r.MaxClients > maxOption:
		return r, fmt.Errorf("zeromcan: MaxClients %d: want 1 to %d, or 0 for %d", r.MaxClients, maxOption, defaultMaxClients)
	case r.Queue < 1 || r.Queue > maxOption:
		return r, fmt.Errorf("zeromcan: Queue %d: want 1 to %d, or 0 for %d", r.Queue, maxOption, defaultQueue)
	}
	if r.first == nil {
		r.first = new(rand.N(uint64(1 << 31)))
	}
	return r, nil
}

// publishAddress returns publish, or what it is by default beside calls.
func publishAddress(calls, publish string) (string, error) {
	host, text, err := net.SplitHostPort(calls)
	if err != nil {
		return "", fmt.Errorf("zeromcan: address %q: want HOST:PORT", calls)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", fmt.Errorf("zeromcan: address %q: want a port of 0 to 65535", calls)
	}
	switch {
	case publish != "":
		own, port, err := net.SplitHostPort(publish)
		if err != nil {
			return "", fmt.Errorf("zeromcan: publication address %q: want HOST:PORT", publish)
		}
		return net.JoinHostPort(cmp.Or(own, host), port), nil
	case port == 65535:
		return "", fmt.Errorf("zeromcan: address %q: there is no port after it, so the publication address must be told", calls)
	case port != 0:
		port++
	}
	return net.JoinHostPort(host, strconv.FormatUint(port, 10)), nil
}
