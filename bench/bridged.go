package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
)

// openBridged returns two hubs and bridge.Run with its default options between
// them. What node n sends, node 1-n receives.
func openBridged() (*bridgedHubs, error) {
	v := &bridgedHubs{ended: make(chan struct{})}
	var ends [2]*hub.Subscriber
	for i := range v.hubs {
		v.hubs[i] = hub.New(nil)
		var err error
		if v.nodes[i], err = v.hubs[i].Open("can0", nil); err != nil {
			return nil, err
		}
		if ends[i], err = v.hubs[i].Open("can0", nil); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(background)
	v.stop = cancel
	go func() {
		defer close(v.ended)
		bridge.Run(ctx, ends[0], ends[1], &bridge.Options{Stats: &v.stats})
	}()
	return v, nil
}

var (
	oneWay   = job{publishers: 1, subscribers: 1}
	bothWays = job{publishers: 2, subscribers: 2, paired: true}
)

type bridgedHubs struct {
	hubs  [2]*hub.Hub
	nodes [2]*hub.Subscriber
	stats bridge.Stats
	stop  context.CancelFunc
	ended chan struct{} // closed when Run has returned
}

var errDropped = errors.New("the bridge dropped")

func (v *bridgedHubs) publish(p int, from, to uint64) error {
	return (&hubSystem{tx: v.nodes[:]}).publish(p, from, to)
}

func (v *bridgedHubs) receive(s int, c *checker) error {
	if err := (&hubSystem{rx: v.nodes[:]}).receive(1-s, c); err != nil {
		return err
	}
	counts := [2]*bridge.Counts{&v.stats.AToB, &v.stats.BToA}[s].Snapshot()
	if counts.Stalled > 0 || counts.Overflow > 0 {
		return fmt.Errorf("%w %d stalled and %d overflowing messages", errDropped, counts.Stalled, counts.Overflow)
	}
	return nil
}

func (v *bridgedHubs) close() {
	v.stop()
	<-v.ended
	v.hubs[0].Close()
	v.hubs[1].Close()
}

// busy is what a bridge does when both of its sides are busy. Rates are
// deliveries per second, of both ways together.
type busy struct {
	both, oneWay series
	ratios       series // both / the mean of one way just before and after
	dropped      string // what it dropped, and then there is no figure
}

func (b *benchmark) busyBridge() (*busy, error) {
	v := new(busy)
	measure := func(j job, name string) (float64, error) {
		var last *bridgedHubs
		ct := &contender{name: "bridge.Run", open: func(*job) (s system, err error) {
			last, err = openBridged()
			return last, err
		}}
		o, err := b.measure(workload{busyBridge + ", " + name, j}, ct)
		if err != nil && last != nil {
			last.close() // nobody waits for what is lost
		}
		return o.rate, err
	}
	both := func() (float64, error) { return measure(bothWays, "both ways") }
	one := func() (float64, error) { return measure(oneWay, "one way") }
	before, err := one()
	for range b.repeats {
		var rate, after float64
		if err == nil {
			rate, err = both()
		}
		if err == nil {
			after, err = one()
		}
		if errors.Is(err, errDropped) {
			v = &busy{dropped: err.Error()}
			fmt.Fprintf(b.log, "  %s\n", v.dropped)
			return v, nil
		} else if err != nil {
			return nil, err
		}
		v.both, v.oneWay = append(v.both, rate), append(v.oneWay, after)
		v.ratios = append(v.ratios, rate/math.Sqrt(before*after))
		before = after
	}
	fmt.Fprintf(b.log, "  both ways %s M/s, one way %s M/s, %s\n", number(v.both.median()/1e6), number(v.oneWay.median()/1e6), v.ratios)
	return v, nil
}

func (r *results) bridgeTable(p printf) {
	v := r.bridge
	if v == nil {
		return
	}
	p("## A busy bridge\n\n")
	p("`bridge.Run` with its default options between the channels of two hubs, and a node on each that sends and receives a\n")
	p("message at a time. That every message arrives and none is dropped is checked. ")
	if v.dropped != "" {
		p("It was not so: %s.\n\n", v.dropped)
		return
	}
	p("Million deliveries per second, of both ways\ntogether:\n\n")
	p("| one way | both ways | both ways / one way |\n|---:|---:|---:|\n")
	p("| %s | %s | %s |\n\n", number(v.oneWay.median()/1e6), number(v.both.median()/1e6), v.ratios)
}
