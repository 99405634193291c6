package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/canhub-go/canhub"
	"github.com/canhub-go/canhub/hub"
)

// A namedBus is a bus from the command line.
type namedBus struct {
	name string
	url  string
	hub.Bus
}

// openAll opens the buses of args, each a URL or NAME=URL, all or none. Close
// them with closeAll.
func (a *app) openAll(ctx context.Context, args []string) ([]*namedBus, error) {
	buses, err := parseBuses(args)
	if err != nil {
		return nil, err
	}
	return buses, a.open(ctx, buses)
}

// openToSend is openAll for who sends only: what the buses would tell of
// receiving is not told.
func (a *app) openToSend(ctx context.Context, args []string) ([]*namedBus, error) {
	return (&app{err: io.Discard}).openAll(ctx, args)
}

// open opens what parseBuses returned, all or none.
func (a *app) open(ctx context.Context, buses []*namedBus) error {
	log := a.logger()
	for i, b := range buses {
		var err error
		if b.Bus, err = (&canhub.Opener{Logger: log}).Open(ctx, b.url); err != nil {
			return errors.Join(err, closeAll(buses[:i]))
		}
	}
	return nil
}

func closeAll(all []*namedBus) error {
	var errs []error
	for _, b := range all {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

// parseBuses returns the buses of args, each a URL or NAME=URL, not open yet.
// One without NAME is called what its hub: or log: URL names, or its scheme;
// with a number where something is called so already.
func parseBuses(args []string) ([]*namedBus, error) {
	var buses []*namedBus
	taken := make(map[string]bool)
	for _, arg := range args {
		b := &namedBus{url: arg}
		if name, url, ok := strings.Cut(arg, "="); ok && isName(name) {
			if taken[name] {
				return nil, usagef("%s: another bus is called %s too", arg, name)
			}
			b.name, b.url, taken[name] = name, url, true
		}
		buses = append(buses, b)
	}
	for _, b := range buses {
		if b.name != "" {
			continue
		}
		base := nameOf(b.url)
		b.name = base
		for n := 2; taken[b.name]; n++ {
			b.name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[b.name] = true
	}
	return buses, nil
}

func nameOf(text string) string {
	scheme, rest, _ := strings.Cut(text, ":")
	scheme = strings.ToLower(scheme)
	rest, _, _ = strings.Cut(rest, "?")
	switch scheme {
	case "log":
		rest, _, _ = strings.Cut(filepath.Base(rest), ".")
	case "hub":
	default:
		return scheme
	}
	if name, err := url.PathUnescape(rest); err == nil && isName(name) {
		return name
	}
	return scheme
}

func names(buses []*namedBus) (all []string) {
	for _, b := range buses {
		all = append(all, b.name)
	}
	return all
}

// isName reports whether s can be the name of a bus: a word without the ":" of a
// URL.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_.-", r))
	})
}

// isLog reports whether url is of a log, which has times of its own, entries that
// may be wrong, and an end, and cannot be sent to.
func isLog(url string) bool {
	scheme, _, _ := strings.Cut(url, ":")
	return strings.EqualFold(scheme, "log")
}

// logger returns one that writes lines "canhub: ..." on stderr.
func (a *app) logger() *slog.Logger {
	return slog.New(&lineHandler{new(sync.Mutex), a.err, nil})
}

// put sends m with the present time. An error names the bus and the frame, but
// that of ctx comes bare.
func (b *namedBus) put(ctx context.Context, m hub.Message) error {
	m.Timestamp = time.Now().UnixNano()
	err := b.Send(ctx, m)
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return b.refused(m, err)
}

func (b *namedBus) refused(m hub.Message, err error) error {
	return fmt.Errorf("%s: send %v: %w", b.name, m, err)
}

// drained runs work while what the buses receive is taken and dropped: a bus
// that nobody receives from may stop to work.
func drained(ctx context.Context, buses []*namedBus, work func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, b := range buses {
		wg.Go(func() {
			for {
				if _, err := b.Recv(ctx); err != nil || ctx.Err() != nil {
					return // if the bus has failed, sending tells it too
				}
			}
		})
	}
	return work()
}
