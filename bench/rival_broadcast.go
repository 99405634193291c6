package main

import (
	"github.com/canhub-go/canhub/hub"
	"github.com/dustin/go-broadcast"
)

var dustin = &contender{
	name:  "dustin/go-broadcast",
	kind:  library,
	about: "one goroutine, chans of interface values (256), so each message is allocated. Lossless as it is: it waits for a full subscriber. No filters: subscribers throw away what they do not want",
	open: func(j *job) (system, error) {
		d := &dustinSystem{boxes: boxes{j: j, picks: true}, b: broadcast.NewBroadcaster(queueSize)}
		for range j.subscribers {
			out := make(chan any, queueSize)
			d.b.Register(out)
			d.outs = append(d.outs, out)
		}
		return d, nil
	},
}

type dustinSystem struct {
	boxes
	b broadcast.Broadcaster
}

func (d *dustinSystem) publish(p int, from, to uint64) error {
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		d.b.Submit(m)
	}
	return nil
}

func (d *dustinSystem) send(_ int, m *hub.Message) error {
	d.b.Submit(*m)
	return nil
}

func (d *dustinSystem) churn() error {
	out := make(chan any, queueSize)
	d.b.Register(out)
	return leaveWhileReading(out, func() {
		d.b.Unregister(out)
		close(out)
	})
}

func (d *dustinSystem) close() { d.b.Close() }
