package bridge

import (
	"log/slog"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// A reporter logs that messages are dropped for one reason, at most once a
// second: a bus may refuse thousands in that time.
type reporter struct {
	log  *slog.Logger
	what string
	side string
	told bus.Seldom
	n    uint64 // messages since it was told
}

// report counts n messages, of which m is the first, and logs it if it is time
// for that.
func (r *reporter) report(m *hub.Message, n int, err error) {
	r.n += uint64(n)
	if !r.told.Now() {
		return
	}
	r.log.Warn(r.what, "side", r.side, "message", *m, "err", err, "count", r.n)
	r.n = 0
}

// end logs how many messages report has kept to itself.
func (r *reporter) end() {
	if r.n > 0 {
		r.log.Warn(r.what, "side", r.side, "count", r.n)
	}
}
