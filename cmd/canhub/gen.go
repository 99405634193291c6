package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/spf13/cobra"
)

// A generation is what the command gen has to do.
type generation struct {
	generator
	gap   time.Duration
	burst uint64 // frames in each gap
	count uint64 // 0: no end
	show  *dumpLines
	sent  uint64
}

// gen is the command that makes traffic.
func (a *app) gen() *cobra.Command {
	var g generation
	var extended, fd, brs, esi, remote, verbose, stats bool
	cmd := &cobra.Command{
		Use:   "gen BUS",
		Short: "Make traffic on a bus",
		Long: `Gen sends frames that it makes up, one every 200 ms unless --gap says otherwise.
All of them are valid.

Identifier, length and data are each "r" for random, "i" for one that counts up,
or fixed. A fixed identifier is in hexadecimal, with eight digits for 29 bits.
Data that count up are the number of the frame, lowest byte first, followed by
zeros. Fixed data are as long as they are; with --length they are cut, or filled
up with zeros.

The rate is exact in the mean: a frame that is late does not make the next one
late. More than 250 ms is not made up for.`,
		Example: `  canhub gen multicast:                            anything classic, 5 a second
  canhub gen -g 1ms -I 123 -L 8 -D i multicast:    numbered frames, 1000 a second
  canhub gen -g 0 -n 100000 --stats multicast:     as fast as it goes
  canhub gen --mix --seed 42 -n 20 -v multicast:   the same 20 of all kinds each time`,
		Args:              someArgs(1, 1),
		ValidArgsFunction: completeBus,
		RunE: func(cmd *cobra.Command, args []string) error {
			for flag, set := range map[hub.Flags]bool{
				hub.Extended: extended, hub.FDF: fd, hub.BRS: brs, hub.ESI: esi, hub.Remote: remote,
			} {
				if set {
					g.flags |= flag
				}
			}
			if !cmd.Flags().Changed("seed") {
				g.seed = uint64(rand.Uint32()) // short enough to type
			}
			if err := g.check(cmd); err != nil {
				return err
			}
			ctx := cmd.Context()
			buses, err := a.openToSend(ctx, args)
			if err != nil {
				return err
			}
			if verbose {
				g.show = newDumpLines(a.out, buses)
			}
			begin := time.Now()
			err = drained(ctx, buses, func() error { return g.run(ctx, buses[0]) })
			if g.show != nil {
				if ferr := g.show.flush(); err == nil {
					err = ferr // otherwise it may be the same again
				}
			}
			if verbose || stats {
				took := time.Since(begin)
				fmt.Fprintf(a.err, "canhub: %s: %s sent in %v%s, seed %d\n",
					buses[0].name, number(g.sent, "frame"), rounded(took), perSecond(g.sent, took), g.seed)
			}
			return errors.Join(err, closeAll(buses))
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.DurationVarP(&g.gap, "gap", "g", 200*time.Millisecond, "`TIME` from one frame to the next; 0 is as fast as possible")
	f.Uint64Var(&g.burst, "burst", 1, "send `N` frames at once, then wait for the gap")
	f.Uint64VarP(&g.count, "count", "n", 0, "end after `N` frames (default no end)")
	f.StringVarP(&g.id, "id", "I", "r", "identifier: r, i or `HEX`")
	f.StringVarP(&g.length, "length", "L", "", "number of bytes: r, i or `N` (default r, or that of fixed data)")
	f.StringVarP(&g.data, "data", "D", "r", "data: r, i or `HEX`")
	f.BoolVarP(&extended, "extended", "e", false, "29-bit identifiers")
	f.BoolVar(&fd, "fd", false, "CAN FD frames")
	f.BoolVarP(&brs, "brs", "b", false, "CAN FD frames with bit rate switch")
	f.BoolVar(&esi, "esi", false, "CAN FD frames of an error passive sender")
	f.BoolVarP(&remote, "remote", "R", false, "remote frames")
	f.BoolVarP(&g.mix, "mix", "m", false, "frames of all these kinds, at random")
	f.Uint64Var(&g.seed, "seed", 0, "`N` from which all that is random follows (default another each time)")
	f.BoolVarP(&verbose, "verbose", "v", false, "show each frame, and --stats")
	f.BoolVar(&stats, "stats", false, "tell at the end what was sent, how fast, and the seed")
	return cmd
}

func (g *generation) check(cmd *cobra.Command) error {
	if g.gap < 0 {
		return usagef("--gap %v: negative", g.gap)
	}
	if err := wantPositive(cmd, "burst", "count"); err != nil {
		return err
	}
	return g.prepare()
}

func (g *generation) run(ctx context.Context, bus *namedBus) error {
	plan := newSchedule(g.gap)
	for g.count == 0 || g.sent < g.count {
		if g.sent > 0 && g.sent%g.burst == 0 {
			if g.show != nil && g.gap > 0 {
				if err := g.show.flush(); err != nil {
					return err
				}
			}
			if err := plan.wait(ctx, g.gap); err != nil {
				return err
			}
		}
		m := g.next()
		if err := bus.put(ctx, m); err != nil {
			return err
		}
		g.sent++
		if g.show != nil {
			if err := g.show.frame(bus, m); err != nil {
				return err
			}
		}
	}
	return nil
}
