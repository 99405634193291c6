package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/canhub-go/canhub/canlog"
)

// convert is the command that writes one log as another.
func (a *app) convert() *cobra.Command {
	var (
		from, to                    string
		channels, numbers, filters  []string
		fromTime, toTime            time.Duration
		nanoseconds, direction, utc bool
		force, quiet, ignoreErrors  bool
	)
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Write a log in another format",
		Long: `Convert writes the log IN as OUT. The ends of their names tell the formats: .log
(candump), .asc, .blf, .csv, .trc, all but .blf also with .gz; "-" is stdin or
stdout, and candump unless --from and --to say otherwise.

Lines of IN that cannot be read, and entries that the format of OUT cannot hold,
are told and passed over, and make the code 1 at the end. OUT is there when it is
complete: a conversion that fails leaves no part of it, and what was there.

ASC, BLF and TRC have numbers for channels, from 1: can0 is 1, can1 is 2, and so
for all names that end in a number. --numbers gives names to numbers, and numbers
to other names.`,
		Example: `  canhub convert drive.blf drive.log
  canhub convert --channel can0=front --channel can1=rear drive.blf named.log
  canhub convert --numbers front,rear named.log drive.asc.gz
  canhub convert -f 123 -f 200:7F0 --channel can1=can0 --force drive.trc drive.csv
  canhub convert --from-time 1m --to-time 2m drive.log minute.blf
  canhub convert drive.blf - | grep ' 123#'
  zcat drive.log.gz | canhub convert --to asc - - > drive.asc`,
		Args: someArgs(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			talk := &talker{out: a.err}
			c := &conversion{
				log:  logReading{path: args[0], in: a.in, loops: 1, from: fromTime, to: toTime, talk: talk},
				path: args[1], stdout: a.out, force: force,
				opts: canlog.WriterOptions{Nanoseconds: nanoseconds, Direction: direction, Channels: numbers},
			}
			c.log.opts.Channels = numbers
			var err error
			if c.log.opts.Format, err = parseFormat("--from", from, args[0]); err != nil {
				return err
			}
			if c.opts.Format, err = parseFormat("--to", to, args[1]); err != nil {
				return err
			}
			if c.rename, err = parseRenames(channels); err != nil {
				return err
			}
			if c.log.sel, err = parseSelection("--filter", filters); err != nil {
				return err
			}
			if err := span(fromTime, toTime); err != nil {
				return err
			}
			if utc {
				c.log.opts.Location, c.opts.Location = time.UTC, time.UTC
			}
			stop := func() {}
			begin := time.Now()
			if onTerminal(a.err) && !quiet {
				c.began = func() {
					stop = talk.follow(func(width int) string {
						read, size := c.log.progress()
						return progressLine(width, read, size, begin, c.written.Load(), "entries")
					})
				}
			}
			err = c.run(ctx)
			stop()
			if err != nil {
				if errors.Is(err, context.Canceled) && ctx.Err() != nil {
					return errors.New("interrupted: the log is not complete")
				}
				return err
			}
			if !quiet {
				c.summarize(time.Since(begin))
			}
			if err := c.failure(); err != nil && !ignoreErrors {
				return err
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&from, "from", "", "`FORMAT` of IN: "+strings.Join(formatNames(), ", "))
	f.StringVar(&to, "to", "", "`FORMAT` of OUT")
	f.StringArrayVar(&channels, "channel", nil, "give channel OLD the name NEW, as `OLD=NEW`; may be given several times")
	f.StringSliceVar(&numbers, "numbers", nil, "`NAMES` of the channels 1, 2 and so on, with commas, where a format has numbers")
	f.StringArrayVarP(&filters, "filter", "f", nil, "write only what matches `FILTER`: "+filterForms)
	f.DurationVar(&fromTime, "from-time", 0, "begin this `TIME` behind the log's first entry")
	f.DurationVar(&toTime, "to-time", 0, "end at the first entry that is this `TIME` behind the log's first (default all)")
	f.BoolVar(&nanoseconds, "nanoseconds", false, "write times to the nanosecond, not the microsecond")
	f.BoolVar(&direction, "direction", false, "write R or T behind the frames of a candump log")
	f.BoolVar(&utc, "utc", false, "dates of ASC logs are in UTC, not in local time")
	f.BoolVar(&force, "force", false, "replace OUT if it is there")
	f.BoolVarP(&quiet, "quiet", "q", false, "show neither progress nor summary")
	f.BoolVar(&ignoreErrors, "ignore-errors", false, "end with code 0 despite lines and entries that were passed over")
	return cmd
}

// formats are all that a user can ask for.
var formats = []canlog.Format{canlog.Candump, canlog.ASC, canlog.BLF, canlog.CSV, canlog.TRC}

func formatNames() (names []string) {
	for _, f := range formats {
		names = append(names, strings.ToLower(f.String()))
	}
	return names
}

// parseFormat returns the format of the file at path as asked for.
func parseFormat(flag, name, path string) (canlog.Format, error) {
	for _, f := range formats {
		if strings.EqualFold(f.String(), name) {
			return f, nil
		}
	}
	switch {
	case name != "":
		return 0, usagef("%s %s: want one of %s", flag, name, strings.Join(formatNames(), ", "))
	case path == "-":
		return canlog.Candump, nil
	}
	return canlog.Auto, nil
}

func parseRenames(texts []string) (map[string]string, error) {
	all := make(map[string]string)
	for _, text := range texts {
		old, name, ok := strings.Cut(text, "=")
		if !ok || old == "" || name == "" {
			return nil, usagef("--channel %s: want OLD=NEW", text)
		}
		if _, twice := all[old]; twice {
			return nil, usagef("--channel %s: there are two names for %s", text, old)
		}
		all[old] = name
	}
	return all, nil
}

// sameFile reports whether both paths lead to one file that is there.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
