package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Periodic says what [Subscriber.SendPeriodic] sends, and when.
type Periodic struct {
	// Messages are sent in rotation, one each Period. One at least; all have the
	// same identifier.
	Messages []Message
	// Period is the time from one message to the next. More than 0. The schedule
	// is absolute: one late message does not make the next ones late.
	Period time.Duration
	// Delay is the time before the first message, for tasks that are to send in
	// turn. Default: 0, at once.
	Delay time.Duration
	// Duration ends the task: no message is sent when this much time, pauses not
	// counted, has passed since the first. Default: 0, no end.
	Duration time.Duration
	// Count ends the task after this many messages. Default: 0, no end.
	Count int
	// Modify changes each message just before it is sent, the first included.
	// It gets the same message again and again, so it can count in it, but it
	// must leave the identifier alone. It runs in the task's goroutine and may
	// call anything, also Stop and Close; no Close waits for a Modify that is
	// running. Default: nil.
	Modify func(m *Message)
	// CatchUp sends at once what could not be sent in time, for the bus was
	// blocked or the machine busy. Default: false, it is skipped, and counted by
	// [Task.Skipped]: while a message waits to be forwarded, the next are not sent.
	CatchUp bool
}

func (p *Periodic) validate() error {
	switch {
	case p == nil || len(p.Messages) == 0:
		return errors.New("hub: periodic: no messages")
	case p.Period <= 0:
		return fmt.Errorf("hub: periodic: Period %v: want more than 0", p.Period)
	case p.Delay < 0:
		return fmt.Errorf("hub: periodic: Delay %v: negative", p.Delay)
	case p.Duration < 0:
		return fmt.Errorf("hub: periodic: Duration %v: negative", p.Duration)
	case p.Count < 0:
		return fmt.Errorf("hub: periodic: Count %d: negative", p.Count)
	}
	return checkSameID(p.Messages, &p.Messages[0])
}

// checkSameID tells which of msgs is invalid, or has not the identifier of id.
func checkSameID(msgs []Message, id *Message) error {
	for i := range msgs {
		m := &msgs[i]
		if err := m.Validate(); err != nil {
			return fmt.Errorf("hub: periodic: message %d of %d: %w", i+1, len(msgs), err)
		}
		if m.ID != id.ID || (m.Flags^id.Flags)&Extended != 0 {
			return fmt.Errorf("hub: periodic: message %d of %d: identifier %#x (%v), want %#x (%v) in all",
				i+1, len(msgs), m.ID, m.Flags, id.ID, id.Flags)
		}
	}
	return nil
}

// A Task sends messages periodically. Its methods may be called from any
// goroutine and wait for nothing.
type Task struct {
	sub    *Subscriber
	plan   Periodic
	ctx    context.Context // of the task's goroutine
	stop   context.CancelFunc
	update atomic.Pointer[[]Message] // what Update wants, until run takes it
	paused atomic.Bool
	skips  atomic.Uint64
	poke   chan struct{} // a token when paused has changed; never closed
	done   chan struct{} // closed by run, its last act
	err    error         // set before done is closed
	inside bool          // run is counted by the subscriber's workers
}

// SendPeriodic starts a task that sends p's messages, the first at once. The
// task ends by itself as p says, by [Task.Stop], or when the subscriber closes.
//
// The error is [ErrClosed] or [ErrListenOnly], or tells what is wrong with p.
func (s *Subscriber) SendPeriodic(p *Periodic) (*Task, error) {
	if err := s.checkSend(context.Background()); err != nil {
		return nil, err
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	if !s.workers.enter() {
		return nil, ErrClosed
	}
	t := &Task{
		sub:    s,
		plan:   *p,
		poke:   make(chan struct{}, 1),
		done:   make(chan struct{}),
		inside: true,
	}
	t.plan.Messages = slices.Clone(p.Messages)
	t.ctx, t.stop = context.WithCancel(context.Background())
	go t.run() // Close and the hub's Close wait for workers
	return t, nil
}

// Update replaces the messages, from the next one on, and leaves the schedule
// as it is. There must be as many as before, with the same identifier. If the task
// has ended, the error is [ErrClosed].
func (t *Task) Update(messages ...Message) error {
	if len(messages) != len(t.plan.Messages) {
		return fmt.Errorf("hub: periodic: %d messages, want %d as before", len(messages), len(t.plan.Messages))
	}
	if err := checkSameID(messages, &t.plan.Messages[0]); err != nil {
		return err
	}
	select {
	case <-t.done:
		return ErrClosed
	default:
	}
	msgs := slices.Clone(messages)
	t.update.Store(&msgs)
	return nil
}

// Pause holds the task until Resume. A message that is just being sent may
// still follow, and only after it the pause begins.
func (t *Task) Pause() { t.setPaused(true) }

// Resume lets a paused task go on: the next message at once, the others a
// Period apart. It does nothing if the task is not paused.
func (t *Task) Resume() { t.setPaused(false) }

func (t *Task) setPaused(paused bool) {
	t.paused.Store(paused)
	select {
	case t.poke <- struct{}{}:
	default:
	}
}

// Stop ends the task. It may be called more than once. A message that is just
// being sent may still follow; receive from [Task.Done] to wait for the end.
func (t *Task) Stop() { t.stop() }

// Done returns a chan that is closed when the task has ended.
func (t *Task) Done() <-chan struct{} { return t.done }

// Err returns why the task has ended: nil after Stop, Count or Duration and
// while it runs, [ErrClosed] if the subscriber was closed, or what was wrong
// with a message after Modify.
func (t *Task) Err() error {
	select {
	case <-t.done:
		return t.err
	default:
		return nil
	}
}

// Skipped returns how many messages the task has not sent, for the bus was blocked
// or the machine busy when they were due. Pauses do not count.
func (t *Task) Skipped() uint64 { return t.skips.Load() }

// skip counts the messages of so much time.
func (t *Task) skip(d time.Duration) { t.skips.Add(uint64(d / t.plan.Period)) }

func (t *Task) run() {
	t.err = errModifyEnded // what is left when Modify does not return
	defer func() {
		t.stop()
		close(t.done)
		if t.inside {
			t.sub.workers.leave()
		}
	}()
	t.err = t.loop()
}

var errModifyEnded = errors.New("hub: periodic: Modify has ended its goroutine")

// loop sends until the task is to end, and returns why.
func (t *Task) loop() error {
	msgs := slices.Clone(t.plan.Messages)
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now().Add(t.plan.Delay)
	var end time.Time     // zero until the first message
	var last *atomic.Bool // set when the channel has delivered it
	for n := 0; t.plan.Count == 0 || n < t.plan.Count; {
		next, end = t.wait(timer, next, end)
		switch {
		case t.ctx.Err() != nil:
			return nil
		case t.sub.isShut.Load():
			return ErrClosed
		case t.plan.Duration > 0 && n == 0:
			end = time.Now().Add(t.plan.Duration)
		case t.plan.Duration > 0 && !time.Now().Before(end):
			return nil
		}
		if last != nil && !last.Load() {
			// The bus is blocked. Skip this one, and all that are late as well.
			late := max(0, time.Since(next)).Truncate(t.plan.Period)
			t.skip(t.plan.Period + late)
			next = next.Add(t.plan.Period + late)
			continue
		}
		if u := t.update.Swap(nil); u != nil {
			msgs = *u
		}
		m := &msgs[n%len(msgs)]
		if t.plan.Modify != nil {
			if err := t.modify(m); err != nil {
				return err
			}
		}
		e := envelope{span: t.sub.channel.memory.write(m, &t.sub.sender)}
		if !t.plan.CatchUp {
			last = new(atomic.Bool)
			e.request = &request{kind: askTick, done: last}
		}
		// No stall: this goroutine is not the one that should receive.
		if err := t.sub.send(t.ctx, e, nil); err != nil {
			if t.ctx.Err() != nil {
				return nil
			}
			return err
		}
		n++
		next = next.Add(t.plan.Period)
		if late := time.Since(next); late >= t.plan.Period && !t.plan.CatchUp {
			t.skip(late.Truncate(t.plan.Period))
			next = next.Add(late.Truncate(t.plan.Period))
		}
	}
	return nil
}

// wait returns when it is time to send, or to end. It returns next and end, moved
// on by the time that the task was paused.
func (t *Task) wait(timer *time.Timer, next, end time.Time) (_, _ time.Time) {
	for {
		var due <-chan time.Time
		paused := t.paused.Load()
		since := time.Now()
		if !paused {
			until := next
			if !end.IsZero() && end.Before(next) {
				until = end
			}
			d := until.Sub(since)
			if d <= 0 {
				return next, end
			}
			timer.Reset(d)
			due = timer.C
		}
		select {
		case <-due:
		case <-t.poke:
			if paused {
				now := time.Now()
				next = now
				if !end.IsZero() {
					end = end.Add(now.Sub(since))
				}
			}
		case <-t.ctx.Done():
			return next, end
		case <-t.sub.quit:
			return next, end
		}
	}
}

// modify lets the user change m. Meanwhile the task does not count as one of
// the subscriber's goroutines, or a Close in Modify would wait for itself.
func (t *Task) modify(m *Message) error {
	before := *m
	t.inside = false
	t.sub.workers.leave()
	t.plan.Modify(m)
	if t.inside = t.sub.workers.enter(); !t.inside {
		return ErrClosed
	}
	return checkSameID([]Message{*m}, &before)
}
