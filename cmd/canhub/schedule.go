package main

import (
	"context"
	"time"
)

// slack is how late a schedule may be and still make up for it.
const slack = 250 * time.Millisecond

// A schedule is a row of times at which something is due. They do not depend on
// how long the work takes, so the mean rate is exact: what is late is done at
// once, and the next is due when it would have been anyway. Only what is later
// than slack is skipped, by whole periods, lest a bus that was blocked or a
// machine that slept sets off a flood.
type schedule struct {
	period time.Duration
	due    time.Time
	timer  *time.Timer
}

// newSchedule returns a schedule that begins now.
func newSchedule(period time.Duration) *schedule {
	return &schedule{period: period, due: time.Now()}
}

// wait returns when d has passed since the last time that was due, or the error
// of ctx if that is done first. A d of 0 only looks at ctx.
func (s *schedule) wait(ctx context.Context, d time.Duration) error {
	if d == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	s.due = s.due.Add(d)
	left := time.Until(s.due)
	if left <= 0 {
		if late := -left; late > slack {
			s.due = s.due.Add(late.Truncate(s.period))
		}
		return nil
	}
	if s.timer == nil {
		s.timer = time.NewTimer(left)
	} else {
		s.timer.Reset(left)
	}
	select {
	case <-s.timer.C:
		return nil
	case <-ctx.Done():
		s.timer.Stop()
		return ctx.Err()
	}
}
