package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/spf13/cobra"
)

// A sending is what the command send has to do.
type sending struct {
	frames []hub.Message
	lines  io.Reader // has the frames instead, if not nil
	period time.Duration
	gap    time.Duration
	rounds uint64 // 0: no end
}

// send is the command that puts given frames on a bus.
func (a *app) send() *cobra.Command {
	var s sending
	cmd := &cobra.Command{
		Use:   "send BUS FRAME... | BUS -",
		Short: "Put frames on a bus",
		Long: `Send puts frames on a bus, in the order given. A frame is written as candump
and cansend do it:

  123#DEADBEEF    11-bit identifier 123, four bytes
  00000123#11.22  eight digits: 29-bit identifier; dots between bytes are allowed
  123#R4          remote frame that asks for four bytes
  123##1AABB      CAN FD; the digit behind ## is 0, or 1 BRS, 2 ESI, 3 both
  20000004#0001000000000000  error frame: classes with bit 29 set, details

With "-" for the frames they are read from stdin, one to a line;
blank lines and lines that begin with # are passed over.

If one of the frames on the command line is wrong, none is sent.

The gap is the least time from one frame to the next. With a period the rate is
exact in the mean: what is late does not make the next late, and more than 250 ms
is not made up for.`,
		Example: `  canhub send multicast: 123#DEADBEEF 7FF#R
  canhub send -p 100ms multicast: 123#00 200#R        both, ten times a second
  canhub send -p 1s --gap 500ms -n 10 multicast: 123#00 123#01
  canhub send --gap 10ms multicast: - < frames.txt`,
		Args:              someArgs(2, -1),
		ValidArgsFunction: completeBus,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := s.parse(cmd, args[1:], a.in); err != nil {
				return err
			}
			ctx := cmd.Context()
			buses, err := a.openToSend(ctx, args[:1])
			if err != nil {
				return err
			}
			err = drained(ctx, buses, func() error { return s.run(ctx, buses[0]) })
			return errors.Join(err, closeAll(buses))
		},
	}
	f := cmd.Flags()
	f.DurationVarP(&s.period, "period", "p", 0, "send all frames again and again, this `TIME` from one round to the next")
	f.Uint64VarP(&s.rounds, "count", "n", 0, "end after `N` rounds (default 1, with --period no end)")
	f.DurationVarP(&s.gap, "gap", "g", 0, "`TIME` from one frame to the next (default none)")
	f.SortFlags = false
	return cmd
}

// parse checks the flags and reads the frames of the command line.
func (s *sending) parse(cmd *cobra.Command, texts []string, in io.Reader) error {
	for _, text := range texts {
		if text == "-" {
			s.lines = in
			continue
		}
		m, err := hub.Parse(text)
		if err != nil {
			return usageError{err}
		}
		s.frames = append(s.frames, m)
	}
	if err := wantPositive(cmd, "period", "count"); err != nil {
		return err
	}
	switch count := cmd.Flags().Changed("count"); {
	case s.gap < 0:
		return usagef("--gap %v: negative", s.gap)
	case s.lines != nil && len(texts) > 1:
		return usagef(`"-" stands for all frames: want no others beside it`)
	case s.lines != nil && (s.period > 0 || count):
		return usagef(`--period and --count need frames on the command line, not "-"`)
	case s.period > 0 && s.period/time.Duration(len(texts)) < s.gap:
		return usagef("--period %v is too short for %d frames, each with --gap %v", s.period, len(texts), s.gap)
	case s.period == 0 && !count:
		s.rounds = 1
	}
	return nil
}

func (s *sending) run(ctx context.Context, bus *namedBus) error {
	switch {
	case s.lines != nil:
		return s.sendLines(ctx, bus)
	case s.period > 0:
		return s.sendPeriodic(ctx, bus)
	default:
		return s.sendRounds(ctx, bus)
	}
}

func (s *sending) sendPeriodic(ctx context.Context, bus *namedBus) error {
	plan := newSchedule(s.period)
	for round := uint64(0); s.rounds == 0 || round < s.rounds; round++ {
		if round > 0 {
			if err := plan.wait(ctx, s.period-s.gap*time.Duration(len(s.frames)-1)); err != nil {
				return err
			}
		}
		for i, m := range s.frames {
			if i > 0 {
				if err := plan.wait(ctx, s.gap); err != nil {
					return err
				}
			}
			if err := bus.put(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sending) sendRounds(ctx context.Context, bus *namedBus) error {
	for round := range s.rounds {
		for i, m := range s.frames {
			if err := s.putApart(ctx, bus, m, round == 0 && i == 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// putApart sends m, not before the gap behind the frame in front of it is over.
func (s *sending) putApart(ctx context.Context, bus *namedBus, m hub.Message, first bool) error {
	if !first {
		if err := newSchedule(0).wait(ctx, s.gap); err != nil {
			return err
		}
	}
	return bus.put(ctx, m)
}

func (s *sending) sendLines(ctx context.Context, bus *namedBus) error {
	type line struct {
		n    int
		text string
		err  error
	}
	lines := make(chan line) // closed by the goroutine below
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Nobody waits for this one: a read of a terminal cannot be interrupted. It
	// ends with its input, or with the process.
	go func() {
		defer close(lines)
		sc := bufio.NewScanner(s.lines)
		n := 0
		for more := true; more; {
			more = sc.Scan()
			n++
			l := line{n: n, text: strings.TrimSpace(sc.Text()), err: sc.Err()}
			if l.err == nil && (l.text == "" || l.text[0] == '#') {
				continue
			}
			select {
			case lines <- l:
			case <-ctx.Done():
				return
			}
		}
	}()
	first := true
	for {
		var l line
		var ok bool
		select {
		case l, ok = <-lines:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !ok {
			return nil
		}
		m, err := hub.Parse(l.text)
		if l.err != nil {
			err = l.err
		}
		if err == nil {
			err = s.putApart(ctx, bus, m, first)
		}
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("stdin, line %d: %w", l.n, err)
		}
		first = false
	}
}
