package canhub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/multicast"
	"github.com/canhub-go/canhub/transport/remote"
	"github.com/canhub-go/canhub/transport/virtualcan"
)

// A Scheme is one kind of URL that [Open] knows.
type Scheme struct {
	Name    string // before the colon
	Form    string // an example
	Meaning string
	Options []Option

	open func(ctx context.Context, o *Opener, a *address) (hub.Bus, error)
}

// An Option may stand in the query of a URL.
type Option struct {
	Name    string
	Value   string // its form: a number, or words to choose from
	Meaning string // and the default
}

// Schemes returns all kinds of URLs that [Open] knows.
func Schemes() []Scheme { return slices.Clone(schemes()) }

func schemes() []Scheme {
	filter := Option{"filter", "ID:MASK", "receive only what matches, also ID~MASK or ID; may be there several times, any match is enough"}
	client := []Option{
		{"token", "TEXT", "what the server wants to be told (none)"},
		{"json", "BOOL", "frames as JSON (false)"},
		{"own", "BOOL", "receive own messages too (false)"},
		{"keep", "BOOL", "messages sent keep their timestamps (false)"},
		{"bitrate", "N", "in bit/s, for a server that has a device (not said)"},
		{"fd", "BOOL", "ask a server that has a device for CAN FD (not said)"},
		filter,
	}
	insecure := Option{"insecure", "BOOL", "take any certificate (false)"}
	return []Scheme{
		{
			Name: "hub", Form: "hub:can0", Meaning: "a channel of the hub in this process",
			Options: []Option{
				{"name", "TEXT", "the subscriber's name in logs and errors"},
				{"queue", "N", "messages that wait to be received (256)"},
				{"policy", "block|drop-oldest|drop-newest", "what happens to one more (block)"},
				{"blockfor", "DURATION", "how long block waits (no limit)"},
				{"own", "BOOL", "receive own messages too (false)"},
				{"keep", "BOOL", "messages sent keep their timestamps (false)"},
				{"errors", "BOOL", "receive an error frame where messages were lost (false)"},
				{"listen", "BOOL", "never send (false)"},
				filter,
			},
			open: openHub,
		},
		{
			Name: "multicast", Form: "multicast://239.74.163.2:43113", Meaning: "python-can's udp_multicast; without a group its IPv6 default",
			Options: []Option{
				{"iface", "NAME", "the network interface (what the system's routes choose)"},
				{"hops", "N", "networks that a frame may pass, 1 to 255 (1)"},
				{"fd", "BOOL", "carry CAN FD frames (true)"},
				{"own", "BOOL", "receive own messages too (false)"},
				{"buffer", "BYTES", "receive buffer to ask the system for (2097152)"},
				filter,
			},
			open: openMulticast,
		},
		{
			Name: "ws", Form: "ws://localhost:54701/can0", Meaning: "a channel of a server that speaks python-can-remote's protocol",
			Options: client,
			open:    openRemote("ws"),
		},
		{
			Name: "wss", Form: "wss://localhost:54701/can0", Meaning: "the same, over TLS",
			Options: append([]Option{insecure}, client...),
			open:    openRemote("wss"),
		},
		{
			Name: "virtualcan", Form: "virtualcan://localhost:18881", Meaning: "a server of windelbouwman/virtualcan's TCP protocol",
			Options: []Option{filter},
			open:    openVirtualcan,
		},
		{
			Name: "log", Form: "log:drive.log", Meaning: "a log file (.log, .asc, .blf, .csv, .trc, also .gz), played from the first Recv on",
			Options: []Option{
				{"speed", "N|max", "times faster than recorded (1)"},
				{"loop", "N|forever", "how often to play it (1)"},
				{"maxpause", "DURATION", "cut longer pauses to this (no limit)"},
				{"channel", "NAME", "only this channel of the log (all)"},
				filter,
			},
			open: openLog,
		},
	}
}

// parse splits a URL, and checks its scheme and the names of its options.
func parse(text string) (Scheme, *address, error) {
	all := schemes()
	bad := func(format string, args ...any) (Scheme, *address, error) {
		return Scheme{}, nil, fmt.Errorf("canhub: URL %q: %s", withoutToken(text), fmt.Sprintf(format, args...))
	}
	name, rest, found := strings.Cut(text, ":")
	i := slices.IndexFunc(all, func(s Scheme) bool { return strings.EqualFold(s.Name, name) })
	if !found || i < 0 {
		var known []string
		for _, s := range all {
			known = append(known, s.Form)
		}
		what := fmt.Sprintf("unknown scheme %q", name)
		if !found {
			what = "no scheme"
		}
		return bad("%s; known: %s", what, strings.Join(known, ", "))
	}
	s := all[i]
	rest, query, _ := strings.Cut(rest, "?")
	if strings.Contains(rest, "#") || strings.Contains(query, "#") {
		return bad("a # must be written as %%23")
	}
	options, err := url.ParseQuery(query)
	if err != nil {
		return bad("query: %v", err)
	}
	for name := range options {
		if !slices.ContainsFunc(s.Options, func(o Option) bool { return o.Name == name }) {
			var known []string
			for _, o := range s.Options {
				known = append(known, o.Name)
			}
			return bad("unknown option %q; %s: has %s", name, s.Name, strings.Join(known, ", "))
		}
	}
	a := &address{options: options}
	if host, isHost := strings.CutPrefix(rest, "//"); isHost {
		a.host, a.path, _ = strings.Cut(host, "/")
	} else {
		a.path = rest
	}
	for _, part := range []*string{&a.host, &a.path} {
		if *part, err = url.PathUnescape(*part); err != nil {
			return bad("%v", err)
		}
	}
	return s, a, nil
}

var token = regexp.MustCompile(`([?&]token=)[^&]*`)

// withoutToken returns a URL as it may stand in a log.
func withoutToken(url string) string { return token.ReplaceAllString(url, "${1}...") }

// An address is a URL without its scheme. Its methods read the options and keep
// the first error.
type address struct {
	host    string // with the port; what stands behind "//" up to "/"
	path    string // what stands behind the host, or behind the scheme
	options url.Values
	err     error
}

func (a *address) fail(name, value, want string) {
	if a.err == nil {
		a.err = fmt.Errorf("option %s=%s: want %s", name, value, want)
	}
}

// text returns the value of an option that may be there once.
func (a *address) text(name, byDefault string) string {
	switch values := a.options[name]; len(values) {
	case 0:
		return byDefault
	case 1:
		return values[0]
	default:
		a.fail(name, values[1], "it once")
		return byDefault
	}
}

// bool takes an option without value for true.
func (a *address) bool(name string, byDefault bool) bool {
	if !a.options.Has(name) {
		return byDefault
	}
	switch v := a.text(name, ""); strings.ToLower(v) {
	case "", "1", "t", "true", "yes", "on":
		return true
	case "0", "f", "false", "no", "off":
		return false
	default:
		a.fail(name, v, "true or false")
		return byDefault
	}
}

// int takes numbers from 1 to most.
func (a *address) int(name string, byDefault, most int) int {
	if !a.options.Has(name) {
		return byDefault
	}
	v := a.text(name, "")
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		a.fail(name, v, fmt.Sprintf("a number from 1 to %d", most))
	}
	return n
}

func (a *address) duration(name string) time.Duration {
	if !a.options.Has(name) {
		return 0
	}
	v := a.text(name, "")
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		a.fail(name, v, "a duration such as 100ms")
	}
	return d
}

func (a *address) filters() (all []hub.Filter) {
	for _, v := range a.options["filter"] {
		f, err := hub.ParseFilter(v)
		if err != nil && a.err == nil {
			a.err = fmt.Errorf("option filter: %w", err)
		}
		all = append(all, f)
	}
	return all
}

func openHub(_ context.Context, o *Opener, a *address) (hub.Bus, error) {
	policies := map[string]hub.Policy{"block": hub.Block, "drop-oldest": hub.DropOldest, "drop-newest": hub.DropNewest}
	policy, known := policies[a.text("policy", "block")]
	if !known {
		a.fail("policy", a.text("policy", ""), "block, drop-oldest or drop-newest")
	}
	opts := &hub.SubscriberOptions{
		Name:           a.text("name", ""),
		Queue:          a.int("queue", 0, math.MaxInt32),
		Policy:         policy,
		BlockFor:       a.duration("blockfor"),
		OwnMessages:    a.bool("own", false),
		KeepTimestamps: a.bool("keep", false),
		ErrorFrames:    a.bool("errors", false),
		ListenOnly:     a.bool("listen", false),
		Filters:        a.filters(),
	}
	switch {
	case a.err != nil:
		return nil, a.err
	case a.host != "" || a.path == "":
		return nil, errors.New("want hub:CHANNEL")
	case o.Hub == nil:
		return nil, errors.New("there is no hub in this process: it takes an Opener with a Hub")
	}
	s, err := o.Hub.Open(a.path, opts)
	if err != nil {
		return nil, err // and not a nil *Subscriber
	}
	return s, nil
}

func openMulticast(_ context.Context, o *Opener, a *address) (hub.Bus, error) {
	opts := &multicast.Options{
		Interface:   a.text("iface", ""),
		HopLimit:    a.int("hops", 0, 255),
		NoFD:        !a.bool("fd", true),
		OwnMessages: a.bool("own", false),
		ReadBuffer:  a.int("buffer", 0, 1<<30),
		Filters:     a.filters(),
		Logger:      o.Logger,
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.host == "" {
		a.host = a.path // multicast:239.74.163.2
	} else if a.path != "" {
		return nil, fmt.Errorf("path %q: there is none on this bus", a.path)
	}
	group := a.host
	if i := strings.LastIndexByte(group, ':'); i >= 0 && !isAddress(group) {
		port, err := strconv.ParseUint(group[i+1:], 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("port %q: want 1 to 65535", group[i+1:])
		}
		opts.Port, group = int(port), group[:i]
	}
	b, err := multicast.Open(strings.TrimSuffix(strings.TrimPrefix(group, "["), "]"), opts)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func openRemote(scheme string) func(context.Context, *Opener, *address) (hub.Bus, error) {
	return func(ctx context.Context, o *Opener, a *address) (hub.Bus, error) {
		opts := &remote.DialOptions{
			Token:          a.text("token", ""),
			JSON:           a.bool("json", false),
			OwnMessages:    a.bool("own", false),
			KeepTimestamps: a.bool("keep", false),
			Bitrate:        a.int("bitrate", 0, math.MaxInt32),
			FD:             a.bool("fd", false),
			Filters:        a.filters(),
			TLS:            &tls.Config{InsecureSkipVerify: a.bool("insecure", false)},
			Logger:         o.Logger,
		}
		switch {
		case a.err != nil:
			return nil, a.err
		case a.host == "":
			return nil, fmt.Errorf("want %s://HOST:PORT/CHANNEL", scheme)
		}
		b, err := remote.Dial(ctx, (&url.URL{Scheme: scheme, Host: a.host, Path: "/" + a.path}).String(), opts)
		if err != nil {
			return nil, err
		}
		return b, nil
	}
}

func openVirtualcan(ctx context.Context, o *Opener, a *address) (hub.Bus, error) {
	opts := &virtualcan.DialOptions{Filters: a.filters(), Logger: o.Logger}
	switch {
	case a.err != nil:
		return nil, a.err
	case a.host == "":
		return nil, errors.New("want virtualcan://HOST:PORT")
	case a.path != "":
		return nil, fmt.Errorf("path %q: the server has one channel, without a name", a.path)
	}
	b, err := virtualcan.Dial(ctx, a.host, opts)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// isAddress reports whether all of host is one IPv6 address, so that its last
// colon stands before no port.
func isAddress(host string) bool {
	if strings.HasPrefix(host, "[") {
		return strings.HasSuffix(host, "]")
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Is6()
}
