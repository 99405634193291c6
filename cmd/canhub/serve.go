package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/canhub-go/canhub/monitor"
	"github.com/spf13/cobra"
)

func (a *app) serve() *cobra.Command {
	var connect, listen []string
	var labels string
	var show, end bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "serve [CONFIG]",
		Short: "Run a hub, with its channels open on other buses",
		Long: `Serve runs a hub until it is interrupted. Its channels are there for clients of
servers, --listen, and can be connected to any number of buses, --connect;
whoever is on one of them is on the channel. A bus that fails is opened again,
with growing pauses.

A server listens on this machine alone unless its URL names another address. One
of python-can-remote's protocol, ws:, shows the traffic in a browser too. Options
of the URLs: canhub urls.

CONFIG is a file with one of these to a line, as the flags have them:

  # what is on my desk
  listen  can0 ws://127.0.0.1:54701
  connect can0 multicast://239.74.163.2?iface=lo
  connect can1 log:drive.log?loop=forever`,
		Example: `  canhub serve --listen can0=ws:
  canhub serve --listen can0=ws: --connect can0=multicast: --labels car.dbc
  canhub serve --listen can0=virtualcan: --listen can0=zeromcan:
  canhub serve --connect can0=multicast: --connect can0=log:drive.log
  canhub serve --dump desk.conf`,
		Args: someArgs(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := wantPositive(cmd, "duration"); err != nil {
				return err
			}
			links, err := parseLinks(listen, connect)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				more, err := readConfig(args[0])
				if err != nil {
					return err
				}
				links = append(links, more...)
			}
			if len(links) == 0 {
				return usagef("serve: nothing to do: want --listen or --connect CHANNEL=URL, or a CONFIG")
			}
			page := &monitor.Options{}
			if labels != "" {
				var err error
				if page.Labels, err = monitor.LoadLabels(labels); err != nil {
					return err
				}
			}
			return a.runServe(cmd.Context(), links, page, limit, show, end)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringArrayVar(&listen, "listen", nil, "let clients onto the channel, as `CHANNEL=URL`; may be given several times")
	f.StringArrayVar(&connect, "connect", nil, "put the bus on the channel, as `CHANNEL=URL`; may be given several times")
	f.StringVar(&labels, "labels", "", "names of messages for the browser, from a `FILE` of lines \"ID NAME\" or a .dbc")
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

// parseLinks reads what the flags of these names say.
func parseLinks(listen, connect []string) (links []link, err error) {
	for i, text := range append(slices.Clone(listen), connect...) {
		flag := "--listen"
		if i >= len(listen) {
			flag = "--connect"
		}
		l, err := parseLink(text, flag)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

func parseLink(text, from string) (link, error) {
	channel, url, ok := strings.Cut(text, "=")
	if !ok || !isName(channel) {
		return link{}, usagef("%s %q: want CHANNEL=URL", from, text)
	}
	return link{channel: channel, url: url, from: from, listen: from == "--listen"}, nil
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
		case fields[0] != "connect" && fields[0] != "listen":
			return nil, fmt.Errorf("%s: %q: want listen or connect CHANNEL URL", from, fields[0])
		case len(fields) != 3 || !isName(fields[1]):
			return nil, fmt.Errorf("%s: want %s CHANNEL URL", from, fields[0])
		}
		links = append(links, link{channel: fields[1], url: fields[2], from: from, listen: fields[0] == "listen"})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return links, nil
}

func (a *app) runServe(ctx context.Context, links []link, page *monitor.Options, limit time.Duration, show, end bool) error {
	s := a.newStation()
	defer s.close()
	if err := s.addAll(ctx, links, page); err != nil {
		return err
	}
	for _, l := range s.servers {
		s.log.Info(fmt.Sprintf("%s is at %s", l.channel, l.server.URL()))
	}
	if show {
		if err := s.show(nil); err != nil {
			return err
		}
	}
	return s.run(ctx, limit, end)
}
