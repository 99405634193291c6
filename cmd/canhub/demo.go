package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canhub-go/canhub/examples/vehicle"
	"github.com/canhub-go/canhub/hub"
	"github.com/spf13/cobra"
)

func (a *app) demo() *cobra.Command {
	var overMulticast, all, quiet bool
	var connect []string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a simulated car to try things on",
		Long: `Demo is a car in a hub: a dozen nodes that send what such nodes do, on two
channels. can0 has the engine, brakes, steering, gearbox, camera and radar, can1
doors, lights, climate and the cluster, with a gateway between them. The car
drives a round of ten seconds, again and again, and answers requests of OBD
diagnosis. A little of the traffic is shown, or all of it with --all.

With --multicast can0 is also on python-can's multicast group, where other
processes reach it. That can leave the machine: so it takes the flag.`,
		Example: `  canhub demo
  canhub demo --multicast
  canhub demo --connect can0=multicast://239.74.163.2?iface=lo`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := wantPositive(cmd, "duration"); err != nil {
				return err
			}
			if all && quiet {
				return usagef("--all and --quiet: want one of them")
			}
			var links []link
			if overMulticast {
				links = append(links, link{"can0", "multicast:", "--multicast"})
			}
			for _, text := range connect {
				l, err := parseLink(text, "--connect")
				if err != nil {
					return err
				}
				if l.channel != "can0" && l.channel != "can1" {
					return usagef("--connect %s: the channels are can0 and can1", text)
				}
				links = append(links, l)
			}
			ctx, cancel := limited(cmd.Context(), limit)
			defer cancel()
			return a.runDemo(ctx, links, all, quiet)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&overMulticast, "multicast", false, "put can0 on python-can's multicast group: --connect can0=multicast:")
	f.StringArrayVar(&connect, "connect", nil, "put the bus on the channel can0 or can1, as `CHANNEL=URL`; may be given several times")
	f.BoolVar(&all, "all", false, "show all traffic")
	f.BoolVarP(&quiet, "quiet", "q", false, "show no traffic")
	f.DurationVarP(&limit, "duration", "T", 0, "end after this `TIME` (default no end)")
	return cmd
}

func (a *app) runDemo(ctx context.Context, links []link, all, quiet bool) error {
	s := a.newStation()
	defer s.close()
	for _, name := range []string{"can0", "can1"} {
		if err := s.hub.Create(name, nil); err != nil {
			return err
		}
	}
	for _, l := range links {
		if err := s.connect(ctx, l); err != nil {
			return err
		}
	}
	a.introduce(links)
	if !quiet {
		wanted := sample
		if all {
			wanted = nil
		}
		if err := s.show(wanted); err != nil {
			return err
		}
	}
	s.tasks = append(s.tasks, func(ctx context.Context) error {
		return vehicle.RunSplit(ctx, s.hub, "can0", "can1", 1)
	})
	return s.run(ctx, false)
}

// introduce says what there is and what to do with it.
func (a *app) introduce(links []link) {
	fmt.Fprintln(a.err, "A car is driving: the drive on can0, comfort on can1. Ctrl-C ends it.")
	for _, l := range links {
		fmt.Fprintf(a.err, "%s is on %s\n", l.channel, l.url)
	}
	i := slices.IndexFunc(links, func(l link) bool { return !isLog(l.url) })
	if i < 0 {
		fmt.Fprint(a.err, `
It is in this process alone. To reach it from others, on this network:

  canhub demo --multicast

`)
		return
	}
	url := links[i].url
	if strings.ContainsAny(url, "?&*[]") {
		url = "'" + url + "'" // for the shell
	}
	fmt.Fprintf(a.err, `
Try, in another terminal:

  canhub sniff %[1]s                      a live table
  canhub dump %[1]s                       all that is sent
  canhub dump %[1]s -f 7E8                what answers ...
  canhub send %[1]s 7DF#02010D            ... when asked for the speed
`, url)
	if strings.HasPrefix(links[i].url, "multicast:") {
		group := "" // python-can's default too
		if host, ok := strings.CutPrefix(links[i].url, "multicast://"); ok {
			host, _, _ = strings.Cut(host, "?")
			group = strconv.Quote(host) + ", "
		}
		fmt.Fprintf(a.err, `  python3 -c 'import can; [print(m) for m in can.Bus(%sinterface="udp_multicast")]'
`, group)
	}
	fmt.Fprintln(a.err)
}

// sample returns a func that lets a little through, for people to read: a message
// each 300 ms, each identifier once in 3 s; and all of OBD diagnosis.
func sample() func(hub.Message) bool {
	var last time.Time
	shown := make(map[uint32]time.Time)
	return func(m hub.Message) bool {
		if m.ID >= 0x7DF && m.ID <= 0x7EF && m.Flags&hub.Extended == 0 {
			return true
		}
		now := time.Now()
		if now.Sub(last) < 300*time.Millisecond || now.Sub(shown[m.ID]) < 3*time.Second {
			return false
		}
		last, shown[m.ID] = now, now
		return true
	}
}
