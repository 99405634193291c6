package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) serve() *cobra.Command {
	var connect []string
	var show, end bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "serve [CONFIG]",
		Short: "Run a hub, with its channels open on other buses",
		Long: `Serve runs a hub until it is interrupted. Each channel can be connected to any
number of buses; whoever is on one of them is on the channel. A bus that fails
is opened again, with growing pauses.

CONFIG is a file with one connection to a line, as the flags have them:

  # what is on my desk
  connect can0 multicast://239.74.163.2?iface=lo
  connect can1 log:drive.log?loop=forever`,
		Example: `  canhub serve --connect can0=multicast:
  canhub serve --connect can0=multicast: --connect can0=log:drive.log
  canhub serve --dump desk.conf`,
		Args: someArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wantPositive(cmd, "duration"); err != nil {
				return err
			}
			var links []link
			for _, text := range connect {
				l, err := parseLink(text, "--connect")
				if err != nil {
					return err
				}
				links = append(links, l)
			}
			if len(args) > 0 {
				more, err := readConfig(args[0])
				if err != nil {
					return err
				}
				links = append(links, more...)
			}
			if len(links) == 0 {
				return usagef("serve: nothing to connect: want --connect CHANNEL=URL or a CONFIG")
			}
			ctx, cancel := limited(cmd.Context(), limit)
			defer cancel()
			return a.runServe(ctx, links, show, end)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVar(&connect, "connect", nil, "put the bus on the channel, as `CHANNEL=URL`; may be given several times")
	f.BoolVar(&show, "dump", false, "show all traffic, in the form of a candump log")
	f.BoolVar(&end, "end", false, "end when all connections have ended, as logs do")
	f.DurationVarP(&limit, "duration", "T", 0, "end after this `TIME` (default no end)")
	return cmd
}

// limited returns ctx with a limit of time, if there is one.
func limited(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

func parseLink(text, from string) (link, error) {
	channel, url, ok := strings.Cut(text, "=")
	if !ok || !isName(channel) {
		return link{}, usagef("%s %q: want CHANNEL=URL", from, text)
	}
	return link{channel, url, from}, nil
}

// readConfig reads the file that Long tells of.
func readConfig(path string) ([]link, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var links []link
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		from := fmt.Sprintf("%s:%d", path, n)
		switch {
		case fields[0] != "connect":
			return nil, fmt.Errorf("%s: %q: want connect CHANNEL URL", from, fields[0])
		case len(fields) != 3 || !isName(fields[1]):
			return nil, fmt.Errorf("%s: want connect CHANNEL URL", from)
		}
		links = append(links, link{fields[1], fields[2], from})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return links, nil
}

func (a *app) runServe(ctx context.Context, links []link, show, end bool) error {
	s := a.newStation()
	defer s.close()
	for _, l := range links {
		if err := s.connect(ctx, l); err != nil {
			return err
		}
	}
	if show {
		if err := s.show(nil); err != nil {
			return err
		}
	}
	return s.run(ctx, end)
}
