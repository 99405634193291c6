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

// begin begins the wait, or begins it again when something was taken.
func (l *lateness) begin(now time.Time, taken uint64) {
	*l = lateness{place: l.place, since: now, seen: taken, tell: now.Add(stallAfter)}
}

// A lateList has those for whose room a channel waits. It is of the channel's
// goroutine alone.
type lateList struct {
	list   []*member
	copies *writer     // of the owner
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
		m.late.begin(now, m.taken.Load())
	}
	l.serveAll(now)
}

// serveAll serves everybody, and sets the timer for the next time that somebody is
// to be looked at. Where time alone changes nothing there is none: so a bubble in
// which everybody waits is seen to be one.
func (l *lateList) serveAll(now time.Time) {
	l.due = time.Time{}
	for i := len(l.list) - 1; i >= 0; i-- {
		l.serve(l.list[i], now)
	}
	l.setTimer(now)
}

// serveAnswers serves those who have made the room that they were asked for. The
// others need not be looked at: that keeps the cost of a wait from growing with
// the square of how many are late.
func (l *lateList) serveAnswers(b *bell) {
	now := time.Now()
	for q := b.answers.Swap(nil); q != nil; {
		next := q.answer
		q.answer = nil // it may close, and next be kept by it
		q.awaited = false
		if q.late.place >= 0 {
			l.serve(l.list[q.late.place], now)
		}
		q = next
	}
	l.setTimer(now)
}

// serve gives m what fits now, and asks it to tell when there is more room.
func (l *lateList) serve(m *member, now time.Time) {
	if m.isShut.Load() { // it closes: it wants no more
		m.forget()
	}
	late := &m.late
	for {
		set := m.filters.Load() // not only when they have their turn
		m.sift(set)
		if taken := m.taken.Load(); taken != late.seen {
			m.notStalled()
			late.begin(now, taken)
		}
		if m.blockFor > 0 && now.Sub(late.since) >= m.blockFor {
			m.giveUp(late.seen)
		}
		if dropped := m.handWaiting(l.copies); dropped > 0 {
			l.missed = append(l.missed, m.opts.Name)
		}
		if len(m.waiting) == 0 {
			l.remove(m)
			return
		}
		if late.tell.IsZero() && !m.willStall() { // a send has taken the token
			late.tell = now.Add(stallAfter)
		}
		if !late.tell.IsZero() && !now.Before(late.tell) {
			if !late.told {
				l.stalls.report(m)
			}
			m.tellStalled()
			late.tell, late.told = time.Time{}, true
		}
		if m.await() && m.filters.Load() == set {
			break
		}
		// Some room was made just now, or there are new filters: try again.
	}
	if m.blockFor > 0 {
		l.lookAt(late.since.Add(m.blockFor))
	}
	if !late.told { // it may have taken less than it answers for
		l.lookAt(now.Add(lookEvery))
	}
	if !late.tell.IsZero() {
		l.lookAt(late.tell)
	}
}

// lookAt has somebody looked at at that time.
func (l *lateList) lookAt(t time.Time) {
	if l.due.IsZero() || t.Before(l.due) {
		l.due = t
	}
}

func (l *lateList) setTimer(now time.Time) {
	switch {
	case len(l.list) == 0: // remove has stopped it
	case l.timer == nil:
		l.timer = time.NewTimer(time.Hour)
		fallthrough
	default:
		if l.timer.Stop(); !l.due.IsZero() {
			l.timer.Reset(l.due.Sub(now))
		}
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
