package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A Task is a message that the server sends periodically for a [Bus]. Its
// methods may be called from any goroutine.
type Task struct {
	bus    *Bus
	m      hub.Message
	period float64 // seconds
	length any     // seconds, or nil
}

// SendPeriodic has the server send m at once and then every period, for duration;
// 0 is without end. The task ends with the bus, or by [Task.Stop]. It counts as
// running until Stop even when its duration is over, for the server does not
// tell.
//
// While there is a task for the identifier of m, be it standard or extended, it
// returns an error, for the protocol names a task by that number. Other errors
// are as for Send. What the server cannot do becomes the error of a Recv.
func (b *Bus) SendPeriodic(ctx context.Context, m hub.Message, period, duration time.Duration) (*Task, error) {
	switch {
	case period <= 0:
		return nil, fmt.Errorf("remote: periodic: period %v: want more than 0", period)
	case duration < 0:
		return nil, fmt.Errorf("remote: periodic: duration %v: negative", duration)
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	t := &Task{bus: b, m: m, period: period.Seconds()}
	if duration > 0 {
		t.length = duration.Seconds()
	}
	tasks, err := b.takeTasks(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { b.tasks <- tasks }()
	if tasks[m.ID] != nil {
		return nil, fmt.Errorf("remote: periodic: there is a task for identifier %#x already", m.ID)
	}
	if err := t.start(ctx, &m); err != nil {
		return nil, err
	}
	tasks[m.ID] = t
	return t, nil
}

// takeTasks waits while another call starts or stops a task.
func (b *Bus) takeTasks(ctx context.Context) (map[uint32]*Task, error) {
	if err := cmp.Or(ctx.Err(), b.life.Over()); err != nil {
		return nil, err
	}
	select {
	case tasks := <-b.tasks:
		return tasks, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.life.Closing():
		return nil, hub.ErrClosed
	}
}

func (t *Task) start(ctx context.Context, m *hub.Message) error {
	text, err := appendEvent(nil, periodicStart, map[string]any{
		"period":   t.period,
		"duration": t.length,
		"msg":      periodicFrame{m},
	})
	if err != nil {
		return err
	}
	return t.bus.out.Put(ctx, t.bus.life, outgoing{text: text})
}

// A periodicFrame is a frame as a periodic_start has it: without a time.
type periodicFrame struct{ m *hub.Message }

func (f periodicFrame) MarshalJSON() ([]byte, error) {
	p := appendFrame([]byte(`{`), f.m)
	p = appendBool(p, "is_fd", f.m.Flags&hub.FDF != 0)
	p = appendBool(p, "bitrate_switch", f.m.Flags&hub.BRS != 0)
	p = appendBool(p, "error_state_indicator", f.m.Flags&hub.ESI != 0)
	return append(p, `}`...), nil
}

// Update replaces the message, from the next one on, and leaves the schedule as
// it is. The identifier must be the same. The error is [hub.ErrClosed] after
// Stop; others are as for Send.
func (t *Task) Update(ctx context.Context, m hub.Message) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if m.ID != t.m.ID || (m.Flags^t.m.Flags)&hub.Extended != 0 {
		return errors.New("remote: periodic: the new message has another identifier")
	}
	tasks, err := t.bus.takeTasks(ctx)
	if err != nil {
		return err
	}
	defer func() { t.bus.tasks <- tasks }()
	if tasks[t.m.ID] != t {
		return hub.ErrClosed
	}
	return t.start(ctx, &m)
}

// Stop has the server stop the task. After the first that succeeds it does
// nothing. Errors are as for Send.
func (t *Task) Stop(ctx context.Context) error {
	tasks, err := t.bus.takeTasks(ctx)
	if err != nil {
		return err
	}
	defer func() { t.bus.tasks <- tasks }()
	if tasks[t.m.ID] != t {
		return nil // a second stop would end the session with python-can-remote
	}
	text, err := appendEvent(nil, periodicStop, t.m.ID)
	if err != nil {
		return err
	}
	if err := t.bus.out.Put(ctx, t.bus.life, outgoing{text: text}); err != nil {
		return err
	}
	delete(tasks, t.m.ID)
	return nil
}
