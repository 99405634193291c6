package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A mark is a figure that the hub has to reach.
type mark struct {
	what   string
	limit  float64
	atMost bool // or else at least
	value  func(*results) (v float64, detail string, ok bool)
}

// marks are all of them. Ratios are medians, relative to the bare runs just
// before and after in the same repeat.
func marks() []mark {
	all := []mark{
		ratio("fan-out 1", hubRecv, 0.6),
		ratio("fan-out 8", hubRecv, 2.5),
		ratio("fan-out 64", hubRecv, 5),
		ratio("fan-out 1", hubBatch, 2),
		ratio("fan-out 8", hubBatch, 5),
		ratio("fan-out 64", hubBatch, 15),
		ratio("fan-out 8", hubChan, 1.2),
		ratio("fan-out 64", hubChan, 1.2),
		// One message takes one chan operation at each end of any chan. The hub pays
		// for these two as everybody does, so in a select loop the floor is the program
		// that can be ended too.
		beside("select 8", hubChan, bareSelect, 1.2),
		beside("select 64", hubChan, bareSelect, 1.2),
		// Batches in a select loop, beside bare select loops.
		ratio("select 8", hubSelect, 6),
		ratio("select 64", hubSelect, 10),
		ratio("select 8", hubBatchSelect, 15),
		ratio("select 64", hubBatchSelect, 20),
		ratio("fan-in 64", hubRecv, 0.8),
		{fmt.Sprintf("fan-out 1, %s: the least of ten runs", hubRecv.name), 1, false, func(r *results) (float64, string, bool) {
			if len(r.runs) == 0 {
				return 0, "", false
			}
			least, middle, most := spread(r.runs, recvOf)
			return least, fmt.Sprintf("median %s, most %s", number(middle), number(most)), true
		}},
		{"round trip on one bus, " + hubRecv.name + ": median beside two bare chans", 3, true, func(r *results) (float64, string, bool) {
			t := r.trips[hubRecv.name]
			if t == nil || t.err != nil {
				return 0, "", false
			}
			return t.ratios.median(), "", true
		}},
	}
	all = append(all,
		mark{"round trip beside idle subscribers that only send: with / without", 1.2, true, func(r *results) (float64, string, bool) {
			if r.senders == nil {
				return 0, "", false
			}
			return r.senders.ratios.median(), "", true
		}},
		mark{"bridge between two hubs: both ways / one way", 0.5, false, func(r *results) (float64, string, bool) {
			if r.bridge == nil {
				return 0, "", false
			}
			if r.bridge.dropped != "" {
				return 0, "messages were dropped", true
			}
			return r.bridge.ratios.median(), "", true
		}},
	)
	for _, w := range workloads {
		all = append(all, fasterThanLibraries(w))
	}
	all = append(all, quickerThanLibraries())
	for _, n := range nuisances {
		all = append(all, mark{"neighbours of " + n.name + ": with / without", 0.9, false, func(r *results) (float64, string, bool) {
			kept := r.kept[n.name]
			return kept.median(), "", len(kept) > 0
		}})
	}
	all = append(all, remoteMarks()...)
	all = append(all, virtualcanMarks()...)
	return append(all,
		mark{"idle channel with one subscriber: KiB", 16, true, func(r *results) (float64, string, bool) {
			if r.crowd == nil {
				return 0, "", false
			}
			return r.crowd.bytes / 1024, "", true
		}},
		mark{"idle channel with one subscriber: goroutines", 1, true, func(r *results) (float64, string, bool) {
			if r.crowd == nil {
				return 0, "", false
			}
			return math.Round(100*r.crowd.goroutines) / 100, "", true // but for those of the runtime
		}},
		mark{"subscriber with the largest queue, opened: KiB", 64, true, func(r *results) (float64, string, bool) {
			return r.big / 1024, "", r.big > 0
		}},
	)
}

func ratio(workload string, ct *contender, least float64) mark {
	return mark{workload + ", " + ct.name, least, false, func(r *results) (float64, string, bool) {
		c := r.cells[workload][ct.name]
		if !c.measured() {
			return 0, "", false
		}
		return c.ratios.median(), "", true
	}}
}

// beside compares the ratios of two contenders.
func beside(workload string, ct, other *contender, least float64) mark {
	return mark{workload + ", " + ct.name + " / " + other.name, least, false, func(r *results) (float64, string, bool) {
		c, o := r.cells[workload][ct.name], r.cells[workload][other.name]
		if !c.measured() || !o.measured() {
			return 0, "", false
		}
		return c.ratios.median() / o.ratios.median(), "", true
	}}
}

// hubFor is the hub's way of a message at a time that fits a workload.
func hubFor(w workload) *contender {
	if w.job.selects {
		return hubChan
	}
	return hubRecv
}

// fasterThanLibraries wants the hub's ratio to be above that of every library.
func fasterThanLibraries(w workload) mark {
	ct := hubFor(w)
	return mark{w.name + ", " + ct.name + " / the fastest library", 1, false, func(r *results) (float64, string, bool) {
		ours := r.cells[w.name][ct.name]
		best, name := 0.0, ""
		for _, rival := range r.contenders {
			c := r.cells[w.name][rival.name]
			if rival.kind == library && c.measured() && !c.lossy() && c.ratios.median() > best {
				best, name = c.ratios.median(), rival.name
			}
		}
		if !ours.measured() || name == "" {
			return 0, "", false
		}
		return ours.ratios.median() / best, name, true
	}}
}

func quickerThanLibraries() mark {
	return mark{roundTrip + " on one bus, the quickest library / " + hubRecv.name, 1, false, func(r *results) (float64, string, bool) {
		ours := r.trips[hubRecv.name]
		best, name := math.Inf(1), ""
		for _, rival := range r.contenders {
			t := r.trips[rival.name]
			if rival.kind == library && t != nil && t.err == nil && t.ratios.median() < best {
				best, name = t.ratios.median(), rival.name
			}
		}
		if ours == nil || ours.err != nil || name == "" {
			return 0, "", false
		}
		return best / ours.ratios.median(), name, true
	}}
}

// A verdict is a mark with its figure.
type verdict struct {
	mark
	figure   float64
	detail   string
	measured bool
	passed   bool
}

// judge leaves out those of udp_multicast where that cannot be had.
func judge(marks []mark, r *results) []verdict {
	if r.multicast == nil || r.multicast.note == "" {
		marks = append(slices.Clip(marks), multicastMarks()...)
	}
	var all []verdict
	for _, m := range marks {
		v := verdict{mark: m}
		v.figure, v.detail, v.measured = m.value(r)
		v.passed = v.measured && (m.atMost && v.figure <= m.limit || !m.atMost && v.figure >= m.limit)
		all = append(all, v)
	}
	return all
}

func (v *verdict) String() string {
	sign := ">="
	if v.atMost {
		sign = "<="
	}
	s := fmt.Sprintf("%s: %s, want %s %s", v.what, number(v.figure), sign, number(v.limit))
	if v.detail != "" {
		s += " (" + v.detail + ")"
	}
	return strings.TrimSpace(s)
}
