package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

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
	var all []*namedBus
	for i, name := range busNames(args) {
		b := &namedBus{name: name, url: busURL(args[i])}
		var err error
		if b.Bus, err = (&canhub.Opener{Logger: a.logger()}).Open(ctx, b.url); err != nil {
			return nil, errors.Join(err, closeAll(all))
		}
		all = append(all, b)
	}
	return all, nil
}

func closeAll(all []*namedBus) error {
	var errs []error
	for _, b := range all {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

// busURL returns the URL of NAME=URL.
func busURL(arg string) string {
	if name, url, ok := strings.Cut(arg, "="); ok && isName(name) {
		return url
	}
	return arg
}

// busNames returns what buses are called in the output: the NAME of NAME=URL,
// what a hub: or log: URL names, or its scheme; with a number where that is there
// already.
func busNames(args []string) []string {
	var names []string
	for _, arg := range args {
		name, _, ok := strings.Cut(arg, "=")
		if !ok || !isName(name) {
			var rest string
			name, rest, _ = strings.Cut(arg, ":")
			rest, _, _ = strings.Cut(rest, "?")
			if name == "log" {
				rest = filepath.Base(rest)
				rest, _, _ = strings.Cut(rest, ".")
			}
			if rest, err := url.PathUnescape(rest); err == nil && (name == "log" || name == "hub") && isName(rest) {
				name = rest
			}
		}
		for n, base := 2, name; slices.Contains(names, name); n++ {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		names = append(names, name)
	}
	return names
}

// isName reports whether s can be the name of a bus: a word without the ":" of a
// URL.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_.-", r))
	})
}

// logger returns one that writes lines "canhub: ..." on stderr.
func (a *app) logger() *slog.Logger {
	return slog.New(&lineHandler{new(sync.Mutex), a.err, nil})
}

// A selection lets messages through as the filters of a command line ask for:
// those that match any of them, and none that an inverse one excludes.
type selection struct{ any, not []hub.Filter }

func parseSelection(texts []string) (selection, error) {
	var s selection
	for _, text := range texts {
		f, err := hub.ParseFilter(text)
		if err != nil {
			return s, usageError{err}
		}
		if f.Invert {
			s.not = append(s.not, f)
		} else {
			s.any = append(s.any, f)
		}
	}
	return s, nil
}

func (s *selection) match(m hub.Message) bool {
	for _, f := range s.not {
		if !f.Match(m) {
			return false
		}
	}
	return len(s.any) == 0 || slices.ContainsFunc(s.any, func(f hub.Filter) bool { return f.Match(m) })
}
