package main

import (
	"context"
	"fmt"

	"github.com/canhub-go/canhub/hub"
)

// The hub, five times: its calls for single messages, for batches, its chan, and
// its chan of batches, fed by either. Publishers are subscribers that only send; every queue has the default
// size, and every policy is Block.
var (
	hubRecv = &contender{
		name:  "hub Send/Recv",
		kind:  hubKind,
		about: "a message at a time, on both sides; filters are the hub's",
		open:  func(j *job) (system, error) { return openHub(j) },
		cannot: func(j *job) string {
			if j.selects {
				return noChan
			}
			return ""
		},
	}
	hubBatch = &contender{
		name: "hub SendBatch/RecvBatch",
		kind: hubKind,
		about: fmt.Sprintf("publishers hand over %d messages at a time, subscribers take what is there; every message is still looked at. "+
			"A publisher waits for nobody but the channel", batchSize),
		open: func(j *job) (system, error) {
			h, err := openHub(j)
			return &hubBatches{h}, err
		},
		cannot: func(j *job) string {
			if j.selects {
				return noChan
			}
			return ""
		},
	}
	hubChan = &contender{
		name:  "hub Send/C",
		kind:  hubKind,
		about: "subscribers receive from the chan that C returns",
		open: func(j *job) (system, error) {
			h, err := openHub(j)
			if err != nil {
				return nil, err
			}
			c := &hubChans{hubSystem: h, queues: queues{j: j}}
			for _, rx := range h.rx {
				c.outs = append(c.outs, rx.C())
			}
			return c, nil
		},
	}
	hubSelect = &contender{
		name:   "hub Send/Batches",
		kind:   hubKind,
		about:  "subscribers receive from the chan of batches that Batches returns; every message is still looked at. Only where subscribers receive in a select",
		open:   func(j *job) (system, error) { return openHubSelects(j) },
		cannot: onlySelects,
	}
	hubBatchSelect = &contender{
		name:  "hub SendBatch/Batches",
		kind:  hubKind,
		about: fmt.Sprintf("the same, and publishers hand over %d messages at a time", batchSize),
		open: func(j *job) (system, error) {
			h, err := openHubSelects(j)
			return &hubBatchSelects{h}, err
		},
		cannot: onlySelects,
	}
)

const noChan = "no chan to select on; C() and Batches() are for that"

func onlySelects(j *job) string {
	if !j.selects {
		return "only where subscribers receive in a select"
	}
	return ""
}

const batchSize = 64

var background = context.Background()

type hubSystem struct {
	hub    *hub.Hub
	tx, rx []*hub.Subscriber
}

func openHub(j *job) (*hubSystem, error) {
	h := &hubSystem{hub: hub.New(nil)}
	for range j.publishers {
		tx, err := h.hub.Open("can0", &hub.SubscriberOptions{SendOnly: true})
		if err != nil {
			return nil, err
		}
		h.tx = append(h.tx, tx)
	}
	for s := range j.subscribers {
		var o hub.SubscriberOptions
		if j.step(s) == 2 {
			o.Filters = []hub.Filter{{ID: 0, Mask: 1}}
		}
		rx, err := h.hub.Open("can0", &o)
		if err != nil {
			return nil, err
		}
		h.rx = append(h.rx, rx)
	}
	return h, nil
}

func (h *hubSystem) publish(p int, from, to uint64) error {
	tx := h.tx[p]
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		if err := tx.Send(background, m); err != nil {
			return err
		}
	}
	return nil
}

func (h *hubSystem) receive(s int, c *checker) error {
	rx := h.rx[s]
	for {
		m, err := rx.Recv(background)
		if err != nil {
			return err
		}
		if c.see(&m) {
			return nil
		}
	}
}

func (h *hubSystem) send(p int, m *hub.Message) error { return h.tx[p].Send(background, *m) }

func (h *hubSystem) recv(s int, m *hub.Message) (err error) {
	*m, err = h.rx[s].Recv(background)
	return err
}

func (h *hubSystem) churn() error {
	s, err := h.hub.Open("can0", nil)
	if err != nil {
		return err
	}
	return s.Close()
}

func (h *hubSystem) close() { h.hub.Close() }

type hubBatches struct{ *hubSystem }

func (h *hubBatches) publish(p int, from, to uint64) error {
	tx := h.tx[p]
	batch := make([]hub.Message, batchSize)
	for n := from; n < to; n += uint64(len(batch)) {
		batch = batch[:min(batchSize, to-n)]
		for i := range batch {
			stamp(&batch[i], p, n+uint64(i))
		}
		if err := tx.SendBatch(background, batch); err != nil {
			return err
		}
	}
	return nil
}

func (h *hubBatches) receive(s int, c *checker) error {
	rx := h.rx[s]
	for {
		batch, err := rx.RecvBatch(background)
		if err != nil {
			return err
		}
		if done, err := c.seeAll(batch); done {
			return err
		}
	}
}

type hubChans struct {
	*hubSystem
	queues
}

func (h *hubChans) receive(s int, c *checker) error  { return h.queues.receive(s, c) }
func (h *hubChans) recv(s int, m *hub.Message) error { return h.queues.recv(s, m) }

type hubSelects struct {
	*hubSystem
	j    *job
	outs []<-chan []hub.Message
}

func openHubSelects(j *job) (*hubSelects, error) {
	h, err := openHub(j)
	if err != nil {
		return nil, err
	}
	c := &hubSelects{hubSystem: h, j: j}
	for _, rx := range h.rx {
		c.outs = append(c.outs, rx.Batches())
	}
	return c, nil
}

func (h *hubSelects) receive(s int, c *checker) error {
	out, other := h.outs[s], h.j.others[s]
	for {
		select {
		case batch, ok := <-out:
			if !ok {
				return errEnded
			}
			if done, err := c.seeAll(batch); done {
				return err
			}
		case <-other:
			return errEnded
		}
	}
}

type hubBatchSelects struct{ *hubSelects }

func (h *hubBatchSelects) publish(p int, from, to uint64) error {
	return (&hubBatches{h.hubSystem}).publish(p, from, to)
}
