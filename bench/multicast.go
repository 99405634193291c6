package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// udpMulticast is the workload of transport/multicast: one node sends as fast as
// it can, another one receives. Nothing holds the sender back, so what counts is
// what arrives.
const udpMulticast = "udp_multicast"

// A node is a contender there.
type node struct {
	name  string
	about string
	words func(d time.Duration) []string // the job, for isolated
	// unavailable, if not nil, says why it cannot be measured.
	unavailable func() error
}

const (
	bareDatagrams = "bare datagrams"
	ourMulticast  = "canhub transport/multicast"
	pythonNodes   = "python-can udp_multicast"
	canGoNodes    = "einride/can-go emulator, socketcan.Dial"
	canGoEmulator = "einride/can-go emulator, TransmitFrame"
)

// nodes returns all, the floor first.
func nodes(python string) []*node {
	return []*node{
		{
			name:  bareDatagrams,
			about: fmt.Sprintf("datagrams of %d bytes, sent and received with package net in two loops: no CAN, no cancellation, no time of arrival. Each end has, as a node of a bus, a socket in the group, which it reads, and one to send from, and asks for as large a buffer as the bus does", datagramSize),
			words: func(d time.Duration) []string { return []string{"bare", d.String()} },
		},
		{
			name:  ourMulticast,
			about: "two buses, `Send` and `Recv` with a context that can end, and the options that are the default",
			words: func(d time.Duration) []string { return []string{"bus", d.String()} },
		},
		{
			name:        pythonNodes,
			about:       "python-can's interface of that name, the same datagrams; each end a process of its own with the options that are the default",
			words:       func(d time.Duration) []string { return []string{"python", python, d.String()} },
			unavailable: func() error { return importable(python, "can, msgpack") },
		},
		{
			name:  canGoNodes,
			about: "the UDP emulator of can-go with one receiver, and `socketcan.Dial` to send: datagrams of 16 bytes. The emulator itself receives them too",
			words: func(d time.Duration) []string { return []string{"einride", "1", d.String()} },
		},
		{
			name:  canGoEmulator,
			about: "the same, sent by the emulator's own `TransmitFrame`, which opens two sockets for each frame",
			words: func(d time.Duration) []string { return []string{"einride", "1", d.String(), "TransmitFrame"} },
		},
	}
}

// A flooded is what one of them did, again and again.
type flooded struct {
	sent     series // per second
	received series // per second
	losses   series // share
	ratios   series // received, relative to the bare datagrams just before and after
	note     string // why there is no figure
}

func (f *flooded) add(r flood) {
	f.sent = append(f.sent, float64(r.Sent)/r.Seconds)
	f.received = append(f.received, float64(r.Received)/r.Seconds)
	f.losses = append(f.losses, 1-float64(r.Received)/float64(r.Sent))
}

// multicasts is what all of them did.
type multicasts struct {
	note  string // why there is nothing, if so
	nodes []*node
	by    map[string]*flooded

	paced     flooded
	pacedLost series // messages
	counted   series // messages of the overrun that the bus knows to be lost
	missing   series // messages of the overrun that were neither received nor counted
}

func (m *multicasts) addOverrun(r flood) {
	m.counted = append(m.counted, float64(r.Dropped))
	m.missing = append(m.missing, math.Abs(float64(r.Sent)-float64(r.Received)-float64(r.Dropped)))
}

// The messages per second of the paced run, how many, and how many messages
// overrun a small buffer.
const (
	pacedRate    = 50_000
	pacedCount   = 100_000
	overrunCount = 200_000
)

func (b *benchmark) multicast(r *results) error {
	m := &multicasts{nodes: b.nodes, by: make(map[string]*flooded)}
	r.multicast = m
	paced, overrun, d := pacedCount, overrunCount, 2*b.target
	if b.fixed > 0 {
		paced, overrun, d = 1000, 1000, b.target
	}
	floor := b.nodes[0]
	for _, n := range b.nodes {
		m.by[n.name] = &flooded{}
		if n.unavailable != nil {
			if err := n.unavailable(); err != nil {
				m.by[n.name].note = err.Error()
			}
		}
	}
	for i := range 2 * b.repeats { // the floods are short, and are disturbed easily
		before, err := isolated(floor.words(d)...)
		if errors.Is(err, errUnavailable) {
			m.note = err.Error()
			fmt.Fprintf(b.log, "  %s\n", m.note)
			return nil
		}
		if err != nil {
			return err
		}
		for _, n := range b.nodes {
			f := m.by[n.name]
			if f.note != "" {
				continue
			}
			one, err := isolated(n.words(d)...)
			if err != nil {
				return err
			}
			after, err := isolated(floor.words(d)...)
			if err != nil {
				return err
			}
			f.add(one)
			f.ratios = append(f.ratios, f.received[len(f.received)-1]/math.Sqrt(before.rate()*after.rate()))
			before = after
		}
		if i%2 == 1 {
			continue
		}
		one, err := isolated("paced", fmt.Sprint(pacedRate), fmt.Sprint(paced))
		if err != nil {
			return err
		}
		m.paced.add(one)
		m.pacedLost = append(m.pacedLost, float64(one.Sent-one.Received))
		if one, err = isolated("overrun", fmt.Sprint(overrun)); err != nil {
			return err
		}
		m.addOverrun(one)
	}
	for _, n := range b.nodes {
		f := m.by[n.name]
		if f.note != "" {
			fmt.Fprintf(b.log, "  %-38s %s\n", n.name, f.note)
			continue
		}
		fmt.Fprintf(b.log, "  %-38s %8s k/s  %s, %.1f %% lost\n", n.name, number(f.received.median()/1e3), f.ratios, 100*f.losses.median())
	}
	fmt.Fprintf(b.log, "  %d at %d a second: sent at %s, lost %s\n", paced, pacedRate, m.paced.sent, m.pacedLost)
	fmt.Fprintf(b.log, "  %d into a small buffer: dropped %s, not accounted for %s\n", overrun, m.counted, m.missing)
	return nil
}

func (r *flood) rate() float64 { return float64(r.Received) / r.Seconds }

func (r *results) multicastTable(p printf) {
	m := r.multicast
	if m == nil {
		return
	}
	p("## %s\n\n", udpMulticast)
	if m.note != "" {
		p("%s. Its marks are not judged.\n\n", m.note)
		return
	}
	p("A node sends messages of 8 bytes as fast as it can, and another one receives them, over IPv4 multicast on the loopback\n")
	p("interface of a network namespace made for it. Nothing holds the sender back; counted is what arrives, relative to the\n")
	p("bare datagrams just before and after. Thousand messages per second, medians.\n\n")
	p("| | relative | received | sent | lost |\n|---|---:|---:|---:|---:|\n")
	for _, n := range m.nodes {
		f := m.by[n.name]
		if f.note != "" {
			p("| %s | not available | - | - | - |\n", n.name)
			continue
		}
		p("| %s | %s | %s | %s | %.1f %% |\n", n.name, f.ratios, number(f.received.median()/1e3), number(f.sent.median()/1e3), 100*f.losses.median())
	}
	p("\n%d messages at %s thousand per second, default options: %s lost. %d as fast as they come into the smallest\n",
		pacedCount, number(m.paced.sent.median()/1e3), m.pacedLost, overrunCount)
	p("`ReadBuffer`: %s were dropped and counted, and %s neither received nor counted.\n\n", m.counted, m.missing)
	for _, n := range m.nodes {
		p("- **%s**: %s.\n", n.name, n.about)
	}
	p("\n")
}

// multicastMarks are judged only where multicast can be had.
func multicastMarks() []mark {
	relative := func(other string, least float64) mark {
		return mark{udpMulticast + ", delivered: " + ourMulticast + " / " + other, least, false, func(r *results) (float64, string, bool) {
			if r.multicast == nil || len(r.multicast.by[ourMulticast].ratios) == 0 || len(r.multicast.by[other].ratios) == 0 {
				return 0, "", false
			}
			if other == bareDatagrams { // the ratios are relative to it
				return r.multicast.by[ourMulticast].ratios.median(), "", true
			}
			return r.multicast.by[ourMulticast].ratios.median() / r.multicast.by[other].ratios.median(), "", true
		}}
	}
	return []mark{
		relative(bareDatagrams, 0.9),
		relative(canGoNodes, 2),
		relative(canGoEmulator, 5),
		{fmt.Sprintf("%s, messages lost of %d at %d per second, median run", udpMulticast, pacedCount, pacedRate), 0, true, func(r *results) (float64, string, bool) {
			if r.multicast == nil || len(r.multicast.pacedLost) == 0 || r.multicast.paced.sent.median() < 0.95*pacedRate {
				return 0, "", false // also where they were not sent that fast
			}
			return r.multicast.pacedLost.median(), "most " + number(slices.Max(r.multicast.pacedLost)), true
		}},
		{udpMulticast + ", messages neither received nor counted when a buffer overruns", 0, true, func(r *results) (float64, string, bool) {
			if r.multicast == nil || len(r.multicast.missing) == 0 || r.multicast.counted.median() == 0 {
				return 0, "", false // also where nothing was lost
			}
			return slices.Max(r.multicast.missing), number(r.multicast.counted.median()) + " counted", true
		}},
	}
}
