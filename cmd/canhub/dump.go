package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/canhub-go/canhub/canlog"
	"github.com/spf13/cobra"
)

// A dumpLook is how the command dump shows frames.
type dumpLook struct {
	time, color              string
	ascii, log, json, silent bool
}

// dump is the command that shows and records what is on buses.
func (a *app) dump() *cobra.Command {
	d := dumping{errs: a.err}
	var look dumpLook
	var filters, files []string
	var stats bool
	cmd := &cobra.Command{
		Use:   "dump BUS...",
		Short: "Show what is on buses, and record it",
		Long: `Dump shows the frames of one or several buses in the order in which they arrive,
as candump does:

  front  123   [2]  AA BB
  front  18FEF100  [12]  00 11 22 33 44 55 66 77 88 99 AA BB
   rear  7FF   [4]  remote request
   rear  20000004   [8]  00 01 00 00 00 00 00 00   ERRORFRAME controller-problem{rx-overflow}

Two digits in [12] tell CAN FD, whose flags BRS and ESI are in the forms --log and
--json only. Error frames are explained.

It ends at an interrupt (Ctrl-C), at one of the limits --count, --duration and
--idle, or when all buses have ended, as that of a log does.

A filter is ID:MASK for identifiers that are equal to ID in the bits of MASK,
ID~MASK for those that are not, ID alone, or ~ID for all others, in hexadecimal.
A frame is shown if it matches any filter without "~", or there is none, and all
with it.

Files are overwritten. What their format cannot hold, such as CAN FD in .csv, is
told, left out, and makes the code 1 at the end, as do entries of a log that
cannot be read. In .asc, .blf and .trc no frame is earlier than the first one:
if it is, by less than a second, for it came from another bus, it gets that time.`,
		Example: `  canhub dump multicast:
  canhub dump -t zero -f 100:700 -n 20 multicast:    the first 20 from 100 to 1FF
  canhub dump -w drive.blf front=multicast://239.74.163.2 rear=multicast://239.74.163.3
  canhub dump --json --idle 5s multicast: | jq .data
  canhub dump -L 'log:drive.blf?speed=max'           a log as text`,
		Args:              someArgs(1, -1),
		ValidArgsFunction: completeBus,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := look.check(cmd); err != nil {
				return err
			}
			if err := wantPositive(cmd, "count", "duration", "idle"); err != nil {
				return err
			}
			if d.selection, err = parseSelection("--filter", filters); err != nil {
				return err
			}
			ctx := cmd.Context()
			buses, err := a.openAll(ctx, args)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeAll(buses)) }()
			if d.files, err = createLogs(files, buses, a.err); err != nil {
				return err
			}
			d.out = look.sink(a.out, a.err, buses)
			err = errors.Join(d.run(ctx, buses), closeLogs(d.files))
			if stats || files != nil {
				d.report(buses)
			}
			return errors.Join(err, d.failure())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVarP(&filters, "filter", "f", nil, "show only what matches `FILTER`: "+filterForms)
	f.Uint64VarP(&d.count, "count", "n", 0, "end after `N` frames (default no end)")
	f.DurationVarP(&d.duration, "duration", "T", 0, "end after this `TIME` (default no end)")
	f.DurationVar(&d.idle, "idle", 0, "end when nothing was shown for this `TIME` (default no end)")
	f.StringVarP(&look.time, "time", "t", "none", "show the time as `STYLE`: none, absolute, date, delta or zero (since the first frame), or candump's a, A, d, z")
	f.BoolVarP(&look.ascii, "ascii", "a", false, "show the data as text too")
	f.StringVarP(&look.color, "color", "c", "auto", "a color for each bus: `WHEN` is always, never, or auto, on a terminal unless NO_COLOR is set")
	f.StringArrayVarP(&files, "write", "w", nil, "record in `FILE` (.log, .asc, .blf, .csv, .trc, also .gz); may be given several times")
	f.BoolVarP(&look.silent, "quiet", "q", false, "show nothing, only record")
	f.BoolVarP(&look.log, "log", "L", false, "show lines of a candump log")
	f.BoolVar(&look.json, "json", false, "show each frame as a JSON object in a line")
	f.BoolVar(&stats, "stats", false, "tell at the end what each bus has received and dropped; --write does it too")
	return cmd
}

func (l *dumpLook) check(cmd *cobra.Command) error {
	var forms []string
	for _, form := range []struct {
		flag string
		set  bool
	}{{"--quiet", l.silent}, {"--log", l.log}, {"--json", l.json}} {
		if form.set {
			forms = append(forms, form.flag)
		}
	}
	switch _, known := timeStyles[l.time]; {
	case !known:
		return usagef("--time %q: want none, absolute, date, delta or zero", l.time)
	case l.color != "auto" && l.color != "always" && l.color != "never":
		return usagef("--color %q: want auto, always or never", l.color)
	case len(forms) > 1:
		return usagef("%s: want one of them", strings.Join(forms, " and "))
	}
	for _, name := range []string{"time", "ascii", "color"} {
		if cmd.Flags().Changed(name) && len(forms) > 0 {
			return usagef("--%s has no meaning with %s", name, forms[0])
		}
	}
	return nil
}

// sink returns nil if nothing is to be shown.
func (l *dumpLook) sink(out, errs io.Writer, buses []*namedBus) frameSink {
	switch {
	case l.silent:
		return nil
	case l.log:
		return &dumpLog{w: canlog.NewWriter(out, nil), path: "stdout", errs: errs}
	case l.json:
		return &dumpJSON{bufio.NewWriterSize(out, 1<<16)}
	}
	lines := newDumpLines(out, buses)
	lines.time, lines.ascii = timeStyles[l.time], l.ascii
	lines.color = l.color == "always" || l.color == "auto" && os.Getenv("NO_COLOR") == "" && canDraw(out)
	return lines
}
