package remote

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/canhub-go/canhub/hub"
)

const (
	// minPeriod bounds what one message of a client can start: a frame of 100
	// bits at 1 Mbit/s.
	minPeriod = 100 * time.Microsecond
	// maxRate bounds what all tasks of a client send in a second: what fits on
	// such a bus. A client that says little could keep the server busy otherwise.
	maxRate = float64(time.Second / minPeriod)
)

// Tasks are what a client has the server send periodically. They are the
// reader's, and end with the subscriber.
type tasks struct {
	sub     *hub.Subscriber
	most    int
	running map[taskID]task
}

type task struct {
	*hub.Task
	rate float64 // messages per second
}

// A taskID is what identifies a task. The protocol stops one by the number
// alone.
type taskID struct {
	id       uint32
	extended bool
}

func newTasks(sub *hub.Subscriber, most int) tasks {
	return tasks{sub: sub, most: most, running: make(map[taskID]task)}
}

// start starts a task, or gives one that runs another message. Then its period
// and duration stay as they are, as with python-can-remote.
func (t *tasks) start(payload json.RawMessage) error {
	p, err := readPeriodic(payload)
	if err != nil {
		return fmt.Errorf("periodic_start: %w", err)
	}
	m := p.Messages[0]
	id := taskID{m.ID, m.Flags&hub.Extended != 0}
	if old, ok := t.running[id]; ok && old.Update(m) == nil {
		return nil
	}
	rate := t.rate()
	if len(t.running) >= t.most {
		return fmt.Errorf("periodic_start: there are %d tasks already", t.most)
	}
	n := task{rate: float64(time.Second) / float64(p.Period)}
	if rate+n.rate > maxRate+0.5 { // the sum of floats is not exact
		return fmt.Errorf("periodic_start: more than %.0f messages a second in all tasks", maxRate)
	}
	if n.Task, err = t.sub.SendPeriodic(p); err == nil {
		t.running[id] = n
	}
	return err
}

// rate drops the tasks that have ended, and returns how many messages a second
// the others send.
func (t *tasks) rate() (sum float64) {
	for id, task := range t.running {
		select {
		case <-task.Done():
			delete(t.running, id)
		default:
			sum += task.rate
		}
	}
	return sum
}

// stop stops the tasks of a number. One that is not there is no error: Python
// clients stop tasks twice.
func (t *tasks) stop(payload json.RawMessage) {
	n, err := whole(payload, math.MaxUint32)
	if err != nil {
		return
	}
	for _, extended := range []bool{false, true} {
		id := taskID{uint32(n), extended}
		if task, ok := t.running[id]; ok {
			task.Stop()
			<-task.Done() // so that a new one does not follow a last message of this
			delete(t.running, id)
		}
	}
}

func readPeriodic(payload json.RawMessage) (*hub.Periodic, error) {
	members, err := object(payload)
	if err != nil {
		return nil, err
	}
	p := &hub.Periodic{Messages: make([]hub.Message, 1)}
	if p.Period, err = duration(members["period"]); err != nil {
		return nil, fmt.Errorf("period: %w", err)
	}
	if p.Period < minPeriod {
		return nil, fmt.Errorf("period: %v: at least %v", p.Period, minPeriod)
	}
	if d := members["duration"]; d != nil && string(d) != "null" {
		if p.Duration, err = duration(d); err != nil {
			return nil, fmt.Errorf("duration: %w", err)
		}
	}
	if members["msg"] == nil {
		return nil, errors.New("msg: missing")
	}
	if err := decodeJSON(&p.Messages[0], members["msg"]); err != nil {
		return nil, err
	}
	return p, nil
}

// duration reads seconds. What is beyond the largest Duration is that.
func duration(v json.RawMessage) (time.Duration, error) {
	s, err := strconv.ParseFloat(string(v), 64)
	if err != nil || s < 0 {
		return 0, fmt.Errorf("%.40s: want seconds", v)
	}
	return time.Duration(min(s*1e9, math.MaxInt64/2)), nil
}
