package main

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/canhub-go/canhub/canlog"
)

// playFlags are what the command line of play asks for.
type playFlags struct {
	speed, loops      string
	gap, maxPause     time.Duration
	from, to          time.Duration
	filters           []string
	errorFrames, step bool
	verbose, quiet    bool
	ignoreErrors      bool
}

// play is the command that sends a log.
func (a *app) play() *cobra.Command {
	var o playFlags
	cmd := &cobra.Command{
		Use:   "play LOG BUS | LOG CHANNEL=BUS...",
		Short: "Send what a log has recorded",
		Long: `Play sends the frames of a log on a bus, at the pace at which they were recorded.
The end of LOG's name tells its format: .log (candump), .asc, .blf, .csv, .trc,
all but .blf also with .gz; "-" is a candump log on stdin.

Given one BUS, all channels of the log go to it. Given CHANNEL=BUS, once or more
often, only these channels are played, and the frames of others are counted.
With --loop the log begins again at once behind its last frame.

Frames that come late, for the bus or the machine was slow, are sent at once, so
the play does not fall behind for ever. A network that is given more than it can
carry, as by --speed max, may lose frames without telling.

With --step nothing is sent until a key is pressed: the space bar or enter sends
the next frame and shows it, g goes on at speed until the space bar is pressed,
q ends.`,
		Example: `  canhub play drive.log multicast:
  canhub play -s 2 -l forever drive.blf multicast://239.74.163.2
  canhub play drive.log can0=multicast://239.74.163.2 can1=multicast://239.74.163.3
  canhub play --from-time 1m30s --to-time 2m -f 123 -f 200:7F0 drive.asc multicast:
  canhub play --gap 10ms -v drive.trc.gz multicast:
  zcat drive.log.gz | canhub play - multicast:
  canhub play --step drive.log multicast:`,
		Args:              someArgs(2, -1),
		ValidArgsFunction: completeLog,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wantPositive(cmd, "gap", "max-pause"); err != nil {
				return err
			}
			p, err := o.player(args[0], a.in)
			if err != nil {
				return err
			}
			switch {
			case o.gap > 0 && (o.maxPause > 0 || cmd.Flags().Changed("speed")):
				return usagef("--gap sets the time between frames alone: it goes without --speed and --max-pause")
			case o.step && !onTerminal(a.in):
				return usagef("--step takes keys, but stdin is no terminal")
			}
			buses := args[1:]
			channels, err := routes(buses)
			if err != nil {
				return err
			}
			return a.runPlay(cmd.Context(), p, &o, channels, buses)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.speed, "speed", "s", "1", "`N` times faster than recorded, or max")
	f.StringVarP(&o.loops, "loop", "l", "1", "play the log `N` times, or forever")
	f.DurationVarP(&o.gap, "gap", "g", 0, "`TIME` from one frame to the next (default that of the log)")
	f.DurationVar(&o.maxPause, "max-pause", 0, "cut longer pauses of the log to this `TIME` (default no limit)")
	f.DurationVar(&o.from, "from-time", 0, "begin this `TIME` behind the log's first entry")
	f.DurationVar(&o.to, "to-time", 0, "end at the first entry that is this `TIME` behind the log's first (default all)")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "play only what matches `FILTER`: "+filterForms)
	f.BoolVar(&o.errorFrames, "error-frames", false, "play error frames too")
	f.BoolVar(&o.step, "step", false, "send a frame at each press of a key")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show each frame that is sent")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show neither progress nor summary")
	f.BoolVar(&o.ignoreErrors, "ignore-errors", false, "end with code 0 despite lines that cannot be read and frames that the bus refuses")
	return cmd
}

// player returns one for the log at path, without buses.
func (o *playFlags) player(path string, in io.Reader) (*player, error) {
	p := &player{
		errorFrames: o.errorFrames,
		pace:        canlog.PaceOptions{Interval: o.gap, MaxPause: o.maxPause},
		log:         logReading{path: path, in: in, from: o.from, to: o.to},
	}
	var err error
	if p.pace.Speed, err = parseSpeed(o.speed); err != nil {
		return nil, err
	}
	if p.log.loops, err = parseLoops(o.loops); err != nil {
		return nil, err
	}
	if p.log.sel, err = parseSelection("--filter", o.filters); err != nil {
		return nil, err
	}
	switch {
	case path == "-" && p.log.loops != 1:
		return nil, usagef("stdin can be played only once")
	case path == "-" && o.step:
		return nil, usagef("--step takes the keys from stdin, so LOG cannot be there")
	}
	return p, span(o.from, o.to)
}

// runPlay opens what p needs, plays and tells how it was.
func (a *app) runPlay(ctx context.Context, p *player, o *playFlags, channels, args []string) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	talk := &talker{out: a.err}
	with := &app{a.in, a.out, talk}
	p.log.talk = talk
	if err := p.log.open(inner); err != nil {
		return err
	}
	defer p.log.close() // read only: nothing can be lost
	all, err := a.openToSend(inner, args)
	if err != nil {
		return err
	}
	p.to(channels, all)
	if o.step {
		t, err := a.raw(inner)
		if err != nil {
			return errors.Join(err, closeAll(all))
		}
		defer t.restore()
		p.keys, p.hold = t.keys, true
		talk.out, with.out = t.err, t.out
		p.showStep = with.out
	}
	if o.verbose {
		p.show = with.out
	}
	begin, stop := time.Now(), func() {}
	if onTerminal(a.err) && !o.quiet && !o.verbose && !o.step {
		stop = talk.follow(func(width int) string {
			read, size := p.log.progress()
			return progressLine(width, read, size, begin, p.sent.Load(), "frames")
		})
	}
	err = drained(inner, all, func() error { return p.run(inner) })
	stop()
	err = unlessDone(ctx, errors.Join(err, closeAll(all)))
	if !o.quiet {
		talk.say("%s", p.summary(time.Since(begin)))
	}
	if err == nil && !o.ignoreErrors {
		err = p.failure()
	}
	return err
}

func parseSpeed(text string) (float64, error) {
	if text == "max" {
		return math.Inf(1), nil
	}
	speed, err := strconv.ParseFloat(text, 64)
	if err != nil || !(speed > 0) || math.IsInf(speed, 1) {
		return 0, usagef("--speed %s: want a number above 0, or max", text)
	}
	return speed, nil
}

func parseLoops(text string) (int, error) {
	if text == "forever" {
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, usagef("--loop %s: want a number from 1, or forever", text)
	}
	return n, nil
}

// routes returns the channels that go to the buses of the command line, or none
// if all go to the one bus.
func routes(args []string) (channels []string, err error) {
	for _, arg := range args {
		channel, _, named := strings.Cut(arg, "=")
		if !named || !isName(channel) {
			continue
		}
		if slices.Contains(channels, channel) {
			return nil, usagef("channel %s goes to two buses", channel)
		}
		channels = append(channels, channel)
	}
	switch {
	case len(channels) == 0 && len(args) > 1:
		return nil, usagef("%d buses: say which channels go to them, as in can0=%s", len(args), args[0])
	case len(channels) != 0 && len(channels) < len(args):
		return nil, usagef("want CHANNEL=BUS for all buses, or one BUS for all channels")
	}
	return channels, nil
}
