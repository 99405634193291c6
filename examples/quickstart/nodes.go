package main

import (
	"context"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/examples/vehicle"
	"github.com/canhub-go/canhub/hub"
)

// listeners are the nodes that receive: a recorder on each channel, and status
// and watch on the first one. Wait for them before reading what they have.
type listeners struct {
	sync.WaitGroup
	hub       *hub.Hub
	live      *log.Logger
	ownCar    bool // status knows its signals
	recorders []*recorder
	others    []*hub.Subscriber
}

// join opens the channel of e, its first frame, with all that listen there. It
// returns the place of the one that sends: that one keeps the times of the log,
// so the table is the same at every speed.
func (l *listeners) join(ctx context.Context, e canlog.Entry) (*hub.Subscriber, error) {
	if len(l.recorders) == 0 {
		status, err := l.hub.Open(e.Channel, nil)
		if err != nil {
			return nil, err
		}
		// The first identifier, and those that differ in the last five bits.
		near := []hub.Filter{{ID: e.Message.ID, Mask: 0x1FFFFFE0}}
		watch, err := l.hub.Open(e.Channel, &hub.SubscriberOptions{Filters: near})
		if err != nil {
			return nil, err
		}
		l.Go(func() { l.status(ctx, status) })
		l.Go(func() { l.watch(ctx, watch) })
		l.others = []*hub.Subscriber{status, watch}
	}
	s, err := l.hub.Open(e.Channel, nil)
	if err != nil {
		return nil, err
	}
	sender, err := l.hub.Open(e.Channel, &hub.SubscriberOptions{KeepTimestamps: true, SendOnly: true})
	if err != nil {
		return nil, err
	}
	r := &recorder{sub: s, sender: sender, rows: make(map[hub.Message]*row)}
	l.Go(r.record)
	l.recorders = append(l.recorders, r)
	return sender, nil
}

// status is a service with a select loop: it keeps the latest values and says
// once a second how it is going.
func (l *listeners) status(ctx context.Context, s *hub.Subscriber) {
	defer s.Close() // or the channel would wait for us for ever
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var frames, before, rpm int
	var speed float64
	for begin := time.Now(); ; {
		select {
		case m, open := <-s.C():
			if !open {
				return // the hub is closed: the log is over
			}
			frames++
			if v, ok := vehicle.Speed(m); ok {
				speed = v
			}
			if v, ok := vehicle.RPM(m); ok {
				rpm = v
			}
		case <-second.C:
			line := fmt.Sprintf("%5.1f s  status  %d frames, %d/s", time.Since(begin).Seconds(), frames, frames-before)
			if l.ownCar {
				line += fmt.Sprintf(", %.1f km/h, %d rpm", speed, rpm)
			}
			l.live.Print(line)
			before = frames
		case <-ctx.Done():
			return
		}
	}
}

// watch shows what its filter lets through: each identifier once a second, and
// no more than a person can read.
func (l *listeners) watch(ctx context.Context, s *hub.Subscriber) {
	defer s.Close()
	var last time.Time
	shown := make(map[uint32]time.Time) // by identifier
	begin := time.Now()
	for m := range s.All(ctx) {
		now := time.Now()
		if now.Sub(last) < 100*time.Millisecond || now.Sub(shown[m.ID]) < time.Second {
			continue
		}
		last, shown[m.ID] = now, now
		l.live.Printf("%5.1f s  watch   %v", now.Sub(begin).Seconds(), m)
	}
}
