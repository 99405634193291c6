package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
)

// run forwards between two buses until ctx is done or one of them fails. At the
// end of a log it returns nil, or an error that counts the lines that could not
// be read.
func (l *busLink) run(ctx context.Context, a, b hub.Bus) error {
	err := bridge.Run(ctx, l.wrap(0, a), l.wrap(1, b), &l.options)
	for i, name := range []string{"a", "b"} {
		var side *bridge.SideError
		if l.logs[i] == nil {
			continue
		}
		if errors.As(err, &side) && side.Side == name && side.Err == errPlayed {
			err = nil
		}
		if err == nil || ctx.Err() != nil {
			if bad := l.logs[i].unread.failure(); bad != nil {
				err = bad
			}
		}
	}
	return err
}

// wrap returns the bus as the bridge shall see it.
func (l *busLink) wrap(side int, bus hub.Bus) hub.Bus {
	counts := []*bridge.Counts{&l.stats.AToB, &l.stats.BToA}[side]
	if end := l.logs[side]; end != nil {
		end.Bus, bus = bus, end
	}
	if sel := &l.sels[side]; len(sel.any)+len(sel.not) > 0 {
		bus = &filtered{bus, sel, counts}
	}
	return bus
}

// A filtered bus receives only what was selected. The filters of a
// bridge.Direction know no exclusion from what others let through.
type filtered struct {
	hub.Bus
	sel    *selection
	counts *bridge.Counts
}

func (f *filtered) Recv(ctx context.Context) (hub.Message, error) {
	for {
		m, err := f.Bus.Recv(ctx)
		if err != nil || f.sel.match(m) {
			return m, err
		}
		f.counts.Received.Add(1)
		f.counts.Filtered.Add(1)
		if err := ctx.Err(); err != nil {
			return hub.Message{}, err // Recv would go on with what is queued
		}
	}
}

type counter struct {
	name string
	n    uint64
}

// counters returns all that c counts: first what was received, then what became
// of it.
func counters(c *bridge.Counts) []counter {
	return []counter{
		{"received", c.Received.Load()},
		{"forwarded", c.Forwarded.Load()},
		{"filtered", c.Filtered.Load()},
		{"looped", c.Looped.Load()},
		{"stale", c.Stale.Load()},
		{"refused", c.Refused.Load()},
		{"overflow", c.Overflow.Load()},
		{"stalled", c.Stalled.Load()},
	}
}

// text shows the counters that are not 0.
func (l *busLink) text() string {
	direction := func(c *bridge.Counts) string {
		all := counters(c)
		text := number(all[0].n, "frame")
		for i, c := range all[1:] {
			if c.n > 0 || i == 0 {
				text += fmt.Sprintf(", %d %s", c.n, c.name)
			}
		}
		return text
	}
	var parts []string
	if !l.options.AToB.Off {
		parts = append(parts, "a to b: "+direction(&l.stats.AToB))
	}
	if !l.options.BToA.Off {
		parts = append(parts, "b to a: "+direction(&l.stats.BToA))
	}
	return strings.Join(parts, "; ")
}

// json shows all counters.
func (l *busLink) json() string {
	direction := func(c *bridge.Counts) map[string]uint64 {
		all := make(map[string]uint64)
		for _, c := range counters(c) {
			all[c.name] = c.n
		}
		return all
	}
	// Numbers and fixed names always can be encoded.
	text, _ := json.Marshal(map[string]any{
		"time":   time.Now().UTC().Format(time.RFC3339Nano),
		"a_to_b": direction(&l.stats.AToB),
		"b_to_a": direction(&l.stats.BToA),
	})
	return string(text)
}
