package bridge

import (
	"log/slog"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A reporter logs that messages are dropped for one reason, at most once a
// second: a bus may refuse thousands in that time.
type reporter struct {
	log  *slog.Logger
	what string
	side string
	last time.Time // it logged
	n    uint64    // messages since
}

// report counts m, and logs it if it is time for that.
func (r *reporter) report(m *hub.Message, err error) {
	r.n++
	now := time.Now()
	if !r.last.IsZero() && now.Sub(r.last) < time.Second {
		return
	}
	r.log.Warn(r.what, "side", r.side, "message", *m, "err", err, "count", r.n)
	r.last, r.n = now, 0
}

// end logs how many messages report has kept to itself.
func (r *reporter) end() {
	if r.n > 0 {
		r.log.Warn(r.what, "side", r.side, "count", r.n)
	}
}
