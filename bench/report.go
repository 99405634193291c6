package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// limits is written by hand.
//
//go:embed LIMITS.md
var limits string

// report returns RESULTS.md.
func (r *results) report(verdicts []verdict, args []string) ([]byte, error) {
	var b bytes.Buffer
	p := func(format string, a ...any) { fmt.Fprintf(&b, format, a...) }

	p("# Measured\n\n")
	p("Written by `go -C bench run .`; do not edit. What the hub does, beside what else one could take, all at the\n")
	p("same job: every subscriber receives every message, in the order of each publisher, and that is checked\n")
	p("message by message. Figures are ratios within one run: deliveries per second, relative to the mean\n")
	p("of two bare chan fan-outs, one just before and one just after (1.00; more is better): the median of %d, with\n", r.repeats)
	p("the smallest and the largest.\n\n")
	p("| | |\n|---|---|\n")
	p("| machine | %s, %d cores (GOMAXPROCS %d) |\n", cpuModel(), runtime.NumCPU(), runtime.GOMAXPROCS(0))
	p("| system | %s/%s |\n", osName(), runtime.GOARCH)
	p("| Go | %s |\n", runtime.Version())
	p("| commit | %s |\n", commit())
	p("| date | %s, %.0f s |\n", time.Now().UTC().Format("2006-01-02"), r.took.Seconds())
	p("| command | `%s` |\n\n", strings.TrimSpace("go -C bench run . "+shown(args)))
	p("![Deliveries per second relative to a bare chan fan-out](results.svg)\n\n")

	p("## Relative to bare chans\n\n")
	p("fan-out N: one publisher, N subscribers. fan-in N: N publishers, one subscriber; bare, that is N goroutines\n")
	p("that send on one chan. 8 x 8: eight publishers, eight subscribers.\n\n")
	r.table(p, workloads[:7], r.ratio)
	for _, ct := range r.contenders {
		if c := r.cells[workloads[0].name][ct.name]; c != nil && strings.Contains(c.note, errUnavailable.Error()) {
			p("%s: %s.\n\n", ct.name, c.note)
		}
	}
	p("filter N: N subscribers, every second of which wants half of the messages; counted is what is wanted. Bare,\n")
	p("the publisher knows who wants what. select N: subscribers receive in a `select` with a second case, bare too.\n\n")
	r.table(p, workloads[7:], r.ratio)

	p("## Million deliveries per second\n\n")
	p("Medians. These depend on the machine, and on what else it does.\n\n")
	r.table(p, workloads, func(ct *contender, w workload) string {
		c := r.cells[w.name][ct.name]
		if !c.measured() {
			return "-"
		}
		return number(c.rates.median() / 1e6)
	})

	r.runsTable(p)
	r.tripTable(p)
	r.comingTable(p)
	r.bridgeTable(p)
	r.remoteTable(p)
	r.virtualcanTable(p)
	r.rest(p)
	r.multicastTable(p)
	markTable(p, verdicts)

	p("## What limits the hub\n\n%s\n\n", strings.TrimSpace(limits))

	p("## The contenders\n\n")
	p("All chans and queues hold %d messages where that can be chosen. A message is a hub.Message, 96 bytes by value,\n", queueSize)
	p("or as many bytes. What a library has no filter for, its subscribers throw away.\n\n")
	versions := moduleVersions()
	for _, ct := range r.contenders {
		p("- **%s**%s: %s.\n", ct.name, versions[ct.name], ct.about)
	}
	return b.Bytes(), nil
}

// shown is args without the paths of this machine.
func shown(args []string) string {
	var s []string
	hide := false
	for _, a := range args {
		name, _, hasValue := strings.Cut(strings.TrimLeft(a, "-"), "=")
		switch {
		case hide:
			hide = false
		case name == "python" || name == "dir" || name == "virtualcan":
			hide = !hasValue
			if name != "dir" {
				s = append(s, "-"+name+" PATH")
			}
		default:
			s = append(s, a)
		}
	}
	return strings.Join(s, " ")
}

// moduleOf maps contenders to the modules that they are.
var moduleOf = map[*contender]string{
	cskr:             "github.com/cskr/pubsub/v2",
	dustin:           "github.com/dustin/go-broadcast",
	moby:             "github.com/moby/pubsub",
	asaskevich:       "github.com/asaskevich/EventBus",
	tailscale:        "tailscale.com",
	watermillChannel: "github.com/ThreeDotsLabs/watermill",
	natsServer:       "github.com/nats-io/nats-server/v2",
	einride:          "go.einride.tech/can",
}

func moduleVersions() map[string]string {
	versions := make(map[string]string)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for ct, path := range moduleOf {
		for _, dep := range info.Deps {
			if dep.Path == path {
				versions[ct.name] = fmt.Sprintf(" (%s %s)", path, dep.Version)
			}
		}
	}
	return versions
}

type printf func(format string, a ...any)

// table has a row for each contender that has a figure.
func (r *results) table(p printf, columns []workload, entry func(*contender, workload) string) {
	p("|")
	for _, w := range columns {
		p(" | %s", w.name)
	}
	p(" |\n|---%s|\n", strings.Repeat("|---:", len(columns)))
	for _, ct := range r.contenders {
		row, some := "", false
		for _, w := range columns {
			e := entry(ct, w)
			row += " | " + e
			some = some || e != "-"
		}
		if some {
			p("| %s%s |\n", ct.name, row)
		}
	}
	p("\n")
}

func (r *results) ratio(ct *contender, w workload) string {
	c := r.cells[w.name][ct.name]
	switch {
	case c.measured() && c.lossy():
		return fmt.Sprintf("%s, %.0f %% lost", c.ratios, 100*c.losses.median())
	case c.measured():
		return c.ratios.String()
	case c != nil && strings.Contains(c.note, errUnavailable.Error()):
		return "not available"
	}
	return "-"
}

func (r *results) tripTable(p printf) {
	p("## Round trip\n\n")
	p("Two nodes answer each other. On one bus: two subscribers of one channel of the hub, or of one instance of anything\n")
	p("else; where a node is sent its own messages too, it throws them away. On two links: one instance there and another\n")
	p("one back, so the nodes share no order. The ratios are to two bare chans of capacity 1 (less is better), the times in\n")
	p("microseconds.\n\n")
	p("| | one bus: median, ratio | 99th percentile, ratio | median | 99th percentile | two links: median, ratio | median |\n|---|---:|---:|---:|---:|---:|---:|\n")
	for _, ct := range append([]*contender{bareTrip, bareUnbuffered}, r.contenders...) {
		row, some := "", false
		if t := r.trips[ct.name]; t != nil && t.err == nil {
			row, some = fmt.Sprintf(" %s | %s | %s | %s |", t.ratios, t.p99Ratios, number(t.p50.median()/1000), number(t.p99.median()/1000)), true
		} else {
			row = " - | - | - | - |"
		}
		if t := r.links[ct.name]; t != nil && t.err == nil {
			row, some = row+fmt.Sprintf(" %s | %s |", t.ratios, number(t.p50.median()/1000)), true
		} else {
			row += " - | - |"
		}
		if some {
			p("| %s |%s\n", ct.name, row)
		}
	}
	p("\n")
	if v := r.senders; v != nil {
		p("On one bus with %d more subscribers that only send, and are idle: %s us in the median with %s, and %s without;\n",
			v.senders, number(v.with.median()/1000), hubRecv.name, number(v.without.median()/1000))
		p("the ratio is %s.\n\n", v.ratios)
	}
}

func (r *results) comingTable(p printf) {
	p("## Open and close under load\n\n")
	p("One goroutine opens and closes a subscriber, again and again, while a publisher sends to eight others. It\n")
	p("never rests, so it takes up to a core from the others, and they cannot keep all of their rate.\n\n")
	p("| | opened and closed per second | the others' rate, with / without |\n|---|---:|---:|\n")
	for _, ct := range r.contenders {
		if c := r.comings[ct.name]; c != nil && c.err == nil {
			p("| %s | %s | %s |\n", ct.name, number(c.perSecond.median()), c.kept)
		}
	}
	p("\n")
}

func (r *results) rest(p printf) {
	p("## Subscribers that do not keep up\n\n")
	p("The rate of eight subscribers under Block with another one beside them, relative to without it.\n\n")
	p("| beside them | rate, with / without |\n|---|---:|\n")
	for _, n := range nuisances {
		if k := r.kept[n.name]; len(k) > 0 {
			p("| %s | %s |\n", n.name, k)
		}
	}
	p("\n")
	if c := r.crowd; c != nil {
		p("## %d idle channels with one subscriber each\n\n", c.channels)
		p("Opened in %.2f s, closed in %.2f s. Each is %.1f KiB of heap and stack and %.2f goroutines.\n\n",
			c.open.Seconds(), c.close.Seconds(), c.bytes/1024, c.goroutines)
	}
	if r.big > 0 {
		p("A subscriber with the largest queue, of %d messages, is %.1f KiB when it is opened.\n\n", largestQueue, r.big/1024)
	}
	if len(r.day) > 0 {
		p("## Fake time\n\n")
		p("%.0f h of a message every 10 ms, sent by a periodic task and received, in a `testing/synctest` bubble: %.1f s,\n", r.dayLong.Hours(), r.day.median())
		p("and no message is late by a nanosecond.\n\n")
	}
}

func markTable(p printf, verdicts []verdict) {
	passed := 0
	for _, v := range verdicts {
		if v.passed {
			passed++
		}
	}
	p("## Marks\n\n%d of %d passed. `-check` fails if one is missed.\n\n", passed, len(verdicts))
	p("| mark | want | is | |\n|---|---:|---:|---|\n")
	for _, v := range verdicts {
		sign, is, word := ">=", number(v.figure), "**missed**"
		if v.atMost {
			sign = "<="
		}
		if v.passed {
			word = "passed"
		}
		if !v.measured {
			is, word = "-", "not measured"
		}
		if v.detail != "" {
			is += " (" + v.detail + ")"
		}
		p("| %s | %s %s | %s | %s |\n", v.what, sign, number(v.limit), is, word)
	}
	p("\n")
}
