package hub

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"time"
)

// late is a subscriber under Block whose queue is full, and what waits for room
// in it.
type late struct {
	sub   *Subscriber
	rest  span      // what is to be handed over next
	more  []span    // and what after that
	gen   uint32    // of the filters that let it through
	since time.Time // it took something, or the wait began
	seen  uint64    // what it had taken by then
	quiet bool      // it took nothing for lookAfter since then
	told  int       // how often it was told since then that it holds up the channel
}

// stallAfter is how long a channel waits for room before it says so, and lets
// the subscriber that it waits for know in a send of its own.
const stallAfter = time.Second

// lookAfter is how long a channel that waits for room for many messages does not
// look whether some were taken. Then it looks again, or, if there were none, asks
// to be told of the next: so it knows to that precision when the last was taken.
const lookAfter = stallAfter / 10

// waitForRoom hands the rest to those who are late as they make room.
func (o *owner) waitForRoom() {
	now, all := time.Now(), o.late
	for i := range all {
		all[i].since = now
	}
	for o.serveAll(now); len(o.late) > 0; {
		select {
		case <-o.poke:
			if len(o.late) > 1 {
				runtime.Gosched() // others are about to answer too: better serve them all at once
			}
			o.ending = o.ending || o.ended.Load()
			o.serveReady() // always: there is one token for all answers
			if o.ending || o.pending.Load() != nil {
				o.control()
				o.serveAll(time.Now())
			}
		case now = <-o.timer.C:
			o.serveAll(now)
		}
	}
	if o.timer != nil {
		o.timer.Stop()
	}
	clear(all)
}

// serveAll serves everybody who is late, and sets the timer for the next time
// that somebody is to be looked at.
func (o *owner) serveAll(now time.Time) {
	o.due = now.Add(stallAfter)
	for i := len(o.late) - 1; i >= 0; i-- {
		o.serve(i, now)
	}
	if len(o.late) > 0 {
		o.setTimer(o.due.Sub(now))
	}
}

// serveReady serves those who have made the room that they were asked for. The
// others need not be looked at: that keeps the cost of a wait from growing with
// the square of how many are late.
func (o *owner) serveReady() {
	now, due := time.Now(), o.due
	for s := o.ready.Swap(nil); s != nil; {
		next := s.nextReady
		s.nextReady = nil // it may close, and next be kept by it
		s.queue.awaited = false
		if s.late >= 0 {
			o.serve(s.late, now)
		}
		s = next
	}
	if o.due.Before(due) {
		o.setTimer(o.due.Sub(now))
	}
}

// serve gives o.late[i] what fits now, and takes it off the list when that was
// all.
func (o *owner) serve(i int, now time.Time) {
	l := &o.late[i]
	for o.fit(l, now) {
		if l.sub.queue.await(l.need()) {
			if due := l.due(); due.Before(o.due) {
				o.due = due
			}
			return
		}
		// Some room was made just now: try again.
	}
	l.sub.queue.stopWaiting()
	l.takeBack()
	l.sub.late = -1
	last := len(o.late) - 1
	if i < last {
		*l = o.late[last]
		l.sub.late = i
	}
	o.late = o.late[:last]
}

// fit hands over what fits of l, and reports whether something is left.
func (o *owner) fit(l *late, now time.Time) bool {
	s, q := l.sub, &l.sub.queue
	if s.gone || s.isShut.Load() && !o.ending { // it closes: it wants no more
		l.rest, l.more = span{}, nil
	}
	if l.gen != s.filter.gen {
		l.rest = s.filter.apply(l.rest)
		for i, p := range l.more {
			l.more[i] = s.filter.apply(p)
		}
		l.gen = s.filter.gen
	}
	if taken := q.taken.Load(); taken != l.seen {
		l.takeBack()
		l.seen, l.since, l.told = taken, now, 0
	}
	l.quiet = now.Sub(l.since) >= lookAfter
	if s.opts.BlockFor > 0 && now.Sub(l.since) >= s.opts.BlockFor {
		q.giveUp()
	}
	for {
		if l.rest = o.handOver(s, l.rest, l.gen); l.rest.n > 0 || len(l.more) == 0 {
			break
		}
		l.rest, l.more = l.more[0], l.more[1:]
	}
	if l.rest.n > 0 && now.Sub(l.since) >= time.Duration(l.told+1)*stallAfter {
		if l.told++; l.told == 1 {
			o.logStall(s)
		}
		select {
		case s.stall <- struct{}{}:
		default: // it has not looked at the last one
		}
	}
	return l.rest.n > 0
}

// need returns for how many messages l waits. When time is being taken, any one
// that it takes matters.
func (l *late) need() (n uint32) {
	if l.sub.opts.BlockFor > 0 || l.quiet {
		return 1
	}
	n = l.rest.n
	for _, p := range l.more {
		n += p.n
	}
	return n
}

// due returns when l is to be looked at, if it does not answer before.
func (l *late) due() time.Time {
	wait := time.Duration(l.told+1) * stallAfter
	if limit := l.sub.opts.BlockFor; limit > 0 {
		wait = min(wait, limit)
	} else if !l.quiet {
		wait = lookAfter
	}
	return l.since.Add(wait)
}

// takeBack removes a token that no send has taken: the subscriber is not stalled.
func (l *late) takeBack() {
	select {
	case <-l.sub.stall:
	default:
	}
}

func (o *owner) setTimer(d time.Duration) {
	if o.timer == nil {
		o.timer = time.NewTimer(d)
	} else {
		o.timer.Reset(d)
	}
}

// logStall runs the user's log handler, which may do what it likes, in a
// goroutine of its own. waitForLogs waits for it.
func (o *owner) logStall(s *Subscriber) {
	log, done := o.hub.log, make(chan struct{})
	attrs := []slog.Attr{
		slog.String("channel", o.name),
		slog.String("subscriber", s.opts.Name),
		slog.Int("queue", s.opts.Queue),
		slog.Duration("after", stallAfter),
	}
	go func() {
		defer close(done)
		log.LogAttrs(context.Background(), slog.LevelWarn, "hub: channel waits for a subscriber's full queue", attrs...)
	}()
	o.logs = append(slices.DeleteFunc(o.logs, isClosed), done)
}

func isClosed(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// waitForLogs waits for the log handler, but not for ever: it may be what closes
// the hub, and wait for us.
func (o *owner) waitForLogs() {
	if o.logs = slices.DeleteFunc(o.logs, isClosed); len(o.logs) == 0 {
		return
	}
	o.setTimer(stallAfter)
	for _, done := range o.logs {
		select {
		case <-done:
		case <-o.timer.C:
			return
		}
	}
	o.timer.Stop()
}
