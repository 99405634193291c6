package main

import (
	"errors"
	"fmt"
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

// endpoints opens two nodes: two subscribers of one channel of a hub, and for
// everybody else one system there and another one back. In either case a
// message passes as many goroutines.
func endpoints(ct *contender) (a, b endpoint, end func(), err error) {
	if ct.kind == hubKind {
		h := hub.New(nil)
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

// canTrip reports whether ct takes part in the round trip.
func canTrip(ct *contender) bool {
	return ct.measure == nil && ct != hubBatch && ct != bare
}

// trips has two nodes answer each other for about d, and returns the time of
// each round trip in nanoseconds, sorted.
func trips(ct *contender, d time.Duration) (ns []float64, err error) {
	runtime.GC()
	a, b, end, err := endpoints(ct)
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
