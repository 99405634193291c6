package zeromcan

import (
	"log/slog"
	"sync/atomic"

	"github.com/canhub-go/canhub/internal/bus"
)

// Stats count what a [Bus] has sent and received.
type Stats struct {
	Sent      uint64 // messages that the server is known to have sent
	Received  uint64 // messages that came for Recv, those included that still wait
	Queued    int    // messages that wait for Recv in this process
	Unwanted  uint64 // frames passed over: own ones, and those that no filter wants
	Malformed uint64 // publications that are not a frame
}

type counters struct {
	sent, received, unwanted, malformed atomic.Uint64
}

// Stats returns the counts so far, also after Close. It does not block. What the
// server dropped because this bus was slow it does not tell.
func (b *Bus) Stats() Stats {
	return Stats{
		Sent:      b.counters.sent.Load(),
		Received:  b.counters.received.Load(),
		Queued:    len(b.queue),
		Unwanted:  b.counters.unwanted.Load(),
		Malformed: b.counters.malformed.Load(),
	}
}

// A reporter counts one kind of event and logs it, at most once a second. Any
// goroutine may use it.
type reporter struct {
	count, told atomic.Uint64
	seldom      bus.Seldom
}

func (r *reporter) report(n uint64, log *slog.Logger, what string, attrs ...any) {
	if r.add(n) {
		r.tell(log, what, attrs...)
	}
}

// add counts, and reports whether it may be told now.
func (r *reporter) add(n uint64) bool {
	r.count.Add(n)
	return r.seldom.Now()
}

// tell logs the count, if it has grown.
func (r *reporter) tell(log *slog.Logger, what string, attrs ...any) {
	n := r.count.Load()
	if r.told.Swap(n) == n || log == nil {
		return
	}
	log.Warn(what, append(attrs, "count", n)...)
}
