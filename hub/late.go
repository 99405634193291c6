package hub

import (
	"context"
	"log/slog"
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

// A lateList has those for whose room a channel waits. It is of the channel's
// goroutine alone.
type lateList struct {
	list   []*member
	missed []string    // who dropped something since the owner looked last
	timer  *time.Timer // nil until somebody was late
	due    time.Time   // when the first of them is to be looked at
	stalls stallLog
}

// add puts m on the list.
func (l *lateList) add(m *member) {
	if m.late.place < 0 {
		m.late.place = len(l.list)
		l.list = append(l.list, m)
	}
}

// remove takes m off the list, if it is there.
func (l *lateList) remove(m *member) {
	place := m.late.place
	if place < 0 {
		return
	}
	m.stopAwaiting()
	m.notStalled()
	last := len(l.list) - 1
	l.list[place] = l.list[last]
	l.list[place].late.place = place
	l.list[last] = nil
	l.list = l.list[:last]
	m.late.place = -1
	if last == 0 && l.timer != nil {
		l.timer.Stop()
	}
}

// clear takes everybody off the list. What waits is left to the receivers.
func (l *lateList) clear() {
	for len(l.list) > 0 {
		l.remove(l.list[0])
	}
}

// begin begins to wait for those who have just got late.
func (l *lateList) begin() {
	now := time.Now()
	for _, m := range l.list {
		m.late.since, m.late.seen, m.late.told = now, m.taken.Load(), 0
	}
	l.serveAll(now)
}

// serveAll serves everybody, and sets the timer for the next time that somebody is
// to be looked at.
func (l *lateList) serveAll(now time.Time) {
	l.due = now.Add(lookEvery)
	for i := len(l.list) - 1; i >= 0; i-- {
		l.serve(l.list[i], now)
	}
	if len(l.list) > 0 {
		l.setTimer(l.due.Sub(now))
	}
}

// serveAnswers serves those who have made the room that they were asked for. The
// others need not be looked at: that keeps the cost of a wait from growing with
// the square of how many are late.
func (l *lateList) serveAnswers(b *bell) {
	now, due := time.Now(), l.due
	for q := b.answers.Swap(nil); q != nil; {
		next := q.answer
		q.answer = nil // it may close, and next be kept by it
		q.awaited = false
		if q.late.place >= 0 {
			l.serve(l.list[q.late.place], now)
		}
		q = next
	}
	if len(l.list) > 0 && l.due.Before(due) {
		l.setTimer(l.due.Sub(now))
	}
}

// serve gives m what fits now, and asks it to tell when there is more room.
func (l *lateList) serve(m *member, now time.Time) {
	if m.isShut.Load() { // it closes: it wants no more
		m.forget()
	}
	m.sift(m.filters.Load()) // not only when they have their turn
	late := &m.late
	for {
		if taken := m.taken.Load(); taken != late.seen {
			m.notStalled()
			late.seen, late.since, late.told = taken, now, 0
		}
		waited := now.Sub(late.since)
		if m.blockFor > 0 && waited >= m.blockFor {
			m.giveUp(late.seen)
		}
		if dropped := m.handWaiting(); dropped > 0 {
			l.missed = append(l.missed, m.opts.Name)
		}
		if len(m.waiting) == 0 {
			l.remove(m)
			return
		}
		if waited >= time.Duration(late.told+1)*stallAfter {
			if late.told++; late.told == 1 {
				l.stalls.report(m)
			}
			m.tellStalled()
		}
		if m.await() {
			break
		}
		// Some room was made just now: try again.
	}
	patience := time.Duration(late.told+1) * stallAfter
	if m.blockFor > 0 {
		patience = min(patience, m.blockFor)
	}
	if due := late.since.Add(patience); due.Before(l.due) {
		l.due = due
	}
}

func (l *lateList) setTimer(d time.Duration) {
	if l.timer == nil {
		l.timer = time.NewTimer(d)
	} else {
		l.timer.Reset(d)
	}
}

// A stallLog calls the user's log handler, which may do what it likes, each time in
// a goroutine of its own, and waits for them at the end.
type stallLog struct {
	log     *slog.Logger
	channel string
	calls   []chan struct{} // each closed when that call has ended
}

func (s *stallLog) report(m *member) {
	log, done := s.log, make(chan struct{})
	attrs := []slog.Attr{
		slog.String("channel", s.channel),
		slog.String("subscriber", m.opts.Name),
		slog.Int("queue", m.opts.Queue),
		slog.Duration("after", stallAfter),
	}
	go func() {
		defer close(done)
		log.LogAttrs(context.Background(), slog.LevelWarn, "hub: channel waits for a subscriber's full queue", attrs...)
	}()
	s.calls = append(slices.DeleteFunc(s.calls, isClosed), done)
}

func isClosed(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// wait waits for the handler, but not for ever: it may be what closes the hub, and
// wait for us.
func (s *stallLog) wait() {
	if s.calls = slices.DeleteFunc(s.calls, isClosed); len(s.calls) == 0 {
		return
	}
	timer := time.NewTimer(stallAfter)
	defer timer.Stop()
	for _, done := range s.calls {
		select {
		case <-done:
		case <-timer.C:
			return
		}
	}
}
