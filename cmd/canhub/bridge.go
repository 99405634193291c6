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
	stats              time.Duration
	json               bool
}

// bridge is the command that connects two buses.
func (a *app) bridge() *cobra.Command {
	var o bridgeFlags
	cmd := &cobra.Command{
		Use:   "bridge A B",
		Short: "Connect two buses",
		Long: `bridge forwards the frames of each of two buses to the other, until it is
interrupted or one of them fails. A log: bus is played to the other one; at its
end, when all is forwarded, the bridge ends too.

Identifiers are in hex, of three digits, or of eight for 29-bit ones. Filters see
them as they come in, before they are mapped.

A frame that goes around through several bridges, or that a bus delivers back to
its sender, would be forwarded again and again. With --echo-a or --echo-b each
frame put on that bus is expected back, and dropped, for this long.`,
		Example: `  canhub bridge multicast://239.74.163.2 multicast:
  canhub bridge 'log:drive.log?speed=10' multicast:
  canhub bridge --one-way --filter-ab 100:700 --map-ab 123=18FEF123 multicast://239.74.163.2 multicast:
  canhub bridge --redial --life 500ms --stats 10s multicast://239.74.163.2 multicast://239.74.163.3`,
		Args: someArgs(2, 2, "two buses"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := o.link(args)
			if err != nil {
				return err
			}
			return a.runBridge(cmd.Context(), l, &o, args)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&o.oneWay, "one-way", false, "forward from A to B only")
	f.StringArrayVar(&o.filterAB, "filter-ab", nil, "from A to B only what matches `FILTER`: ID:MASK, ID~MASK, ID or ~ID; may be there several times")
	f.StringArrayVar(&o.filterBA, "filter-ba", nil, "from B to A only what matches `FILTER`")
	f.StringArrayVar(&o.mapAB, "map-ab", nil, "from A to B give OLD the identifier NEW, as `OLD=NEW`; may be there several times")
	f.StringArrayVar(&o.mapBA, "map-ba", nil, "from B to A give OLD the identifier NEW, as `OLD=NEW`")
	f.DurationVar(&o.life, "life", 0, "drop frames that could not be forwarded for this long (default never)")
	f.DurationVar(&o.echoA, "echo-a", 0, "A delivers what is sent on it back within this time (default it does not)")
	f.DurationVar(&o.echoB, "echo-b", 0, "B delivers what is sent on it back within this time (default it does not)")
	f.BoolVar(&o.redial, "redial", false, "open a bus that fails again")
	f.DurationVar(&o.minPause, "min-pause", 100*time.Millisecond, "first pause before that; it doubles each time")
	f.DurationVar(&o.maxPause, "max-pause", 30*time.Second, "longest pause before that")
	f.DurationVar(&o.stats, "stats", 0, "print counters on stderr this often (default only at the end)")
	f.BoolVar(&o.json, "json", false, "print counters on stdout, as JSON")
	return cmd
}

// A busLink is what stands between two buses.
type busLink struct {
	options bridge.Options
	stats   bridge.Stats
	sels    [2]selection // of what comes from each side
	logs    [2]*logEnd   // nil if the side is no log
}

// link returns what the flags ask for between the two buses of args.
func (o *bridgeFlags) link(args []string) (*busLink, error) {
	isLog := func(i int) bool { return strings.HasPrefix(strings.ToLower(busURL(args[i])), "log:") }
	l := &busLink{}
	l.options = bridge.Options{
		Stats:    &l.stats,
		LifeSpan: o.life,
		A:        bridge.Side{Echo: o.echoA},
		B:        bridge.Side{Echo: o.echoB},
		AToB:     bridge.Direction{Off: isLog(1)},
		BToA:     bridge.Direction{Off: isLog(0) || o.oneWay},
	}
	var err error
	if l.sels[0], err = parseSelection(o.filterAB); err != nil {
		return nil, err
	}
	if l.sels[1], err = parseSelection(o.filterBA); err != nil {
		return nil, err
	}
	if l.options.AToB.Rewrite, err = parseMap("--map-ab", o.mapAB); err != nil {
		return nil, err
	}
	if l.options.BToA.Rewrite, err = parseMap("--map-ba", o.mapBA); err != nil {
		return nil, err
	}
	switch {
	case busURL(args[0]) == busURL(args[1]):
		return nil, usagef("both sides are the bus %s", busURL(args[0]))
	case isLog(0) && isLog(1):
		return nil, usagef("both sides are logs, and none can be sent to")
	case isLog(1) && o.oneWay:
		return nil, usagef("%s is a log: nothing can be sent to it", busURL(args[1]))
	case o.life < 0 || o.echoA < 0 || o.echoB < 0 || o.stats < 0 || o.minPause < 0:
		return nil, usagef("--life, --echo-a, --echo-b, --stats and --min-pause: want no negative time")
	case o.maxPause < o.minPause:
		return nil, usagef("--max-pause %v: less than --min-pause %v", o.maxPause, o.minPause)
	}
	for i, counts := range []*bridge.Counts{&l.stats.AToB, &l.stats.BToA} {
		if isLog(i) {
			l.logs[i] = &logEnd{counts: counts}
		}
	}
	return l, nil
}

// runBridge connects the buses of args.
func (a *app) runBridge(ctx context.Context, l *busLink, o *bridgeFlags, args []string) error {
	l.options.Logger = a.logger()
	all, err := a.openAll(ctx, args)
	if err != nil {
		return err
	}
	urls := [2]string{all[0].url, all[1].url}
	if o.redial {
		l.redial(o, urls, (&canhub.Opener{Logger: l.options.Logger}).Open)
	}
	fmt.Fprintf(a.err, "canhub: bridge: side a is %s, side b is %s\n", urls[0], urls[1])
	err = a.counted(l, o, func() error {
		return l.run(ctx, all[0].Bus, all[1].Bus) // which may receive in batches
	})
	if cerr := closeAll(all); err == nil {
		err = cerr
	}
	return named(err, urls)
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
func named(err error, urls [2]string) error {
	var side *bridge.SideError
	if !errors.As(err, &side) {
		return err
	}
	url := urls[0]
	if side.Side == "b" {
		url = urls[1]
	}
	return fmt.Errorf("bridge: %s: %w", url, side.Err)
}

// counted prints the counters at the end of run, and as often as asked for
// before that.
func (a *app) counted(l *busLink, o *bridgeFlags, run func() error) error {
	print := func() {
		if o.json {
			fmt.Fprintf(a.out, "%s\n", l.json())
		} else {
			fmt.Fprintf(a.err, "canhub: %s\n", l.text())
		}
	}
	defer print()
	if o.stats == 0 {
		return run()
	}
	var wg sync.WaitGroup
	done := make(chan struct{}) // closed when run has ended
	wg.Go(func() {
		tick := time.NewTicker(o.stats)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				print()
			case <-done:
				return
			}
		}
	})
	defer wg.Wait()
	defer close(done)
	return run()
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
