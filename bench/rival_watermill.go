package main

import (
	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
	"github.com/canhub-go/canhub/hub"
)

var watermillChannel = &contender{
	name:  "watermill gochannel",
	kind:  library,
	about: "carries bytes (96 here), in a goroutine for each message and subscriber, which would not keep the order: lossless and in order by BlockPublishUntilSubscriberAck, so every message is acknowledged before the next. No filters: subscribers throw away what they do not want",
	open: func(j *job) (system, error) {
		w := &watermillSystem{j: j, ch: gochannel.NewGoChannel(gochannel.Config{
			OutputChannelBuffer:            queueSize,
			BlockPublishUntilSubscriberAck: true,
		}, watermill.NopLogger{})}
		for range j.subscribers {
			out, err := w.ch.Subscribe(background, "can0")
			if err != nil {
				return nil, err
			}
			w.outs = append(w.outs, out)
		}
		return w, nil
	},
}

type watermillSystem struct {
	j    *job
	ch   *gochannel.GoChannel
	outs []<-chan *message.Message
}

func (w *watermillSystem) publish(p int, from, to uint64) error {
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		if err := w.send(p, &m); err != nil {
			return err
		}
	}
	return nil
}

// send leaves the UUID empty, which Watermill allows and which saves it time.
func (w *watermillSystem) send(_ int, m *hub.Message) error {
	payload := make([]byte, encodedSize)
	encode(payload, m)
	return w.ch.Publish("can0", message.NewMessage("", payload))
}

func (w *watermillSystem) receive(s int, c *checker) error {
	var m hub.Message
	for step := w.j.step(s); ; {
		if err := w.recv(s, &m); err != nil {
			return err
		}
		if wanted(&m, step) && c.see(&m) {
			if step == 2 { // the last is an odd one, and wants to be acknowledged too
				return w.recv(s, &m)
			}
			return nil
		}
	}
}

func (w *watermillSystem) recv(s int, m *hub.Message) error {
	var msg *message.Message
	if w.j.selects {
		select {
		case msg = <-w.outs[s]:
		case <-w.j.others[s]:
		}
	} else {
		msg = <-w.outs[s]
	}
	if msg == nil {
		return errEnded
	}
	decode(m, msg.Payload)
	msg.Ack()
	return nil
}

func (w *watermillSystem) close() { w.ch.Close() }
