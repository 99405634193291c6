package main

import (
	"errors"

	"github.com/canhub-go/canhub/hub"
)

// queueSize is the room for messages that every subscriber of every contender
// has, where that can be chosen.
const queueSize = 256

var errEnded = errors.New("the stream has ended")

// queues are the subscribers of contenders that deliver hub.Messages through
// chans: the receiving half of a system.
type queues struct {
	j    *job
	outs []<-chan hub.Message
}

func (q *queues) receive(s int, c *checker) error {
	out := q.outs[s]
	if q.j.selects {
		other := q.j.others[s]
		for {
			select {
			case m, ok := <-out:
				if !ok {
					return errEnded
				}
				if c.see(&m) {
					return nil
				}
			case <-other:
				return errEnded
			}
		}
	}
	for m := range out {
		if c.see(&m) {
			return nil
		}
	}
	return errEnded
}

func (q *queues) recv(s int, m *hub.Message) error {
	var ok bool
	if *m, ok = <-q.outs[s]; !ok {
		return errEnded
	}
	return nil
}

// boxes is queues for contenders whose chans carry interface values. Where
// picks is set, subscribers skip what they do not want.
type boxes struct {
	j     *job
	outs  []chan any
	picks bool
}

func (b *boxes) receive(s int, c *checker) error {
	out, step := b.outs[s], uint64(1)
	if b.picks {
		step = b.j.step(s)
	}
	if b.j.selects {
		other := b.j.others[s]
		for {
			select {
			case v, ok := <-out:
				if !ok {
					return errEnded
				}
				m := v.(hub.Message)
				if wanted(&m, step) && c.see(&m) {
					return nil
				}
			case <-other:
				return errEnded
			}
		}
	}
	for v := range out {
		m := v.(hub.Message)
		if wanted(&m, step) && c.see(&m) {
			return nil
		}
	}
	return errEnded
}

func (b *boxes) recv(s int, m *hub.Message) error {
	v, ok := <-b.outs[s]
	if !ok {
		return errEnded
	}
	*m = v.(hub.Message)
	return nil
}

// bare is the floor: every publisher itself sends each message to one chan per
// subscriber. The set of subscribers cannot change, subscribers do not agree on
// an order when there are several publishers, and nothing can be cancelled.
var bare = &contender{
	name: "bare chans",
	kind: floor,
	about: "every publisher itself sends each message to one buffered chan (256) per subscriber. " +
		"The subscribers are fixed, nothing can be cancelled, and with several publishers the subscribers do not see one order. " +
		"Its row is one more bare run between two others: how far it is from 1 is the noise",
	open: func(j *job) (system, error) {
		return openBare(j, queueSize), nil
	},
}

func openBare(j *job, size int) *bareChans {
	b := &bareChans{queues: queues{j: j}}
	for range j.subscribers {
		out := make(chan hub.Message, size)
		b.ins, b.outs = append(b.ins, out), append(b.outs, out)
	}
	return b
}

type bareChans struct {
	queues
	ins []chan hub.Message
}

func (b *bareChans) publish(p int, from, to uint64) error {
	var m hub.Message
	if b.j.filtered {
		for n := from; n < to; n++ {
			stamp(&m, p, n)
			for s, out := range b.ins {
				if wanted(&m, b.j.step(s)) {
					out <- m
				}
			}
		}
		return nil
	}
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		for _, out := range b.ins {
			out <- m
		}
	}
	return nil
}

func (b *bareChans) send(_ int, m *hub.Message) error {
	for _, out := range b.ins {
		out <- *m
	}
	return nil
}

func (b *bareChans) close() {}

// bareSelect is the bare fan-out whose subscribers may leave: the loops that
// receive in a select, as they must to end with their ctx, need a publisher that
// sends in one, or it hangs at the first full chan that nobody reads any more.
var bareSelect = &contender{
	name: "bare chans, both ends select",
	kind: handmade,
	about: "as bare chans, but the publisher sends in a select with a second case too. So it can end when a subscriber has left: " +
		"what a program with select loops needs at the least. Only where subscribers receive in a select",
	open: func(j *job) (system, error) {
		return &bareSelects{bareChans: openBare(j, queueSize), ended: make(chan struct{})}, nil
	},
	cannot: onlySelects,
}

type bareSelects struct {
	*bareChans
	ended chan struct{} // never closed
}

func (b *bareSelects) publish(p int, from, to uint64) error {
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		for _, out := range b.ins {
			select {
			case out <- m:
			case <-b.ended:
				return errEnded
			}
		}
	}
	return nil
}
