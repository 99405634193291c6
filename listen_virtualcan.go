package canhub

import (
	"context"
	"math"
	"net"
	"strconv"
	"sync"

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

// listenZeromcan lets clients in at once: its two addresses are had by Serve.
func listenZeromcan(o *Opener, channel string, a *address) (*Server, error) {
	started := make(chan [2]net.Addr, 1)
	opts := &zeromcan.Options{
		Address:    a.hostPort(zeromcanPort),
		Publish:    a.text("publish", ""),
		Channel:    channel,
		MaxClients: a.int("clients", 0, 1<<16),
		Started:    func(calls, publish net.Addr) { started <- [2]net.Addr{calls, publish} },
		Logger:     o.Logger,
	}
	if a.err != nil {
		return nil, a.err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- zeromcan.Serve(ctx, o.Hub, opts) }()
	wait := sync.OnceValue(func() error { return <-ended })
	end := func() error {
		stop()
		if err := wait(); err != context.Canceled {
			return err
		}
		return nil
	}
	select {
	case at := <-started:
		hostPort, loopback := local(at[0])
		publish, publishLoopback := local(at[1])
		url := "zeromcan://" + hostPort
		host, _, _ := net.SplitHostPort(hostPort)
		next := at[0].(*net.TCPAddr).Port + 1 // where a client looks by itself
		if publish != net.JoinHostPort(host, strconv.Itoa(next)) {
			url += "?publish=" + publish
		}
		return &Server{
			url:  url,
			open: !loopback || !publishLoopback, // who reaches either can read or send
			serve: func(ctx context.Context) error {
				defer context.AfterFunc(ctx, stop)()
				if err := wait(); ctx.Err() == nil {
					return err
				}
				return end()
			},
			close: end,
		}, nil
	case err := <-ended:
		stop()
		return nil, err
	}
}
