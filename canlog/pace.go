package canlog

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"
)

// PaceOptions configure [Pace]. Nil or the zero value plays a log as it was
// recorded.
type PaceOptions struct {
	// Speed is how many times faster than recorded the log is played, above 0;
	// infinite is as fast as the loop goes. Default: 0, which means 1.
	Speed float64
	// Interval is the time from each entry to the next, whatever the log says.
	// Speed does not change it. Default: 0, the times of the log.
	Interval time.Duration
	// MaxPause cuts each pause in the log that is longer down to it, before Speed
	// divides it. Default: 0, no limit.
	MaxPause time.Duration
}

// Validate returns an error that names the option that is out of range.
func (o *PaceOptions) Validate() error {
	switch {
	case o == nil:
	case o.Speed < 0 || math.IsNaN(o.Speed):
		return fmt.Errorf("canlog: Speed %v: want more than 0, or 0 for 1", o.Speed)
	case o.Interval < 0:
		return fmt.Errorf("canlog: Interval %v: negative", o.Interval)
	case o.MaxPause < 0:
		return fmt.Errorf("canlog: MaxPause %v: negative", o.MaxPause)
	}
	return nil
}

// Pace hands on entries, each at its time: the first at once, the others as
// long after it as they are in the log. The times are absolute, so a loop that
// takes long for one entry gets those that are due meanwhile at once, and none
// is late for ever. An entry whose time lies before that of the one in front of
// it, as where two logs were put together, is handed out at once, and the time
// goes on from it. Errors of entries are handed on when they come.
//
// When ctx is done while Pace waits, the iteration ends with the ctx's error and
// a zero Entry. A wrong option does so at once.
func Pace(ctx context.Context, entries iter.Seq2[Entry, error], o *PaceOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := o.Validate(); err != nil {
			yield(Entry{}, err)
			return
		}
		p := newPacer(o)
		for e, err := range entries {
			if err == nil && !p.wait(ctx, e.Message.Timestamp) {
				yield(Entry{}, ctx.Err())
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// A pacer knows when the next entry is due.
type pacer struct {
	opts  PaceOptions
	begin time.Time // of the play
	after float64   // how long after it the last entry was due, in ns
	last  int64     // its Timestamp
	timer *time.Timer
}

func newPacer(o *PaceOptions) *pacer {
	p := &pacer{}
	if o != nil {
		p.opts = *o
	}
	if p.opts.Speed == 0 {
		p.opts.Speed = 1
	}
	return p
}

// wait returns when the entry of time at is due, or false if ctx is done first.
func (p *pacer) wait(ctx context.Context, at int64) bool {
	if p.begin.IsZero() {
		p.begin, p.last = time.Now(), at
		return true
	}
	p.after += p.pause(at)
	p.last = at
	d := time.Duration(min(p.after, 1<<62)) - time.Since(p.begin)
	if d <= 0 {
		return true
	}
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return true
	case <-ctx.Done():
		p.timer.Stop()
		return false
	}
}

// pause returns how many ns after the last entry that of time at is due.
func (p *pacer) pause(at int64) float64 {
	if p.opts.Interval > 0 {
		return float64(p.opts.Interval)
	}
	pause := float64(max(0, at-p.last)) // both are 0 or more
	if limit := p.opts.MaxPause; limit > 0 {
		pause = min(pause, float64(limit))
	}
	return pause / p.opts.Speed
}
