package canhub

import (
	"context"
	"errors"
	"math"
	"net"
	"strconv"

	"github.com/canhub-go/canhub/transport/virtualcan"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

func listenVirtualcan(o *Opener, channel string, a *address) (*Server, error) {
	opts := &virtualcan.Options{
		Channel:    channel,
		MaxClients: a.int("clients", 0, math.MaxInt32),
		Logger:     o.Logger,
	}
	if a.err != nil {
		return nil, a.err
	}
	l, err := a.tcp(virtualcanPort)
	if err != nil {
		return nil, err
	}
	hostPort, loopback := local(l.Addr())
	return &Server{
		url:   "virtualcan://" + hostPort,
		open:  !loopback,
		serve: func(ctx context.Context) error { return virtualcan.Serve(ctx, l, o.Hub, opts) },
		close: l.Close,
	}, nil
}

func listenZeromcan(o *Opener, channel string, a *address) (*Server, error) {
	opts := &zeromcan.Options{
		Channel:    channel,
		MaxClients: a.int("clients", 0, 1<<16),
		Logger:     o.Logger,
	}
	publishAt := a.text("publish", "")
	if a.err != nil {
		return nil, a.err
	}
	calls, publish, err := zeromcan.Listen(a.hostPort(zeromcanPort), publishAt)
	if err != nil {
		return nil, err
	}
	callsAt, loopback := local(calls.Addr())
	publishAt, publishLoopback := local(publish.Addr())
	url := "zeromcan://" + callsAt
	host, _, _ := net.SplitHostPort(callsAt)
	next := calls.Addr().(*net.TCPAddr).Port + 1 // where a client looks by itself
	if publishAt != net.JoinHostPort(host, strconv.Itoa(next)) {
		url += "?publish=" + publishAt
	}
	return &Server{
		url:   url,
		open:  !loopback || !publishLoopback, // who reaches either can read or send
		serve: func(ctx context.Context) error { return zeromcan.Serve(ctx, calls, publish, o.Hub, opts) },
		close: func() error { return errors.Join(calls.Close(), publish.Close()) },
	}, nil
}
