package canhub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/multicast"
	"github.com/canhub-go/canhub/transport/remote"
	"github.com/canhub-go/canhub/transport/virtualcan"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

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
	case a.host != "" || a.path == "" || a.path[0] == '/':
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
			Token:          a.token(),
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
		case a.host == "" && a.path != "":
			return nil, fmt.Errorf("want %s://HOST:PORT/CHANNEL", scheme)
		}
		if a.host == "" || a.host[0] == ':' { // a host alone is at the port of its scheme
			a.host = a.hostPort(remotePort)
		}
		b, err := remote.Dial(ctx, (&url.URL{Scheme: scheme, Host: a.host, Path: "/" + a.path}).String(), opts)
		if err != nil {
			return nil, err
		}
		return b, nil
	}
}

func openZeromcan(ctx context.Context, o *Opener, a *address) (hub.Bus, error) {
	opts := &zeromcan.DialOptions{
		Publish:     a.text("publish", ""),
		ReplyTime:   a.duration("wait"),
		OwnMessages: a.bool("own", false),
		Filters:     a.filters(),
		Logger:      o.Logger,
	}
	if a.err != nil {
		return nil, a.err
	}
	if a.path != "" {
		return nil, fmt.Errorf("path %q: want zeromcan://HOST:PORT", a.path)
	}
	b, err := zeromcan.Dial(ctx, a.hostPort(zeromcanPort), opts)
	if err != nil {
		return nil, err
	}
	return b, nil
}

func openVirtualcan(ctx context.Context, o *Opener, a *address) (hub.Bus, error) {
	opts := &virtualcan.DialOptions{Filters: a.filters(), Logger: o.Logger}
	switch {
	case a.err != nil:
		return nil, a.err
	case a.path != "":
		return nil, fmt.Errorf("path %q: want virtualcan://HOST:PORT", a.path)
	}
	b, err := virtualcan.Dial(ctx, a.hostPort(virtualcanPort), opts)
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
