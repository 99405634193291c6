package main

import (
	"errors"
	"fmt"
)

// remoteServer is the workload in which servers of python-can-remote's protocol
// relay messages of one client to others: that of this project, and the original.
const remoteServer = "remote"

// remoteClients are how many clients receive.
var remoteClients = []int{1, 8, 64}

// How many messages are under way at most, so that nothing is lost: half of what
// our server keeps for a client. The original keeps whatever comes. With more it
// is not faster, and 64 clients would take half a minute for what is under way.
const (
	ourWindow   = 256
	theirWindow = 1024
)

// relays are what was measured of remote servers.
type relays struct {
	ours, theirs, ratios map[int]series // messages per second, each to all clients; by number of clients
	latency              series         // median one way at 10,000 messages per second, in ns
	idle                 float64        // bytes of heap and stack for 1,000 clients
	note                 string         // why the original was not measured
}

// crowd returns what n clients that do nothing cost.
func (p *remoteProcess) crowd(n int) (float64, error) {
	before, err := p.memory()
	if err != nil {
		return 0, err
	}
	for range n {
		conn, err := p.client()
		if err != nil {
			return 0, err
		}
		defer conn.Close()
	}
	after, err := p.memory()
	return float64(after - before), err
}

// remotes measures all of it.
func (b *benchmark) remotes(r *results) error {
	v := &relays{ours: map[int]series{}, theirs: map[int]series{}, ratios: map[int]series{}}
	for range b.repeats {
		if err := b.remoteRound(v); err != nil {
			return err
		}
	}
	r.relays = v
	for _, n := range remoteClients {
		fmt.Fprintf(b.log, "  1 -> %-3d %9.0f messages/s  original %8.0f  ratio %s\n", n, v.ours[n].median(), v.theirs[n].median(), v.ratios[n])
	}
	fmt.Fprintf(b.log, "  one way at 10,000/s %.0f us, 1,000 idle clients %.1f MiB %s\n", v.latency.median()/1000, v.idle/(1<<20), v.note)
	return nil
}

func (b *benchmark) remoteRound(v *relays) (err error) {
	d := 3 * b.target
	ours, err := startOurs()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.end()) }()
	theirs, err := startTheirs(b.python)
	switch {
	case errors.Is(err, errUnavailable):
		v.note = err.Error()
	case err != nil:
		return err
	default:
		defer theirs.end()
	}
	for _, n := range remoteClients {
		o, err := ours.relay(n, d)
		if err != nil {
			return fmt.Errorf("1 -> %d: %w", n, err)
		}
		v.ours[n] = append(v.ours[n], o)
		if theirs == nil {
			continue
		}
		t, err := theirs.relay(n, d)
		if err != nil {
			return fmt.Errorf("python-can-remote, 1 -> %d: %w", n, err)
		}
		v.theirs[n], v.ratios[n] = append(v.theirs[n], t), append(v.ratios[n], o/t)
	}
	l, err := ours.oneWay(d)
	if err != nil {
		return err
	}
	v.latency = append(v.latency, l)
	if v.idle == 0 {
		v.idle, err = ours.crowd(b.remoteCrowd)
	}
	return err
}

// remoteMarks are what a server has to reach.
func remoteMarks() []mark {
	var all []mark
	for i, n := range remoteClients {
		all = append(all, mark{fmt.Sprintf("remote, 1 -> %d: messages beside python-can-remote", n), []float64{15, 30, 60}[i], false, func(r *results) (float64, string, bool) {
			if r.relays == nil || len(r.relays.ratios[n]) == 0 {
				return 0, "", false
			}
			return r.relays.ratios[n].median(), "", true
		}})
	}
	return append(all,
		mark{"remote, one way at 10,000 messages/s: median in us", 200, true, func(r *results) (float64, string, bool) {
			if r.relays == nil {
				return 0, "", false
			}
			return r.relays.latency.median() / 1000, "", true
		}},
		mark{"remote, 1,000 idle clients: MiB", 64, true, func(r *results) (float64, string, bool) {
			if r.relays == nil {
				return 0, "", false
			}
			return r.relays.idle / (1 << 20), "", true
		}})
}

// remoteTable is the section of the report.
func (r *results) remoteTable(p printf) {
	v := r.relays
	if v == nil {
		return
	}
	p("## Servers of python-can-remote's protocol\n\n")
	p("One WebSocket client sends, the others receive everything, in binary form; messages a second that reached all\n")
	p("of them. The clients are the same for both servers, written by hand, and let some messages be\n")
	p("under way: %d, and %d with the original, whose queues have no bound.\n\n", ourWindow, theirWindow)
	p("| 1 -> | transport/remote | python-can-remote | ratio |\n|---:|---:|---:|---:|\n")
	for _, n := range remoteClients {
		theirs, ratio := "-", "-"
		if len(v.ratios[n]) > 0 {
			theirs, ratio = fmt.Sprintf("%.0f", v.theirs[n].median()), v.ratios[n].String()
		}
		p("| %d | %.0f | %s | %s |\n", n, v.ours[n].median(), theirs, ratio)
	}
	p("\nFrom the write of one client to the read of another, at 10,000 messages a second: %.0f us in the median.\n", v.latency.median()/1000)
	p("1,000 clients that do nothing: %.1f MiB of heap and stack.\n\n", v.idle/(1<<20))
}
