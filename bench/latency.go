package main

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// An endpoint is one of two nodes that answer each other.
type endpoint struct {
	send func(*hub.Message) error
	recv func(*hub.Message) error
}

// The bare ones of the round trip: two chans, one there and one back.
var (
	bareTrip       = &contender{name: "two bare chans, capacity 1", kind: floor, open: func(j *job) (system, error) { return openBare(j, 1), nil }}
	bareUnbuffered = &contender{name: "two bare chans, unbuffered", kind: floor, open: func(j *job) (system, error) { return openBare(j, 0), nil }}
)

// onOneBus opens two nodes on one bus: two subscribers of one channel of a hub, or
// of one instance of anything else. Where a node is sent its own messages too, it
// throws them away.
func onOneBus(ct *contender) (a, b endpoint, end func(), err error) {
	if ct.kind != hubKind {
		sys, err := ct.open(&job{publishers: 2, subscribers: 2})
		if err != nil {
			return a, b, nil, err
		}
		both := sys.(stepper)
		node := func(me int) endpoint {
			return endpoint{
				send: func(m *hub.Message) error { return both.send(me, m) },
				recv: func(m *hub.Message) error {
					for {
						if err := both.recv(me, m); err != nil || sender(m) != me {
							return err
						}
					}
				},
			}
		}
		return node(0), node(1), both.close, nil
	}
	return onOneHub(ct, 0)
}

// onOneHub opens two nodes on one channel of a hub, and senders more that only
// send, and do not.
func onOneHub(ct *contender, senders int) (a, b endpoint, end func(), err error) {
	h := hub.New(nil)
	for range senders {
		if _, err := h.Open("can0", &hub.SubscriberOptions{SendOnly: true}); err != nil {
			return a, b, nil, err
		}
	}
	for _, e := range []*endpoint{&a, &b} {
		s, err := h.Open("can0", nil)
		if err != nil {
			return a, b, nil, err
		}
		e.send = func(m *hub.Message) error { return s.Send(background, *m) }
		e.recv = func(m *hub.Message) (err error) {
			*m, err = s.Recv(background)
			return err
		}
		if ct == hubChan {
			out := s.C()
			e.recv = func(m *hub.Message) error {
				*m = <-out
				return nil
			}
		}
	}
	return a, b, func() { h.Close() }, nil
}

// onTwoLinks opens two nodes that do not share a bus: one instance of ct there, and
// another one back.
func onTwoLinks(ct *contender) (a, b endpoint, end func(), err error) {
	var both [2]stepper
	for i := range both {
		sys, err := ct.open(&job{publishers: 1, subscribers: 1})
		if err != nil {
			return a, b, nil, err
		}
		both[i] = sys.(stepper)
	}
	ep := func(to, from stepper) endpoint {
		return endpoint{
			send: func(m *hub.Message) error { return to.send(0, m) },
			recv: func(m *hub.Message) error { return from.recv(0, m) },
		}
	}
	return ep(both[0], both[1]), ep(both[1], both[0]), func() { both[0].close(); both[1].close() }, nil
}

// setSender makes m a message of node p, and sender tells whose it is.
func setSender(m *hub.Message, p int)  { m.Data[7] = byte(p) }
func sender(m *hub.Message) (node int) { return int(m.Data[7]) }

// A tripForm is how two nodes reach each other.
type tripForm struct {
	name string
	open func(*contender) (a, b endpoint, end func(), err error)
	can  func(*contender) bool
}

var (
	oneBus = tripForm{"on one bus", onOneBus, func(ct *contender) bool {
		// Who publishes with watermill waits here until it has itself acknowledged
		// what it publishes.
		return ct.measure == nil && ct.kind != floor && ct != bareSelect && !takesBatches(ct) && ct != watermillChannel
	}}
	twoLinks = tripForm{"a link there and one back", onTwoLinks, func(ct *contender) bool {
		return ct.measure == nil && ct != bare && ct != bareSelect && !takesBatches(ct)
	}}
)

// takesBatches tells of the hub's contenders which do not go a message at a time.
func takesBatches(ct *contender) bool {
	return ct == hubBatch || ct == hubSelect || ct == hubBatchSelect
}

// trips has two nodes answer each other for about d, and returns the time of
// each round trip in nanoseconds, sorted.
func trips(f tripForm, ct *contender, d time.Duration) (ns []float64, err error) {
	runtime.GC()
	a, b, end, err := f.open(ct)
	if err != nil {
		return nil, err
	}
	answered := make(chan error, 1)
	go func() { // ends with the message without data, or when a node fails
		var m hub.Message
		for {
			if err := b.recv(&m); err != nil {
				answered <- err
				return
			}
			setSender(&m, 1)
			if err := b.send(&m); err != nil || m.Len == 0 {
				answered <- err
				return
			}
		}
	}()
	const warm = 100
	var ping, pong hub.Message
	start := time.Now()
	last := start
	for n := uint64(0); ; n++ {
		stamp(&ping, 0, n)
		if n > warm && last.Sub(start) > d {
			ping.Len = 0
		}
		if err := a.send(&ping); err != nil {
			return nil, err
		}
		if err := a.recv(&pong); err != nil {
			return nil, err
		}
		setSender(&pong, 0)
		if !ping.Equal(pong) || ping.Data != pong.Data {
			return nil, fmt.Errorf("%s: sent %v, received %v", ct.name, ping, pong)
		}
		if ping.Len == 0 {
			break
		}
		now := time.Now()
		if n >= warm {
			ns = append(ns, float64(now.Sub(last)))
		} else {
			start = now
		}
		last = now
	}
	if err := <-answered; err != nil {
		return nil, err
	}
	end()
	if len(ns) == 0 {
		return nil, errors.New("no round trips")
	}
	slices.Sort(ns)
	return ns, nil
}

// A trip is what one contender did at the round trip.
type trip struct {
	ratios    series // median, relative to that of two bare chans just before
	p50, p99  series // nanoseconds
	p99Ratios series
	err       error
}

// besideSenders is the round trip of two nodes on a channel with many others that
// only send, and are idle.
type besideSenders struct {
	senders       int
	with, without series // medians, nanoseconds
	ratios        series // with / the mean of those without just before and after
}

func (b *benchmark) besideSenders() (*besideSenders, error) {
	v := &besideSenders{senders: b.senders}
	measure := func(senders int) (float64, error) {
		f := tripForm{"", func(ct *contender) (endpoint, endpoint, func(), error) { return onOneHub(ct, senders) }, nil}
		ns, err := trips(f, hubRecv, b.target)
		return percentile(ns, 50), err
	}
	before, err := measure(0)
	if err != nil {
		return nil, err
	}
	for range b.repeats {
		with, err := measure(b.senders)
		if err != nil {
			return nil, err
		}
		after, err := measure(0)
		if err != nil {
			return nil, err
		}
		v.with, v.without = append(v.with, with), append(v.without, after)
		v.ratios = append(v.ratios, with/math.Sqrt(before*after))
		before = after
	}
	fmt.Fprintf(b.log, "  %d of them: %s us, %s of without\n", v.senders, number(v.with.median()/1000), v.ratios)
	return v, nil
}
