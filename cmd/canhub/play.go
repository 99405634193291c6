package main

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
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
		Use:   "play FILE BUS | FILE CHANNEL=BUS...",
		Short: "Send what a log has recorded",
		Long: `play sends the frames of a log on a bus, at the pace at which they were recorded.
The end of FILE's name tells its format: .log (candump), .asc, .blf, .csv, .trc,
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
  canhub play --from 1m30s --to 2m -f 123 -f 200:7F0 drive.asc multicast:
  canhub play --gap 10ms -v drive.trc.gz multicast:
  zcat drive.log.gz | canhub play - multicast:
  canhub play --step drive.log multicast:`,
		Args: someArgs(2, -1, "FILE BUS or FILE CHANNEL=BUS..."),
		RunE: func(cmd *cobra.Command, args []string) error {
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
			channels, urls, err := routes(args[1:])
			if err != nil {
				return err
			}
			return a.runPlay(cmd.Context(), p, &o, channels, urls)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.speed, "speed", "s", "1", "`N` times faster than recorded, or max")
	f.StringVarP(&o.loops, "loop", "l", "1", "play the log `N` times, or forever")
	f.DurationVarP(&o.gap, "gap", "g", 0, "time from each frame to the next, instead of the log's")
	f.DurationVar(&o.maxPause, "max-pause", 0, "cut longer pauses of the log to this (default no limit)")
	f.DurationVar(&o.from, "from", 0, "begin this long behind the log's first frame")
	f.DurationVar(&o.to, "to", 0, "end at the first frame that is this long behind the log's first (default all)")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "play only what matches `FILTER`: ID:MASK, ID~MASK, ID or ~ID, in hex; may be there several times")
	f.BoolVar(&o.errorFrames, "error-frames", false, "play error frames too")
	f.BoolVar(&o.step, "step", false, "send a frame at each press of a key")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print each frame that is sent")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "neither progress nor summary")
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
	if p.log.sel, err = parseSelection(o.filters); err != nil {
		return nil, err
	}
	switch {
	case o.gap < 0 || o.maxPause < 0:
		return nil, usagef("--gap and --max-pause: want no negative time")
	case path == "-" && p.log.loops != 1:
		return nil, usagef("stdin can be played only once")
	case path == "-" && o.step:
		return nil, usagef("--step takes the keys from stdin, so FILE cannot be there")
	}
	return p, span(o.from, o.to, "--from", "--to")
}

// runPlay opens what p needs, plays and tells how it was.
func (a *app) runPlay(ctx context.Context, p *player, o *playFlags, channels, urls []string) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	talk := &talker{out: a.err}
	with := &app{a.in, a.out, talk}
	p.log.talk = talk
	if err := p.log.open(inner); err != nil {
		return err
	}
	defer p.log.close() // read only: nothing can be lost
	// What a bus says of receiving is of no interest here.
	all, err := (&app{err: io.Discard}).openAll(inner, urls)
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
	err = errors.Join(err, closeAll(all))
	if !o.quiet {
		talk.say("%s", p.summary(time.Since(begin)))
	}
	if failed := p.failure(); failed != nil && !o.ignoreErrors && (err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err())) {
		return failed
	}
	return err
}

// drained runs work while what the buses receive is taken and dropped: a bus
// that nobody receives from may stop to work.
func drained(ctx context.Context, all []*namedBus, work func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, b := range all {
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

// routes parts the buses of the command line into the channels that go to them,
// none if all go to the one bus, and their URLs.
func routes(args []string) (channels, urls []string, err error) {
	for _, arg := range args {
		url := busURL(arg)
		urls = append(urls, url)
		if url == arg {
			continue
		}
		channel := strings.TrimSuffix(arg, "="+url)
		if slices.Contains(channels, channel) {
			return nil, nil, usagef("channel %s goes to two buses", channel)
		}
		channels = append(channels, channel)
	}
	switch {
	case len(channels) == 0 && len(urls) > 1:
		return nil, nil, usagef("%d buses: say which channels go to them, as in can0=%s", len(urls), urls[0])
	case len(channels) != 0 && len(channels) < len(urls):
		return nil, nil, usagef("want CHANNEL=BUS for all buses, or one BUS for all channels")
	}
	return channels, urls, nil
}
