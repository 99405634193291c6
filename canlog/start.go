package canlog

import (
	"fmt"
	"math"
	"time"
)

// A start is the time from which the times in a log count: that of its first
// entry, cut to the millisecond.
type start struct {
	ns    int64
	known bool
}

// since returns the time ns of an entry as that since the start. If it is
// before it, since tells so.
func (s *start) since(ns int64) (uint64, string) {
	if !s.known {
		*s = start{ns: ns - ns%1e6, known: true}
	}
	if ns < s.ns {
		return 0, fmt.Sprintf("its times count from that of the first entry, and this one is %d ns before it", s.ns-ns)
	}
	return uint64(ns - s.ns), ""
}

// inRange reports whether t is a time that a Timestamp can hold.
func inRange(t time.Time) bool {
	return !t.Before(time.Unix(0, 0)) && !t.After(time.Unix(0, math.MaxInt64))
}

// place returns what the channel of e and its time are in a log of numbers and of
// times since its start, or why it has none. Then nothing has changed.
func place(channels *numbers, s *start, e *Entry) (channel int, since uint64, reason string) {
	if channel, reason = channels.number(e.Channel); reason != "" {
		return 0, 0, reason
	}
	if since, reason = s.since(e.Message.Timestamp); reason != "" {
		return 0, 0, reason
	}
	channels.hold(channel, e.Channel)
	return channel, since, ""
}
