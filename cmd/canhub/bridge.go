package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/canhub-go/canhub"
	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
)

// bridgeFlags are what the command line of bridge asks for.
type bridgeFlags struct {
	oneWay             bool
	filterAB, filterBA []string
	mapAB, mapBA       []string
	life               time.Duration
	echoA, echoB       time.Duration
	redial             bool
	minPause, maxPause time.Duration
	interval           time.Duration
	json               bool
}

// bridge is the command that connects two buses.
func (a *app) bridge() *cobra.Command {
	var o bridgeFlags
	cmd := &cobra.Command{
		Use:   "bridge BUS BUS",
		Short: "Connect two buses",
		Long: `Bridge forwards the frames of each of two buses, A and B in this order, to the
other, until it is interrupted or one of them fails. A log: bus is played to the
other one; at its end, when all is forwarded, the bridge ends too.

Identifiers are in hex, of three digits, or of eight for 29-bit ones. Filters see
them as they come in, before they are mapped.

A frame that goes around through several bridges, or that a bus delivers back to
its sender, would be forwarded again and again. With --echo-a or --echo-b each
frame put on that bus is expected back, and dropped, for this long.`,
		Example: `  canhub bridge multicast://239.74.163.2 multicast:
  canhub bridge 'log:drive.log?speed=10' multicast:
  canhub bridge --one-way --filter-ab 100:700 --map-ab 123=18FEF123 multicast://239.74.163.2 multicast:
  canhub bridge --redial --life 500ms --interval 10s multicast://239.74.163.2 multicast://239.74.163.3`,
		Args:              someArgs(2, 2),
		ValidArgsFunction: completeBus,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wantPositive(cmd, "life", "echo-a", "echo-b", "min-pause", "max-pause", "interval"); err != nil {
				return err
			}
			buses, err := parseBuses(args)
			if err != nil {
				return err
			}
			l, err := a.link(&o, buses)
			if err != nil {
				return err
			}
			return a.runBridge(cmd.Context(), l, &o, buses)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.oneWay, "one-way", false, "forward from A to B only")
	f.StringArrayVar(&o.filterAB, "filter-ab", nil, "forward from A to B only what matches `FILTER`: "+filterForms)
	f.StringArrayVar(&o.filterBA, "filter-ba", nil, "forward from B to A only what matches `FILTER`: "+filterForms)
	f.StringArrayVar(&o.mapAB, "map-ab", nil, "from A to B give OLD the identifier NEW, as `OLD=NEW`; may be given several times")
	f.StringArrayVar(&o.mapBA, "map-ba", nil, "from B to A give OLD the identifier NEW, as `OLD=NEW`; may be given several times")
	f.DurationVar(&o.life, "life", 0, "drop frames that could not be forwarded for this `TIME` (default never)")
	f.DurationVar(&o.echoA, "echo-a", 0, "A delivers what is sent on it back within this `TIME` (default it does not)")
	f.DurationVar(&o.echoB, "echo-b", 0, "B delivers what is sent on it back within this `TIME` (default it does not)")
	f.BoolVar(&o.redial, "redial", false, "open a bus that fails again")
	f.DurationVar(&o.minPause, "min-pause", 100*time.Millisecond, "first pause before opening it again: this `TIME`, doubled each time")
	f.DurationVar(&o.maxPause, "max-pause", 30*time.Second, "longest such pause: this `TIME`")
	f.DurationVarP(&o.interval, "interval", "i", 0, "tell the counters each time this `TIME` is over (default only at the end)")
	f.BoolVar(&o.json, "json", false, "show the counters on stdout, as a JSON object in a line")
	return cmd
}

// A busLink is what stands between two buses.
type busLink struct {
	options bridge.Options
	stats   bridge.Stats
	sels    [2]selection // of what comes from each side
	logs    [2]*logEnd   // nil if the side is no log
}

// link returns what the flags ask for between two buses.
func (a *app) link(o *bridgeFlags, buses []*namedBus) (*busLink, error) {
	urls := [2]string{buses[0].url, buses[1].url}
	logs := [2]bool{isLog(urls[0]), isLog(urls[1])}
	l := &busLink{}
	l.options = bridge.Options{
		Stats:    &l.stats,
		Logger:   a.logger(),
		LifeSpan: o.life,
		A:        bridge.Side{Echo: o.echoA},
		B:        bridge.Side{Echo: o.echoB},
		AToB:     bridge.Direction{Off: logs[1]},
		BToA:     bridge.Direction{Off: logs[0] || o.oneWay},
	}
	var err error
	if l.sels[0], err = parseSelection("--filter-ab", o.filterAB); err != nil {
		return nil, err
	}
	if l.sels[1], err = parseSelection("--filter-ba", o.filterBA); err != nil {
		return nil, err
	}
	if l.options.AToB.Rewrite, err = parseMap("--map-ab", o.mapAB); err != nil {
		return nil, err
	}
	if l.options.BToA.Rewrite, err = parseMap("--map-ba", o.mapBA); err != nil {
		return nil, err
	}
	switch {
	case urls[0] == urls[1]:
		return nil, usagef("both sides are the bus %s", urls[0])
	case logs[0] && logs[1]:
		return nil, usagef("both sides are logs, and none can be sent to")
	case logs[1] && o.oneWay:
		return nil, usagef("%s is a log: nothing can be sent to it", urls[1])
	case o.maxPause < o.minPause:
		return nil, usagef("--max-pause %v: less than --min-pause %v", o.maxPause, o.minPause)
	}
	for i, b := range buses {
		if logs[i] {
			l.logs[i] = &logEnd{unread: unread{log: b.name, errs: a.err}}
		}
	}
	return l, nil
}

// runBridge connects two buses.
func (a *app) runBridge(ctx context.Context, l *busLink, o *bridgeFlags, buses []*namedBus) error {
	if err := a.open(ctx, buses); err != nil {
		return err
	}
	if o.redial {
		l.redial(o, [2]string{buses[0].url, buses[1].url}, (&canhub.Opener{Logger: l.options.Logger}).Open)
	}
	fmt.Fprintf(a.err, "canhub: bridge: side a is %s, %s; side b is %s, %s\n",
		buses[0].name, buses[0].url, buses[1].name, buses[1].url)
	err := a.counted(ctx, l, o, func(ctx context.Context) error {
		return named(l.run(ctx, buses[0].Bus, buses[1].Bus), names(buses)) // they may receive in batches
	})
	return errors.Join(err, closeAll(buses))
}

// redial makes the sides open their URLs again when they fail, all but logs,
// which are played once.
func (l *busLink) redial(o *bridgeFlags, urls [2]string, open func(context.Context, string) (hub.Bus, error)) {
	for i, side := range []*bridge.Side{&l.options.A, &l.options.B} {
		if l.logs[i] != nil {
			continue
		}
		side.MinPause, side.MaxPause = o.minPause, o.maxPause
		side.Redial = func(ctx context.Context) (hub.Bus, error) {
			bus, err := open(ctx, urls[i])
			if err != nil {
				return nil, err
			}
			return l.wrap(i, bus), nil
		}
	}
}

// named names the bus in place of the side in an error.
func named(err error, names []string) error {
	side, ok := errors.AsType[*bridge.SideError](err)
	if !ok {
		return err
	}
	name := names[0]
	if side.Side == "b" {
		name = names[1]
	}
	return fmt.Errorf("%s: %w", name, side.Err)
}

// counted tells the counters at the end of run, and as often as asked for before
// that. If that cannot be written it ends run, and returns why.
func (a *app) counted(ctx context.Context, l *busLink, o *bridgeFlags, run func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tell := func() error {
		if o.json {
			_, err := fmt.Fprintf(a.out, "%s\n", l.json())
			return err
		}
		fmt.Fprintf(a.err, "canhub: %s\n", l.text())
		return nil
	}
	if o.interval == 0 {
		return errors.Join(run(ctx), tell())
	}
	var wg sync.WaitGroup
	done := make(chan struct{}) // closed when run has ended
	var failed error            // for who has waited
	wg.Go(func() {
		tick := time.NewTicker(o.interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if failed = tell(); failed != nil {
					cancel()
					return
				}
			case <-done:
				return
			}
		}
	})
	err := run(ctx)
	close(done)
	wg.Wait()
	if failed != nil {
		return failed // run was canceled for it
	}
	return errors.Join(err, tell())
}

// parseMap returns a Rewrite of OLD=NEW texts, or nil if there are none.
func parseMap(flag string, texts []string) (func(uint32, bool) (uint32, bool), error) {
	if len(texts) == 0 {
		return nil, nil
	}
	type id struct {
		id       uint32
		extended bool
	}
	parse := func(text string) (id, bool) {
		n, err := strconv.ParseUint(text, 16, 32)
		extended := len(text) == 8
		return id{uint32(n), extended}, err == nil && (extended && n < 1<<29 || len(text) == 3 && n < 1<<11)
	}
	ids := make(map[id]id)
	for _, text := range texts {
		from, to, _ := strings.Cut(text, "=")
		o, ok := parse(from)
		n, ok2 := parse(to)
		switch _, twice := ids[o]; {
		case !ok || !ok2:
			return nil, usagef("%s %s: want OLD=NEW, each of three hex digits up to 7FF or of eight up to 1FFFFFFF", flag, text)
		case twice:
			return nil, usagef("%s %s: %s is mapped twice", flag, text, from)
		}
		ids[o] = n
	}
	return func(old uint32, extended bool) (uint32, bool) {
		if n, ok := ids[id{old, extended}]; ok {
			return n.id, n.extended
		}
		return old, extended
	}, nil
}
