package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Who knows a flag with a letter from one command knows it in all.
func TestFlagsMeanTheSameInAllCommands(t *testing.T) {
	commands := (&app{}).root().Commands()
	for letter := range strings.SplitSeq("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "") {
		if letter == "L" {
			continue // as in can-utils: candump's log, cangen's length
		}
		for _, c := range commands {
			f := c.Flags().ShorthandLookup(letter)
			if f == nil {
				continue
			}
			for _, other := range commands {
				if o := other.Flags().ShorthandLookup(letter); o != nil && o.Name != f.Name {
					t.Errorf("-%s is --%s of %s and --%s of %s", letter, f.Name, c.Name(), o.Name, other.Name())
				}
				if o := other.Flags().Lookup(f.Name); o != nil && (o.Shorthand != letter || o.Value.Type() != f.Value.Type()) {
					t.Errorf("--%s is -%s %s of %s, but -%s %s of %s", f.Name,
						letter, f.Value.Type(), c.Name(), o.Shorthand, o.Value.Type(), other.Name())
				}
			}
		}
	}
}

func TestAnInterruptHidesNoOtherError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	disk := errors.New("disk full")
	both := errors.Join(fmt.Errorf("a: %w", context.Canceled), errors.Join(disk, nil))
	if err := unlessDone(ctx, context.Canceled); err != context.Canceled {
		t.Errorf("before it is done: %v", err)
	}
	cancel()
	if err := unlessDone(ctx, both); !errors.Is(err, disk) || err.Error() != "disk full" {
		t.Errorf("got %v, want %v alone", err, disk)
	}
	for _, err := range []error{nil, context.Canceled, errors.Join(context.Canceled, nil), fmt.Errorf("a: %w", context.Canceled)} {
		if got := unlessDone(ctx, err); got != nil {
			t.Errorf("%v: got %v", err, got)
		}
	}
}

func TestErrorsLeaveOutThePackages(t *testing.T) {
	for text, want := range map[string]string{
		"canhub: open log:x.log: canlog: open x.log: no such file": "open log:x.log: open x.log: no such file",
		"drive: send 123#: hub: closed\ncanlog: hub: y":            "drive: send 123#: closed\ny",
		`canhub: URL "x:": unknown option; hub: has name`:          `URL "x:": unknown option; hub: has name`,
		"multicast: on can0": "multicast: on can0",
	} {
		if got := plainText(errors.New(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
