package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/spf13/cobra"
)

// loadFlags are those of "canhub load".
type loadFlags struct {
	bitrates []string
	interval time.Duration
	count    uint64 // 0: no end
	json     bool
}

func (a *app) load() *cobra.Command {
	var f loadFlags
	cmd := &cobra.Command{
		Use:   "load BUS...",
		Short: "Show how busy buses are",
		Long: `Load tells, interval after interval, what share of its time each bus is busy at
the given bitrate: the exact bits of every frame, stuff bits included, and the
three bits that must be between frames. 100 % is a bus without a gap.

An interval is one of real time; for a log: bus it is one of the log's own time,
so that a log has the load that it was recorded with, however fast it is played.
The last interval of a log counts in full, with silence after the end, and stays
out of the summary unless it is the only one; JSON has it as partial. The same
holds for one in which the times of the log jump back or far ahead: behind it the
intervals begin anew. Of a log with several channels choose one: log:FILE?channel=can0.

Error frames that report an error on the bus count as busy, for 20 bits each; not
what had been sent of the frame they ended. On a terminal there is one line a
bus, drawn anew; Ctrl-C ends it with a summary.`,
		Example: `  canhub load multicast:                                 a line a second, at 500 kbit/s
  canhub load --bitrate 1M,8M --interval 250ms multicast:
  canhub load -n 10 --json multicast:                    ten objects, then it ends
  canhub load 'log:drive.log?speed=max'                  what a recorded bus had
  canhub load --bitrate a=250k a=log:a.log b=log:b.log   a at 250k, b at 500k`,
		Args:              someArgs(1, -1),
		ValidArgsFunction: completeBus,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wantPositive(cmd, "count"); err != nil {
				return err
			}
			return a.runLoad(cmd.Context(), args, &f)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&f.bitrates, "bitrate", nil, "`RATE` in bit/s, with that of the data if it differs: 500k or 500k,2M; NAME=RATE for one bus; may be given several times (default 500k)")
	flags.DurationVarP(&f.interval, "interval", "i", time.Second, "how much `TIME` to measure for each line, 1ms or more")
	flags.Uint64VarP(&f.count, "count", "n", 0, "end after `N` intervals (default no end)")
	flags.BoolVar(&f.json, "json", false, "show each interval of each bus as a JSON object in a line")
	return cmd
}

func (a *app) runLoad(ctx context.Context, args []string, f *loadFlags) error {
	buses, err := parseBuses(args)
	if err != nil {
		return err
	}
	rates, err := busRates(f.bitrates, names(buses))
	switch {
	case err != nil:
		return err
	case f.interval < time.Millisecond:
		return usagef("--interval %v: want 1ms or more", f.interval)
	}
	if err := a.open(ctx, buses); err != nil {
		return err
	}
	return errors.Join(a.measure(ctx, buses, rates, f), closeAll(buses))
}

// measure shows the load of buses until all have ended or one has failed.
func (a *app) measure(ctx context.Context, buses []*namedBus, rates []hub.Bitrate, f *loadFlags) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reports := make(chan report) // the meters send; closed below when all have ended
	failed := make(chan error, len(buses))
	var wg sync.WaitGroup
	start, log := time.Now(), a.logger()
	for i, b := range buses {
		m := &meter{bus: b, rate: rates[i], interval: f.interval, count: f.count, out: reports, log: log, unread: unread{log: b.name, errs: a.err}}
		wg.Go(func() {
			err := m.run(ctx, start)
			if err != nil && !isLog(b.url) { // a log has been read to its end
				cancel()
			}
			failed <- err
		})
	}
	go func() {
		wg.Wait()
		close(reports)
	}()

	show := newLoadScreen(a, f.json, names(buses))
	var errs []error
	for r := range reports {
		if errs != nil {
			continue // nobody reads any more
		}
		if err := show.add(r); err != nil {
			errs = append(errs, err)
			cancel()
		}
	}
	if errs == nil {
		errs = append(errs, show.end())
	}
	for range buses {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

// busRates returns the bitrate of each bus, from RATE and NAME=RATE.
func busRates(texts, names []string) ([]hub.Bitrate, error) {
	all := hub.Bitrate{Nominal: 500_000}
	own := map[string]hub.Bitrate{}
	for _, text := range texts {
		name, rate, named := strings.Cut(text, "=")
		if !named {
			rate = text
		}
		b, err := hub.ParseBitrate(rate)
		switch {
		case err != nil:
			return nil, usagef("--bitrate %s", strings.TrimPrefix(err.Error(), "hub: bitrate "))
		case !named:
			all = b
		case !slices.Contains(names, name):
			return nil, usagef("--bitrate %s: there is no bus %q, only %s", text, name, strings.Join(names, ", "))
		default:
			own[name] = b
		}
	}
	var rates []hub.Bitrate
	for _, name := range names {
		b, ok := own[name]
		if !ok {
			b = all
		}
		rates = append(rates, b)
	}
	return rates, nil
}
