package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
)

// results are all that a run has measured, by name of workload and contender.
type results struct {
	contenders []*contender
	repeats    int
	took       time.Duration

	cells   map[string]map[string]*cell
	trips   map[string]*trip // on one bus
	links   map[string]*trip // a link there and one back
	comings map[string]*coming
	kept    map[string]series // by name of nuisance
	senders *besideSenders
	runs    []oneRun
	bridge  *busy
	crowd   *crowd
	big     float64 // bytes of a subscriber with the largest queue
	relays  *relays
	vcan    *vcanRates
	day     series // seconds
	dayLong time.Duration

	multicast *multicasts

	errs []error // what failed though it should not
}

// A benchmark is what to run, and how.
type benchmark struct {
	harness
	contenders []*contender
	nodes      []*node // of udp_multicast
	workloads  []workload
	others     []string
	repeats    int
	channels   int           // of the idle ones
	day        time.Duration // of fake time
	fixed      uint64        // messages per publisher without calibration, if not 0
	log        io.Writer

	python      string // an interpreter
	virtualcan  string // virtualcan's own server, or ""
	remoteCrowd int    // idle clients
	senders     int    // idle ones beside a round trip
	runs        int    // processes of their own
}

// only keeps the contenders and workloads that the words are part of the names
// of. Words that fit no workload leave all workloads, and the same for
// contenders. The floor stays in any case.
func (b *benchmark) only(words []string) error {
	has := func(word, name string) bool {
		return strings.Contains(strings.ToLower(name), strings.ToLower(strings.TrimSpace(word)))
	}
	var cs []*contender
	var ws []workload
	var os []string
	for _, word := range words {
		n := len(cs) + len(ws) + len(os)
		for _, c := range b.contenders {
			if has(word, c.name) {
				cs = append(cs, c)
			}
		}
		for _, w := range b.workloads {
			if has(word, w.name) {
				ws = append(ws, w)
			}
		}
		for _, o := range b.others {
			if has(word, o) {
				os = append(os, o)
			}
		}
		if len(cs)+len(ws)+len(os) == n {
			return fmt.Errorf("-only: nothing is called %q; there is %s", word, b.names())
		}
	}
	if len(cs) > 0 {
		b.contenders = slices.DeleteFunc(slices.Clone(b.contenders), func(c *contender) bool { return c != bare && !slices.Contains(cs, c) })
	}
	if len(ws)+len(os) > 0 {
		b.workloads, b.others = ws, os
	}
	return nil
}

func (b *benchmark) names() string {
	var names []string
	for _, w := range b.workloads {
		names = append(names, w.name)
	}
	names = append(names, b.others...)
	for _, c := range b.contenders {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

func (b *benchmark) run() *results {
	start := time.Now()
	r := &results{
		contenders: b.contenders,
		repeats:    b.repeats,
		cells:      make(map[string]map[string]*cell),
		trips:      make(map[string]*trip),
		links:      make(map[string]*trip),
		comings:    make(map[string]*coming),
		kept:       make(map[string]series),
	}
	b.counts = make(map[string]uint64)
	for _, w := range b.workloads {
		b.throughput(r, w)
	}
	for _, o := range b.others {
		fmt.Fprintln(b.log, o)
		var err error
		switch o {
		case roundTrip:
			b.roundTrips(r)
		case idleSenders:
			r.senders, err = b.besideSenders()
		case tenRuns:
			r.runs, err = b.separateRuns(b.runs)
		case busyBridge:
			r.bridge, err = b.busyBridge()
		case openClose:
			b.openClose(r)
		case neighbours:
			err = b.neighbours(r)
		case idle:
			var c crowd
			if c, err = measureCrowd(b.channels); err == nil {
				r.crowd = &c
				fmt.Fprintf(b.log, "  %d channels: %.1f KiB and %.2f goroutines each\n", c.channels, c.bytes/1024, c.goroutines)
				if !c.closedCleanly {
					err = errors.New("goroutines are left after Close")
				}
			}
		case bigQueue:
			if r.big, err = measureBigQueue(); err == nil {
				fmt.Fprintf(b.log, "  %.1f KiB\n", r.big/1024)
			}
		case remoteServer:
			err = b.remotes(r)
		case virtualcanServer:
			err = b.virtualcans(r)
		case fakeDay:
			var took time.Duration
			took, err = measureDay(b.day)
			r.day, r.dayLong = append(r.day, took.Seconds()), b.day
			fmt.Fprintf(b.log, "  %v in %v\n", b.day, took)
		case udpMulticast:
			err = b.multicast(r)
		}
		if err != nil {
			r.fail(fmt.Errorf("%s: %w", o, err))
		}
	}
	r.took = time.Since(start)
	return r
}

func (r *results) fail(err error) { r.errs = append(r.errs, err) }

// throughput runs all contenders in turn, again and again, each between two
// bare runs to compare it with.
func (b *benchmark) throughput(r *results, w workload) {
	cells := make(map[string]*cell)
	r.cells[w.name] = cells
	for _, ct := range b.contenders {
		c := &cell{}
		cells[ct.name] = c
		if ct.cannot != nil {
			c.note = ct.cannot(&w.job)
		}
	}
	for range b.repeats {
		before, err := b.measure(w, bare)
		for _, ct := range b.contenders {
			c := cells[ct.name]
			if c.note != "" || c.err != nil {
				continue
			}
			var o, after outcome
			if err == nil {
				if o, c.err = b.measure(w, ct); c.err == nil {
					after, err = b.measure(w, bare)
				}
			}
			switch {
			case err != nil:
				r.fail(fmt.Errorf("%s: %w", w.name, err))
				return
			case errors.Is(c.err, errUnavailable):
				c.note, c.err = c.err.Error(), nil
			case c.err != nil:
				r.fail(fmt.Errorf("%s: %w", w.name, c.err))
			default:
				c.rates = append(c.rates, o.rate)
				c.ratios = append(c.ratios, o.rate/math.Sqrt(before.rate*after.rate))
				c.losses = append(c.losses, o.loss)
				before = after
			}
		}
	}
	fmt.Fprintln(b.log, w.name)
	for _, ct := range b.contenders {
		c := cells[ct.name]
		switch {
		case c.err != nil:
			fmt.Fprintf(b.log, "  %-26s %v\n", ct.name, c.err)
		case c.note != "":
			fmt.Fprintf(b.log, "  %-26s %s\n", ct.name, c.note)
		default:
			fmt.Fprintf(b.log, "  %-26s %8s M/s  %s\n", ct.name, number(c.rates.median()/1e6), c.ratios)
		}
	}
}

func (b *benchmark) measure(w workload, ct *contender) (outcome, error) {
	if b.fixed > 0 && ct.measure == nil {
		return b.harness.run(ct, w.job, b.fixed, nil)
	}
	return b.cell(w.name, ct, w.job)
}

func (b *benchmark) roundTrips(r *results) {
	b.tripsOf(r, oneBus, b.contenders, r.trips)
	b.tripsOf(r, twoLinks, append([]*contender{bareTrip, bareUnbuffered}, b.contenders...), r.links)
}

func (b *benchmark) tripsOf(r *results, f tripForm, contenders []*contender, all map[string]*trip) {
	contenders = slices.DeleteFunc(slices.Clone(contenders), func(ct *contender) bool { return !f.can(ct) })
	for _, ct := range contenders {
		all[ct.name] = &trip{}
	}
	for range b.repeats {
		for _, ct := range contenders {
			t := all[ct.name]
			if t.err != nil {
				continue
			}
			base, err := trips(twoLinks, bareTrip, b.target/2)
			var ns []float64
			if err == nil {
				ns, err = trips(f, ct, b.target)
			}
			if t.err = err; err != nil {
				r.fail(fmt.Errorf("%s %s: %w", roundTrip, f.name, err))
				continue
			}
			p50, p99 := percentile(ns, 50), percentile(ns, 99)
			t.p50, t.p99 = append(t.p50, p50), append(t.p99, p99)
			t.ratios = append(t.ratios, p50/percentile(base, 50))
			t.p99Ratios = append(t.p99Ratios, p99/percentile(base, 99))
		}
	}
	fmt.Fprintln(b.log, " ", f.name)
	for _, ct := range contenders {
		t := all[ct.name]
		fmt.Fprintf(b.log, "  %-26s %8s us  %s\n", ct.name, number(t.p50.median()/1000), t.ratios)
	}
}

// eight is the job beside which subscribers come and go, or do not keep up.
var eight = job{publishers: 1, subscribers: 8}

// withAndWithout measures ct with something beside it, and without.
func (b *benchmark) withAndWithout(ct *contender, beside func(system, <-chan struct{}) (int, error)) (with, without outcome, err error) {
	n := b.fixed
	if n == 0 {
		if n, err = b.count("eight", ct, eight); err != nil {
			return
		}
	}
	if without, err = b.harness.run(ct, eight, n, nil); err == nil {
		with, err = b.harness.run(ct, eight, n, beside)
	}
	return
}

func (b *benchmark) openClose(r *results) {
	for range b.repeats {
		for _, ct := range b.contenders {
			if !canChurn(ct) {
				continue
			}
			c := r.comings[ct.name]
			if c == nil {
				c = &coming{}
				r.comings[ct.name] = c
			}
			if c.err != nil {
				continue
			}
			with, without, err := b.withAndWithout(ct, comeAndGo)
			if c.err = err; err != nil {
				r.fail(fmt.Errorf("%s: %w", openClose, err))
				continue
			}
			c.perSecond = append(c.perSecond, float64(with.side)/with.sideTook.Seconds())
			c.with = append(c.with, with.rate)
			c.kept = append(c.kept, with.rate/without.rate)
		}
	}
	for _, ct := range b.contenders {
		if c := r.comings[ct.name]; c != nil && c.err == nil {
			fmt.Fprintf(b.log, "  %-26s %8s k/s  others keep %s\n", ct.name, number(c.perSecond.median()/1000), c.kept)
		}
	}
}

func (b *benchmark) neighbours(r *results) error {
	if !slices.Contains(b.contenders, hubRecv) {
		return nil
	}
	for range b.repeats {
		for _, n := range nuisances {
			with, without, err := b.withAndWithout(hubRecv, n.beside)
			if err != nil {
				return fmt.Errorf("%s: %w", n.name, err)
			}
			if b.fixed == 0 && with.side == 0 {
				return fmt.Errorf("%s: it lost nothing, so it was no nuisance", n.name)
			}
			r.kept[n.name] = append(r.kept[n.name], with.rate/without.rate)
		}
	}
	for _, n := range nuisances {
		fmt.Fprintf(b.log, "  %s: %s\n", n.name, r.kept[n.name])
	}
	return nil
}
