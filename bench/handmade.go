package main

import (
	"sync"

	"github.com/canhub-go/canhub/hub"
)

// chatHub is a hub as one writes it by hand, in the shape of the chat example of
// gorilla/websocket: one goroutine, one chan into it, one chan out of it for
// each subscriber, and two to come and go. It waits for a slow subscriber
// instead of dropping it, so that it loses nothing.
var chatHub = &contender{
	name:  "hub goroutine by hand",
	kind:  handmade,
	about: "one goroutine receives from one chan and sends to one chan (256) per subscriber, as in gorilla's chat example, but blocking where that drops a client; no cancellation, no shutdown",
	open: func(j *job) (system, error) {
		c := &chat{
			queues: queues{j: j},
			in:     make(chan hub.Message, queueSize),
			join:   make(chan member),
			leave:  make(chan chan hub.Message),
			quit:   make(chan struct{}),
		}
		go c.run()
		for s := range j.subscribers {
			out := make(chan hub.Message, queueSize)
			c.join <- member{out, j.step(s)}
			c.outs = append(c.outs, out)
		}
		return c, nil
	},
}

type chat struct {
	queues
	in    chan hub.Message
	join  chan member
	leave chan chan hub.Message
	quit  chan struct{} // closed by close
}

type member struct {
	out  chan hub.Message
	step uint64
}

func (c *chat) run() {
	members := make(map[chan hub.Message]uint64)
	for {
		select {
		case m := <-c.in:
			for out, step := range members {
				if wanted(&m, step) {
					out <- m
				}
			}
		case m := <-c.join:
			members[m.out] = m.step
		case out := <-c.leave:
			delete(members, out)
			close(out)
		case <-c.quit:
			return
		}
	}
}

func (c *chat) publish(p int, from, to uint64) error {
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		c.in <- m
	}
	return nil
}

func (c *chat) send(_ int, m *hub.Message) error {
	c.in <- *m
	return nil
}

func (c *chat) churn() error {
	out := make(chan hub.Message, queueSize)
	c.join <- member{out, 1}
	return leaveWhileReading(out, func() { c.leave <- out })
}

// leaveWhileReading takes what comes out until the chan is closed, for leave
// may have to wait until that is possible.
func leaveWhileReading[T any](out <-chan T, leave func()) error {
	ended := make(chan struct{})
	go func() {
		for range out {
		}
		close(ended)
	}()
	leave()
	<-ended
	return nil
}

func (c *chat) close() { close(c.quit) }

// mutexHub is the other one: publishers lock and send to everybody themselves.
var mutexHub = &contender{
	name:  "mutex and chans by hand",
	kind:  handmade,
	about: "a mutex around a slice of chans (256); the publisher holds it while it sends to all, so there is one order; while it waits for a slow subscriber nobody can join or leave",
	open: func(j *job) (system, error) {
		l := &locked{queues: queues{j: j}}
		for s := range j.subscribers {
			out := make(chan hub.Message, queueSize)
			l.members = append(l.members, member{out, j.step(s)})
			l.outs = append(l.outs, out)
		}
		return l, nil
	},
}

type locked struct {
	queues
	mu      sync.Mutex
	members []member
}

func (l *locked) publish(p int, from, to uint64) error {
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		l.broadcast(&m)
	}
	return nil
}

func (l *locked) broadcast(m *hub.Message) {
	l.mu.Lock()
	for i := range l.members {
		if e := &l.members[i]; wanted(m, e.step) {
			e.out <- *m
		}
	}
	l.mu.Unlock()
}

func (l *locked) send(_ int, m *hub.Message) error {
	l.broadcast(m)
	return nil
}

func (l *locked) churn() error {
	out := make(chan hub.Message, queueSize)
	l.mu.Lock()
	l.members = append(l.members, member{out, 1})
	l.mu.Unlock()
	return leaveWhileReading(out, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, e := range l.members {
			if e.out == out {
				l.members = append(l.members[:i], l.members[i+1:]...)
				close(out)
				return
			}
		}
	})
}

func (l *locked) close() {}
