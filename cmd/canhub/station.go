package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/canhub-go/canhub"
	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/monitor"
)

// A link says that a bus is to be on a channel, or a server for its clients.
type link struct {
	channel string
	url     string
	from    string // where it was asked for, for errors
	listen  bool   // a server
	spare   bool   // it may be missing
}

// A station is a hub whose channels are connected to other buses.
type station struct {
	app     *app
	hub     *hub.Hub
	log     *slog.Logger
	links   []*connection
	servers []listening
	tasks   []func(ctx context.Context) error // what else sends
	views   []func() error                    // what shows the traffic until the hub is closed
}

// A connection is a link at work.
type connection struct {
	link
	here  *hub.Subscriber
	there hub.Bus
	stats bridge.Stats
	log   *logEnd // there, if that is a log
}

// A listening is a link with a server.
type listening struct {
	link
	server *canhub.Server
}

// waiting is how many messages of a channel wait for a connected bus that is slow
// or away. What comes beyond is lost for it, and counted: it does not hold up the
// channel.
const waiting = 4096

func (a *app) newStation() *station {
	log := a.logger()
	return &station{app: a, hub: hub.New(&hub.Options{Logger: log}), log: log}
}

// addAll opens all buses and servers of links. The servers show page in a browser,
// with the channels of the hub.
func (s *station) addAll(ctx context.Context, links []link, page *monitor.Options) error {
	page.Channels = func() (names []string) {
		for _, c := range s.hub.Channels() {
			names = append(names, c.Name)
		}
		return names
	}
	o := &canhub.Opener{Hub: s.hub, Logger: s.log, Page: monitor.Handler(page)}
	for _, l := range links {
		if !l.listen {
			if err := s.connect(ctx, l); err != nil {
				return err
			}
			continue
		}
		server, err := o.Listen(l.channel, l.url)
		if err != nil && l.spare {
			s.log.Warn(err.Error())
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.from, err)
		}
		s.servers = append(s.servers, listening{l, server})
		s.tasks = append(s.tasks, server.Run)
		if server.Open() {
			s.log.Warn(fmt.Sprintf("%s: anybody who reaches this machine can send on %s: a token would keep strangers out", l.url, l.channel))
		}
		// The channel stands without subscribers. It may be there already.
		if !slices.Contains(page.Channels(), l.channel) {
			if err := s.hub.Create(l.channel, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// connect opens the bus of l and puts it on its channel. It works once run does.
func (s *station) connect(ctx context.Context, l link) error {
	for _, c := range s.links {
		if c.channel == l.channel && c.url == l.url {
			return fmt.Errorf("%s: %s is connected to %s already: each message would come again and again", l.from, l.channel, l.url)
		}
	}
	there, err := s.open(ctx, l)
	if err != nil {
		return fmt.Errorf("%s: %w", l.from, err)
	}
	here, err := s.hub.Open(l.channel, &hub.SubscriberOptions{Name: l.url, Queue: waiting, Policy: hub.DropOldest})
	if err != nil {
		return errors.Join(err, there.Close())
	}
	s.links = append(s.links, &connection{link: l, here: here, there: there})
	return nil
}

func (s *station) open(ctx context.Context, l link) (hub.Bus, error) {
	return (&canhub.Opener{Hub: s.hub, Logger: s.log}).Open(ctx, l.url)
}

// run works until ctx is done, or until something fails. If nothing has, it
// returns an error that counts the entries of logs that could not be read, or nil.
// If end is set, the end of all connections is its end too, and so is the limit of
// time, if there is one: it counts from here, for opening a bus takes its own.
func (s *station) run(outer context.Context, limit time.Duration, end bool) error {
	outer, over := limited(outer, limit)
	defer over()
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	var links, tasks, views sync.WaitGroup
	start := func(wg *sync.WaitGroup, task func() error) {
		wg.Go(func() {
			if err := task(); err != nil {
				cancel(err)
			}
		})
	}
	for _, c := range s.links {
		start(&links, func() error { return s.bridge(ctx, c) })
	}
	for _, task := range s.tasks {
		start(&tasks, func() error { return task(ctx) })
	}
	for _, view := range s.views {
		start(&views, view)
	}
	if end {
		links.Wait()
		cancel(nil)
	}
	<-ctx.Done()
	links.Wait()
	tasks.Wait()
	s.hub.Close() // ends the views, when they have shown everything
	views.Wait()
	s.report()
	if err := context.Cause(ctx); err != context.Canceled && outer.Err() == nil {
		return err
	}
	var errs []error
	for _, c := range s.links {
		if c.log != nil {
			errs = append(errs, c.log.unread.failure())
		}
	}
	return errors.Join(errs...)
}

// bridge runs one connection. A log that has been played to its end ends it, and
// nothing else.
func (s *station) bridge(ctx context.Context, c *connection) error {
	o := &bridge.Options{Stats: &c.stats, Logger: s.log, LifeSpan: time.Second}
	there := c.there
	if isLog(c.url) {
		o.AToB.Off = true
		c.log = &logEnd{Bus: there, unread: unread{log: c.url, errs: s.app.err}}
		there = c.log
	} else {
		o.B.Redial = func(ctx context.Context) (hub.Bus, error) { return s.open(ctx, c.link) }
	}
	err := bridge.Run(ctx, c.here, there, o)
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, errPlayed):
		c.here.Close() // nobody empties its queue any more
		return nil
	}
	return fmt.Errorf("%s: %w", c.url, err)
}

// report tells what went through each connection.
func (s *station) report() {
	for _, c := range s.links {
		attrs := []any{"in", c.stats.BToA.Forwarded.Load(), "out", c.stats.AToB.Forwarded.Load()}
		if lost := c.here.Stats().Dropped + c.stats.AToB.Stale.Load() + c.stats.AToB.Overflow.Load(); lost > 0 {
			attrs = append(attrs, "too late to go out", lost)
		}
		if refused := c.stats.AToB.Refused.Load(); refused > 0 {
			attrs = append(attrs, "not carried", refused)
		}
		s.log.Info(fmt.Sprintf("%s on %s", c.url, c.channel), attrs...)
	}
}

// close ends what connect and others have opened.
func (s *station) close() error {
	errs := []error{s.hub.Close()}
	for _, c := range s.links {
		errs = append(errs, c.there.Close())
	}
	for _, l := range s.servers {
		if err := l.server.Close(); !errors.Is(err, net.ErrClosed) { // as it is when it ran
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// show adds the task of writing the traffic to stdout, in the form of a candump
// log: of all messages, or for each channel of those that a func made by sample
// lets through.
func (s *station) show(sample func() func(hub.Message) bool) error {
	out := &showing{log: canlog.NewWriter(s.app.out, nil)}
	for _, channel := range s.hub.Channels() {
		// A terminal that is slow, or stopped, does not stop the bus.
		sub, err := s.hub.Open(channel.Name, &hub.SubscriberOptions{Name: "dump", Queue: waiting, Policy: hub.DropOldest, ErrorFrames: true})
		if err != nil {
			return err
		}
		wanted := func(hub.Message) bool { return true }
		if sample != nil {
			wanted = sample()
		}
		s.views = append(s.views, func() error { return out.run(sub, wanted) })
	}
	return nil
}

// A showing writes the traffic of several channels.
type showing struct {
	mu  sync.Mutex // of log
	log *canlog.Writer
}

func (w *showing) run(sub *hub.Subscriber, wanted func(hub.Message) bool) error {
	for {
		batch, err := sub.RecvBatch(context.Background())
		if err != nil {
			return nil // the hub is closed
		}
		if err := w.write(sub.Channel(), batch, wanted); err != nil {
			return err
		}
	}
}

func (w *showing) write(channel string, batch []hub.Message, wanted func(hub.Message) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range batch {
		if !wanted(m) {
			continue
		}
		if err := w.log.Write(canlog.Entry{Channel: channel, Message: m}); err != nil {
			return err
		}
	}
	return w.log.Flush()
}
