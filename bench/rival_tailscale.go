package main

import (
	"github.com/canhub-go/canhub/hub"
	"tailscale.com/util/eventbus"
)

var tailscale = &contender{
	name:  "tailscale eventbus",
	kind:  library,
	about: "one goroutine for the bus and one for each client, unbuffered typed chans with a queue without a bound behind each, so nothing is lost and nobody waits for a slow subscriber, while memory lasts. Every publisher and subscriber has a client of its own; events are known by their type, so no filters: subscribers throw away what they do not want. The chan is never closed; Done says that it has ended",
	open: func(j *job) (system, error) {
		t := &tailscaleSystem{j: j, bus: eventbus.New()}
		for range j.subscribers {
			t.subs = append(t.subs, eventbus.Subscribe[hub.Message](t.bus.Client("subscriber")))
		}
		for range j.publishers {
			t.pubs = append(t.pubs, eventbus.Publish[hub.Message](t.bus.Client("publisher")))
		}
		return t, nil
	},
}

type tailscaleSystem struct {
	j    *job
	bus  *eventbus.Bus
	pubs []*eventbus.Publisher[hub.Message]
	subs []*eventbus.Subscriber[hub.Message]
}

func (t *tailscaleSystem) publish(p int, from, to uint64) error {
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		t.pubs[p].Publish(m)
	}
	return nil
}

func (t *tailscaleSystem) receive(s int, c *checker) error {
	events, step := t.subs[s].Events(), t.j.step(s)
	if t.j.selects {
		other := t.j.others[s]
		for {
			select {
			case m := <-events:
				if wanted(&m, step) && c.see(&m) {
					return nil
				}
			case <-other:
				return errEnded
			}
		}
	}
	for {
		m := <-events
		if wanted(&m, step) && c.see(&m) {
			return nil
		}
	}
}

func (t *tailscaleSystem) send(p int, m *hub.Message) error {
	t.pubs[p].Publish(*m)
	return nil
}

func (t *tailscaleSystem) recv(s int, m *hub.Message) error {
	*m = <-t.subs[s].Events()
	return nil
}

func (t *tailscaleSystem) churn() error {
	client := t.bus.Client("visitor")
	sub := eventbus.Subscribe[hub.Message](client)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-sub.Events():
			case <-sub.Done():
				return
			}
		}
	}()
	client.Close()
	<-ended
	return nil
}

func (t *tailscaleSystem) close() { t.bus.Close() }
