package main

import (
	"github.com/canhub-go/canhub/hub"
	"github.com/cskr/pubsub/v2"
)

var cskr = &contender{
	name:  "cskr/pubsub",
	kind:  library,
	about: "one goroutine, topics, generic chans (256). Lossless as it is: Pub waits for a full subscriber, and so does everybody else. Filters: one topic for even and one for odd identifiers",
	open: func(j *job) (system, error) {
		c := &cskrSystem{queues: queues{j: j}, ps: pubsub.New[bool, hub.Message](queueSize)}
		for s := range j.subscribers {
			topics := []bool{true, false}
			c.outs = append(c.outs, c.ps.Sub(topics[:3-j.step(s)]...))
		}
		return c, nil
	},
}

// cskrSystem has two topics: true for even identifiers, and false for odd ones.
type cskrSystem struct {
	queues
	ps *pubsub.PubSub[bool, hub.Message]
}

func (c *cskrSystem) publish(p int, from, to uint64) error {
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		c.ps.Pub(m, m.ID&1 == 0)
	}
	return nil
}

func (c *cskrSystem) send(_ int, m *hub.Message) error {
	c.ps.Pub(*m, m.ID&1 == 0)
	return nil
}

func (c *cskrSystem) churn() error {
	out := c.ps.Sub(true, false)
	return leaveWhileReading(out, func() { c.ps.Unsub(out) })
}

func (c *cskrSystem) close() { c.ps.Shutdown() }
