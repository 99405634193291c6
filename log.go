package canhub

import (
	"context"
	"errors"
	"iter"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// A played message, or why a line of the log is none.
type played struct {
	m   hub.Message
	err error
}

// A player is a log as a bus that others have sent on. It is listen-only, and
// closed at the end of the log.
type player struct {
	path    string
	pace    canlog.PaceOptions
	loops   int // -1: for ever
	channel string
	filters []hub.Filter

	first *canlog.Reader // opened by openLog, so that it can fail
	queue chan played    // run sends, and closes it at the end of the log
	start sync.Once
	stop  context.CancelFunc
	ctx   context.Context // the player's own life
	done  chan struct{}   // closed by run, its last act, or by Close if it never ran
}

func openLog(_ context.Context, _ *Opener, a *address) (hub.Bus, error) {
	p := &player{
		path:    a.path,
		loops:   1,
		channel: a.text("channel", ""),
		filters: a.filters(),
		queue:   make(chan played, 256),
		done:    make(chan struct{}),
	}
	p.pace.MaxPause = a.duration("maxpause")
	switch v := a.text("speed", "1"); v {
	case "max":
		p.pace.Speed = math.Inf(1)
	default:
		speed, err := strconv.ParseFloat(v, 64)
		if err != nil || !(speed > 0) {
			a.fail("speed", v, "a number above 0, or max")
		}
		p.pace.Speed = speed
	}
	if v := a.text("loop", "1"); v == "forever" {
		p.loops = -1
	} else {
		p.loops = a.int("loop", 1, math.MaxInt32)
	}
	switch {
	case a.err != nil:
		return nil, a.err
	case a.host != "" || a.path == "":
		return nil, errors.New("want log:FILE, or log:/FILE with its whole path")
	}
	if whole := strings.TrimPrefix(p.path, "/"); filepath.VolumeName(whole) != "" {
		p.path = whole // log:///C:/drive.log
	}
	var err error
	if p.first, err = canlog.Open(p.path); err != nil {
		return nil, err
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p, nil
}

// Send refuses: a log that is played cannot be changed.
func (p *player) Send(ctx context.Context, _ hub.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.ctx.Err() != nil {
		return hub.ErrClosed
	}
	return hub.ErrListenOnly
}

// Recv returns the next message when it is due, and [hub.ErrClosed] behind the
// last one. For a line that cannot be read it returns an error that names it;
// the next Recv goes on behind that line.
func (p *player) Recv(ctx context.Context) (hub.Message, error) {
	p.start.Do(func() { go p.run() })
	if p.ctx.Err() != nil {
		return hub.Message{}, hub.ErrClosed
	}
	select {
	case r, ok := <-p.queue:
		return r.received(ok)
	default:
	}
	select {
	case r, ok := <-p.queue:
		return r.received(ok)
	case <-ctx.Done():
		return hub.Message{}, ctx.Err()
	case <-p.ctx.Done():
		return hub.Message{}, hub.ErrClosed
	}
}

func (r played) received(ok bool) (hub.Message, error) {
	if !ok {
		return hub.Message{}, hub.ErrClosed
	}
	return r.m, r.err
}

// Close ends the play and waits for that.
func (p *player) Close() error {
	p.stop()
	p.first.Close() // which may be a pipe that run waits for
	p.start.Do(func() { close(p.done) })
	<-p.done
	return nil
}

// run plays the log. Close waits for it.
func (p *player) run() {
	defer close(p.done)
	defer close(p.queue)
	for e, err := range canlog.Pace(p.ctx, p.wanted(), &p.pace) {
		if p.ctx.Err() != nil {
			return // err may be that
		}
		select {
		case p.queue <- played{e.Message, err}:
		case <-p.ctx.Done():
			return
		}
	}
}

// wanted yields what is to be played, loop after loop. Pace plays the beginning
// of each loop at once, for its time lies before that of the end.
func (p *player) wanted() iter.Seq2[canlog.Entry, error] {
	return func(yield func(canlog.Entry, error) bool) {
		r := p.first
		for loop := 0; loop != p.loops && p.ctx.Err() == nil; loop++ {
			if r == nil {
				var err error
				if r, err = canlog.Open(p.path); err != nil {
					yield(canlog.Entry{}, err)
					return
				}
			}
			messages := 0
			for e, err := range r.Entries() {
				if err == nil {
					if p.channel != "" && e.Channel != p.channel || !bus.Passes(p.filters, &e.Message) {
						if p.ctx.Err() != nil {
							break // nobody else asks, in a long log without a message to play
						}
						continue
					}
					messages++
				}
				if !yield(e, err) {
					r.Close()
					return
				}
			}
			r.Close()
			r = nil
			if messages == 0 {
				return // there is nothing to play for ever
			}
		}
	}
}
