package hub

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"time"
)

// stallAfter is how long a channel waits for room before it says so, and lets
// the subscriber that it waits for know in a send of its own.
const stallAfter = time.Second

// lookEvery is how often a channel looks whether those for whom it waits have
// taken anything, though not as much as it asked to be told of. So it knows to that
// precision since when they have taken nothing.
const lookEvery = stallAfter / 10

// noteLate puts m on the list of those for whom the channel waits.
func (o *owner) noteLate(m *member) {
	if l := &m.late; l.place < 0 {
		l.place = len(o.late)
		o.late = append(o.late, m)
	}
}

// notLate takes m off that list.
func (o *owner) notLate(m *member) {
	l := &m.late
	if l.place < 0 {
		return
	}
	m.stopWaiting()
	m.notStalled()
	last := len(o.late) - 1
	o.late[l.place] = o.late[last]
	o.late[l.place].late.place = l.place
	o.late[last] = nil
	o.late = o.late[:last]
	l.place = -1
}

// beginWait begins to wait for those who have just got late.
func (o *owner) beginWait() {
	now := time.Now()
	for _, m := range o.late {
		m.late.since, m.late.seen, m.late.told = now, m.taken.Load(), 0
	}
	o.serveAll(now)
}

// wait waits until somebody who is late has made room, something was posted, or it
// is time to look at those who are late. With the last of them it ends the wait.
func (o *owner) wait() {
	select {
	case <-o.bell.rung:
		if len(o.late) > 1 {
			runtime.Gosched() // others are about to answer too: better serve them all at once
		}
		o.serveAnswers() // always: there is one token for all answers
		if o.posted.Load() != nil {
			o.control()
			o.serveAll(time.Now())
		}
	case now := <-o.timer.C:
		o.serveAll(now)
	}
	if len(o.late) == 0 {
		o.timer.Stop()
		o.report()
		o.proceed()
	}
}

// waitNoMore leaves what waits to the receivers: the channel ends.
func (o *owner) waitNoMore() {
	for len(o.late) > 0 {
		o.notLate(o.late[0])
	}
	o.report()
}

// serveAll serves everybody who is late, and sets the timer for the next time
// that somebody is to be looked at.
func (o *owner) serveAll(now time.Time) {
	o.due = now.Add(lookEvery)
	for i := len(o.late) - 1; i >= 0; i-- {
		o.serve(o.late[i], now)
	}
	if len(o.late) > 0 {
		o.setTimer(o.due.Sub(now))
	}
}

// serveAnswers serves those who have made the room that they were asked for. The
// others need not be looked at: that keeps the cost of a wait from growing with
// the square of how many are late.
func (o *owner) serveAnswers() {
	now, due := time.Now(), o.due
	for q := o.bell.answers.Swap(nil); q != nil; {
		next := q.answer
		q.answer = nil // it may close, and next be kept by it
		q.awaited = false
		if q.late.place >= 0 {
			o.serve(o.late[q.late.place], now)
		}
		q = next
	}
	if o.due.Before(due) {
		o.setTimer(o.due.Sub(now))
	}
}

// serve gives m what fits now, and asks it to tell when there is more room.
func (o *owner) serve(m *member, now time.Time) {
	l := &m.late
	if m.isShut.Load() { // it closes: it wants no more
		m.forget()
	}
	m.sift(m.filter)
	if taken := m.taken.Load(); taken != l.seen {
		m.notStalled()
		l.seen, l.since, l.told = taken, now, 0
	}
	waited := now.Sub(l.since)
	if m.blockFor > 0 && waited >= m.blockFor {
		m.gaveUp, m.gaveUpAt = true, l.seen
	}
	for {
		if dropped := m.handWaiting(); dropped > 0 {
			o.miss(m)
		}
		if len(m.waiting) == 0 {
			o.notLate(m)
			return
		}
		if m.await() {
			break
		}
		// Some room was made just now: try again.
	}
	if waited >= time.Duration(l.told+1)*stallAfter {
		o.tellStall(m)
	}
	due := l.since.Add(time.Duration(l.told+1) * stallAfter)
	if m.blockFor > 0 {
		due = l.since.Add(m.blockFor)
	}
	if due.Before(o.due) {
		o.due = due
	}
}

// tellStall tells m, and the first time the log, that the channel waits for it.
func (o *owner) tellStall(m *member) {
	if m.late.told++; m.late.told == 1 {
		o.logStall(m)
	}
	select {
	case m.stall <- struct{}{}:
	default: // it has not looked at the last one
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
func (o *owner) logStall(m *member) {
	log, done := o.log, make(chan struct{})
	attrs := []slog.Attr{
		slog.String("channel", o.name),
		slog.String("subscriber", m.opts.Name),
		slog.Int("queue", m.opts.Queue),
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
