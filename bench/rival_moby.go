package main

import (
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/moby/pubsub"
)

var moby = &contender{
	name:  "moby/pubsub",
	kind:  library,
	about: "no goroutine of its own, but one for each message and subscriber; chans of interface values (256). It drops a message for which there is no room in time: lossless by a timeout of an hour. Filters: its topic functions",
	open: func(j *job) (system, error) {
		m := &mobySystem{boxes: boxes{j: j}, p: pubsub.NewPublisher(time.Hour, queueSize)}
		for s := range j.subscribers {
			if j.step(s) == 1 {
				m.outs = append(m.outs, m.p.Subscribe())
				continue
			}
			m.outs = append(m.outs, m.p.SubscribeTopic(func(v any) bool {
				msg := v.(hub.Message)
				return wanted(&msg, 2)
			}))
		}
		return m, nil
	},
}

type mobySystem struct {
	boxes
	p *pubsub.Publisher
}

func (m *mobySystem) publish(p int, from, to uint64) error {
	var msg hub.Message
	for n := from; n < to; n++ {
		stamp(&msg, p, n)
		m.p.Publish(msg)
	}
	return nil
}

func (m *mobySystem) send(_ int, msg *hub.Message) error {
	m.p.Publish(*msg)
	return nil
}

func (m *mobySystem) churn() error {
	out := m.p.Subscribe()
	return leaveWhileReading(out, func() { m.p.Evict(out) })
}

func (m *mobySystem) close() { m.p.Close() }
