package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// A player sends a log.
type player struct {
	log         logReading
	pace        canlog.PaceOptions
	errorFrames bool
	one         *namedBus            // for all channels, or nil
	routes      map[string]*namedBus // by channel
	show        io.Writer            // of each frame sent, or nil
	keys        <-chan byte          // nil if there are none
	hold        bool                 // send a frame for each key
	showStep    io.Writer            // of each frame sent so

	sent     atomic.Uint64
	refused  uint64
	errors   uint64            // error frames not sent
	unmapped map[string]uint64 // frames by channel
}

// to sets the buses for the channels, of which there are none if the one bus is
// for all.
func (p *player) to(channels []string, all []*namedBus) {
	if len(channels) == 0 {
		p.one = all[0]
		return
	}
	p.routes = make(map[string]*namedBus)
	for i, channel := range channels {
		p.routes[channel] = all[i]
	}
}

func (p *player) bus(channel string) *namedBus {
	if p.one != nil {
		return p.one
	}
	return p.routes[channel]
}

// run plays to the end of the log, or until a key asks for the end, and then
// returns nil. It returns the ctx's error when that is done, and that of a bus
// that fails.
func (p *player) run(ctx context.Context) error {
	p.unmapped = make(map[string]uint64)
	p.log.skip = p.unwanted
	next, stop := iter.Pull2(p.log.entries(ctx))
	defer stop()
	q := &playQueue{next: next}
	if p.hold {
		p.log.talk.say("space or enter: next frame, g: go on at speed until space, q: end")
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !p.hold {
			key, err := p.flow(ctx, q)
			if p.hold = key == ' '; !p.hold {
				return err
			}
			continue
		}
		key, err := p.key(ctx)
		switch {
		case err != nil:
			return err
		case isEnd(key):
			return nil
		case key == 'g':
			p.hold = false
		case key == ' ' || key == '\r' || key == '\n':
			e, err, ok := q.first()
			if err != nil || !ok {
				return err
			}
			q.kept = nil
			if err := p.send(ctx, e, p.showStep); err != nil {
				return err
			}
		}
	}
}

// flow plays at the log's pace, to its end, or to a key for that or for a hold,
// which it returns.
func (p *player) flow(ctx context.Context, q *playQueue) (byte, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var pressed byte // for those who have waited
	if p.keys != nil {
		wg.Go(func() {
			defer cancel()
			for {
				key, err := p.key(inner)
				if err != nil {
					return // the play has ended
				}
				if key == ' ' || isEnd(key) {
					pressed = key
					return
				}
			}
		})
	}
	err := p.paced(ctx, inner, q)
	cancel()
	wg.Wait()
	if pressed != 0 && errors.Is(err, context.Canceled) && ctx.Err() == nil {
		return pressed, nil
	}
	return 0, err
}

// paced plays until the end of the log, or inner is done: it cuts waiting short,
// but no Send.
func (p *player) paced(ctx, inner context.Context, q *playQueue) error {
	for e, err := range canlog.Pace(inner, q.all(), &p.pace) {
		if err == nil {
			err = inner.Err()
		}
		if err != nil {
			return err // the queue keeps what was not sent
		}
		q.kept = nil
		if err := p.send(ctx, e, p.show); err != nil {
			return err
		}
	}
	return nil
}

func (p *player) key(ctx context.Context) (byte, error) {
	select {
	case key, ok := <-p.keys:
		if !ok {
			key = 'q'
		}
		return key, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func isEnd(key byte) bool {
	return key == 'q' || key == 'Q' || key == 3 // as the terminal sends Ctrl-C
}

// unwanted reports whether e is not to be sent, and counts it then.
func (p *player) unwanted(e canlog.Entry) bool {
	switch {
	case p.bus(e.Channel) == nil:
		p.pass(e.Channel)
	case e.Message.Flags&hub.Error != 0 && !p.errorFrames:
		p.errors++
	default:
		return false
	}
	return true
}

// maxChannels is of how many channels that are not played frames are counted
// apart: a log may have a new one in each line.
const maxChannels = 1000

func (p *player) pass(channel string) {
	if _, known := p.unmapped[channel]; !known && len(p.unmapped) >= maxChannels {
		channel = "others"
	}
	p.unmapped[channel]++
}

func (p *player) send(ctx context.Context, e canlog.Entry, show io.Writer) error {
	bus := p.bus(e.Channel)
	err := bus.Send(ctx, e.Message)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, hub.ErrInvalid), errors.Is(err, errors.ErrUnsupported):
		if p.refused++; p.refused <= maxShown {
			p.log.talk.say("%s", plainText(bus.refused(e.Message, err)))
		}
		return nil
	default:
		return bus.refused(e.Message, err)
	}
	p.sent.Add(1)
	if show == nil {
		return nil
	}
	t := e.Message.Timestamp
	_, err = fmt.Fprintf(show, "(%010d.%06d) %s %v\n", t/1e9, t%1e9/1e3, e.Channel, e.Message)
	return err
}

// summary tells what was sent and what was not. It is for after run.
func (p *player) summary(took time.Duration) string {
	sent := p.sent.Load()
	text := fmt.Sprintf("%s sent in %v%s", number(sent, "frame"), rounded(took), perSecond(sent, took))
	var not []string
	if p.errors > 0 {
		not = append(not, number(p.errors, "error frame"))
	}
	if p.refused > 0 {
		not = append(not, number(p.refused, "frame")+" that the bus refused")
	}
	var channels []string
	for channel := range p.unmapped {
		channels = append(channels, channel)
	}
	slices.Sort(channels)
	for i, channel := range channels {
		if i == maxShown {
			not = append(not, number(uint64(len(channels)-i), "more channel"))
			break
		}
		not = append(not, number(p.unmapped[channel], "frame")+" of "+channel)
	}
	if not = append(not, p.log.passedOver()...); len(not) > 0 {
		text += "; passed over: " + strings.Join(not, ", ")
	}
	return text
}

// failure returns an error that counts what was passed over but should not be,
// or nil.
func (p *player) failure() error {
	err := p.log.unread.failure()
	switch {
	case p.refused == 0:
		return err
	case err == nil:
		return fmt.Errorf("%s refused by the bus", number(p.refused, "frame"))
	}
	return fmt.Errorf("%w; %s refused by the bus", err, number(p.refused, "frame"))
}

// A playQueue is what is still to be played. An entry is in it until it is sent,
// so that one for which the play was waiting when it was held is not lost.
type playQueue struct {
	next func() (canlog.Entry, error, bool)
	kept *canlog.Entry // taken from next and not sent yet
}

func (q *playQueue) first() (e canlog.Entry, err error, ok bool) {
	if q.kept != nil {
		return *q.kept, nil, true
	}
	if e, err, ok = q.next(); ok && err == nil {
		q.kept = &e
	}
	return e, err, ok
}

func (q *playQueue) all() iter.Seq2[canlog.Entry, error] {
	return func(yield func(canlog.Entry, error) bool) {
		for {
			e, err, ok := q.first()
			if !ok || !yield(e, err) {
				return
			}
		}
	}
}
