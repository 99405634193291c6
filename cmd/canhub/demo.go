package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/canhub-go/canhub/examples/vehicle"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/monitor"
	"github.com/spf13/cobra"
)

func (a *app) demo() *cobra.Command {
	var overMulticast, alone, all, quiet bool
	var listen, connect []string
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a simulated car to try things on",
		Long: `Demo is a car in a hub: a dozen nodes that send what such nodes do, on two
channels. can0 has the engine, brakes, steering, gearbox, camera and radar, can1
doors, lights, climate and the cluster, with a gateway between them. The car
drives a round of ten seconds, again and again, and answers requests of OBD
diagnosis. A little of the traffic is shown, or all of it with --all.

A browser shows the car at http://127.0.0.1:54701/. Other programs are let in
there, and by virtualcan's protocols. With --multicast can0 is also on python-can's multicast group. That can
leave the machine: so it takes the flag.`,
		Example: `  canhub demo
  canhub demo --listen can0=ws://127.0.0.1:8080
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
			if alone && cmd.Flags().Changed("listen") {
				return usagef("--alone and --listen: want one of them")
			}
			links, err := parseLinks(listen, connect)
			if err != nil {
				return err
			}
			if !alone && listen == nil {
				for _, url := range []string{"ws:", "virtualcan:", "zeromcan:"} {
					links = append(links, link{channel: "can0", url: url, listen: true, spare: true})
				}
			}
			if overMulticast {
				links = append(links, link{channel: "can0", url: "multicast:", from: "--multicast"})
			}
			for _, l := range links {
				if l.channel != "can0" && l.channel != "can1" {
					return usagef("%s %s=%s: the channels are can0 and can1", l.from, l.channel, l.url)
				}
			}
			return a.runDemo(cmd.Context(), links, limit, all, quiet)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&overMulticast, "multicast", false, "put can0 on python-can's multicast group: --connect can0=multicast:")
	f.StringArrayVar(&listen, "listen", nil, "let clients onto can0 or can1, as `CHANNEL=URL`; may be given several times (default can0 by every server there is)")
	f.BoolVar(&alone, "alone", false, "let no clients in")
	f.StringArrayVar(&connect, "connect", nil, "put the bus on the channel can0 or can1, as `CHANNEL=URL`; may be given several times")
	f.BoolVar(&all, "all", false, "show all traffic")
	f.BoolVarP(&quiet, "quiet", "q", false, "show no traffic")
	f.DurationVarP(&limit, "duration", "T", 0, "end after this `TIME` (default no end)")
	return cmd
}

func (a *app) runDemo(ctx context.Context, links []link, limit time.Duration, all, quiet bool) error {
	s := a.newStation()
	defer s.close()
	for _, name := range []string{"can0", "can1"} {
		if err := s.hub.Create(name, nil); err != nil {
			return err
		}
	}
	if err := s.addAll(ctx, links, &monitor.Options{Labels: carLabels}); err != nil {
		return err
	}
	a.introduce(s.servers, links)
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
	return s.run(ctx, limit, false)
}

// introduce says what there is and what to do with it.
func (a *app) introduce(servers []listening, links []link) {
	fmt.Fprintln(a.err, "A car is driving: the drive on can0, comfort on can1. Ctrl-C ends it.")
	var url, python string
	for _, l := range servers {
		fmt.Fprintf(a.err, "%s is at %s\n", l.channel, l.server.URL())
		if web, ok := strings.CutPrefix(l.server.URL(), "ws"); ok && url == "" {
			url = l.server.URL()
			python = fmt.Sprintf(`can.Bus("%s", interface="remote")`, url)
			fmt.Fprintf(a.err, "\nLook at it in a browser:\n\n  http%s\n", web)
		}
	}
	for _, l := range links {
		if l.listen {
			continue
		}
		fmt.Fprintf(a.err, "%s is on %s\n", l.channel, l.url)
		if url != "" || isLog(l.url) {
			continue
		}
		url = l.url
		if strings.HasPrefix(url, "multicast:") {
			group := "" // python-can's default too
			if host, ok := strings.CutPrefix(url, "multicast://"); ok {
				host, _, _ = strings.Cut(host, "?")
				group = strconv.Quote(host) + ", "
			}
			python = fmt.Sprintf(`can.Bus(%sinterface="udp_multicast")`, group)
		}
	}
	if url == "" {
		fmt.Fprint(a.err, `
It is in this process alone. To reach it from others:

  canhub demo                    on this machine
  canhub demo --multicast        on this network

`)
		return
	}
	if strings.ContainsAny(url, "?&*[]") {
		url = "'" + url + "'" // for the shell
	}
	fmt.Fprint(a.err, "\nTry, in another terminal:\n\n")
	w := tabwriter.NewWriter(a.err, 0, 0, 3, ' ', 0)
	for _, try := range []struct{ command, meaning string }{
		{"sniff " + url, "a live table"},
		{"dump " + url, "all that is sent"},
		{"dump " + url + " -f 7E8", "what answers ..."},
		{"send " + url + " 7DF#02010D", "... when asked for the speed"},
	} {
		fmt.Fprintf(w, "  canhub %s\t%s\n", try.command, try.meaning)
	}
	w.Flush()
	if python != "" {
		fmt.Fprintf(a.err, "  python3 -c 'import can; [print(m) for m in %s]'\n", python)
	}
	fmt.Fprintln(a.err)
}

// carLabels are the names of the car's messages, for the browser.
var carLabels = monitor.Labels{
	{Value: 0x0C0}: "Engine", {Value: 0x0C6}: "Steering", {Value: 0x0D0}: "Wheels", {Value: 0x0D4}: "Brakes",
	{Value: 0x130}: "Airbag", {Value: 0x1A0}: "Gearbox", {Value: 0x2C0}: "Doors", {Value: 0x2D0}: "Lights",
	{Value: 0x350}: "Climate", {Value: 0x3D0}: "Cluster", {Value: 0x460}: "Camera", {Value: 0x464}: "Radar",
	{Value: 0x5E0}: "Clock", {Value: 0x6F0}: "Battery", {Value: 0x7DF}: "OBD request", {Value: 0x7E8}: "OBD answer",
	{Value: 0x0CF00400, Extended: true}: "EEC1 (J1939)",
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
