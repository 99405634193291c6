package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A report is what one bus did in one interval.
type report struct {
	Bus     string  `json:"bus"`
	Start   float64 `json:"start"`   // of the interval, in s since 1970
	Seconds float64 `json:"seconds"` // how long it was
	Frames  int     `json:"frames"`  // with the error frames
	Errors  int     `json:"errors"`  // error frames
	Bits    int     `json:"bits"`
	Load    float64 `json:"load"`              // in percent
	Partial bool    `json:"partial,omitempty"` // the log ended or jumped in it
}

// A meter measures one bus.
type meter struct {
	bus      *namedBus
	rate     hub.Bitrate
	interval time.Duration
	count    uint64 // of intervals; 0 is for ever
	out      chan<- report
	log      *slog.Logger
	unread   unread

	start         time.Time // of the interval
	open          bool      // start is set, and in a log the next two
	first, newest time.Time // since the times of the log have jumped
	reports       uint64
	frames        int // in this interval, as the rest
	errors        int
	nominal, data int // bits
	warned        bool
}

// run measures until it has made its reports, ctx is done or the bus ends. It
// returns why the bus failed, if it did.
func (m *meter) run(ctx context.Context, start time.Time) error {
	var err error
	if isLog(m.bus.url) {
		err = m.runLog(ctx)
	} else {
		m.start, m.open = start, true
		for more := true; more && err == nil; {
			if err = m.runLive(ctx, m.start.Add(m.interval)); err == nil {
				more = m.report(ctx, false)
			}
		}
	}
	if err == nil || ctx.Err() != nil || errors.Is(err, hub.ErrClosed) {
		return nil
	}
	if isLog(m.bus.url) {
		return err // which names the log
	}
	return fmt.Errorf("%s: %w", m.bus.name, err)
}

// runLive counts what comes before the time end. Recv hands out what there is
// even under a done ctx, so with much traffic only the clock tells.
func (m *meter) runLive(ctx context.Context, end time.Time) error {
	window, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for time.Now().Before(end) {
		msg, err := m.bus.Recv(window)
		switch {
		case err == nil:
			m.add(msg)
		case ctx.Err() != nil:
			return ctx.Err()
		case window.Err() != nil && errors.Is(err, context.DeadlineExceeded):
			return nil
		default:
			return err
		}
	}
	return nil
}

// maxSilence is how many intervals without a message a log may have. Times
// farther apart are taken for a jump.
const maxSilence = 3600

// runLog takes the time from the messages. It goes on behind lines that are
// none, and returns an error for them at the end.
func (m *meter) runLog(ctx context.Context) error {
	for {
		msg, err := m.bus.Recv(ctx)
		switch {
		case err == nil:
			if !m.reach(ctx, msg.Time()) {
				return m.unread.failure()
			}
			m.add(msg)
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, hub.ErrClosed):
			if m.open {
				m.report(ctx, true)
			}
			return m.unread.failure()
		case isEntry(err):
			m.unread.add(err)
		default:
			return err
		}
	}
}

// reach goes on to the interval that has the time at.
func (m *meter) reach(ctx context.Context, at time.Time) bool {
	if m.open && m.jumps(at) {
		if !m.report(ctx, true) {
			return false
		}
		m.open = false
	}
	if !m.open {
		m.start, m.first, m.newest, m.open = at, at, at, true
	}
	if at.After(m.newest) {
		m.newest = at
	}
	for at.Sub(m.start) >= m.interval {
		if !m.report(ctx, false) {
			return false
		}
	}
	return true
}

// jumps reports whether the log begins again, or goes on in another time. A
// little back, as where two logs were merged, is no jump.
func (m *meter) jumps(at time.Time) bool {
	return m.newest.Sub(at) > m.interval/10 || // back
		at.Equal(m.first) && m.newest.After(at) || // a short log that is played again
		at.Sub(m.start)/m.interval > maxSilence
}

func (m *meter) add(msg hub.Message) {
	nominal, data := msg.Bits()
	if nominal > 0 {
		nominal += hub.Intermission
	}
	m.frames++
	m.nominal += nominal
	m.data += data
	if msg.Flags&hub.Error != 0 {
		m.errors++
	}
	if data > 0 && m.rate.Data == 0 && !m.warned {
		m.warned = true
		m.log.Warn(m.bus.name + ": frames with bit rate switch, but no bitrate for their data: give both, as in --bitrate 500k,2M")
	}
}

// report hands out the interval and begins the next. It returns false if that was
// the last, or ctx is done.
func (m *meter) report(ctx context.Context, partial bool) bool {
	r := report{
		Bus:     m.bus.name,
		Start:   float64(m.start.UnixNano()) / 1e9,
		Seconds: m.interval.Seconds(),
		Frames:  m.frames,
		Errors:  m.errors,
		Bits:    m.nominal + m.data,
		Load:    100 * float64(m.rate.Time(m.nominal, m.data)) / float64(m.interval),
		Partial: partial,
	}
	m.start = m.start.Add(m.interval)
	m.frames, m.errors, m.nominal, m.data = 0, 0, 0, 0
	m.reports++
	select {
	case m.out <- r:
		return m.count == 0 || m.reports < m.count
	case <-ctx.Done():
		return false
	}
}
