package main

import (
	eventbus "github.com/asaskevich/EventBus"
	"github.com/canhub-go/canhub/hub"
)

var asaskevich = &contender{
	name:  "asaskevich/EventBus",
	kind:  library,
	about: "callbacks, called through reflection in the publisher's goroutine, one publisher at a time. The callback puts the message into a chan (256) for the subscriber's goroutine, and waits when it is full: lossless. Filters: one topic for even and one for odd identifiers. Subscribers that are closures of one function cannot leave: Unsubscribe takes the first of them",
	open: func(j *job) (system, error) {
		e := &eventBusSystem{queues: queues{j: j}, bus: eventbus.New()}
		for s := range j.subscribers {
			out := make(chan hub.Message, queueSize)
			e.outs = append(e.outs, out)
			put := func(m hub.Message) { out <- m }
			for _, topic := range eventTopics[:3-j.step(s)] {
				if err := e.bus.Subscribe(topic, put); err != nil {
					return nil, err
				}
			}
		}
		return e, nil
	},
}

var eventTopics = [2]string{"even", "odd"}

type eventBusSystem struct {
	queues
	bus eventbus.Bus
}

func (e *eventBusSystem) publish(p int, from, to uint64) error {
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		e.bus.Publish(eventTopics[m.ID&1], m)
	}
	return nil
}

func (e *eventBusSystem) send(_ int, m *hub.Message) error {
	e.bus.Publish(eventTopics[m.ID&1], *m)
	return nil
}

func (e *eventBusSystem) close() {}
