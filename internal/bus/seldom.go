package bus

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// Passes reports whether m passes filters as it would in package hub: any is
// enough, none means all, and an error frame passes in any case.
func Passes(filters []hub.Filter, m *hub.Message) bool {
	return len(filters) == 0 || slices.ContainsFunc(filters, func(f hub.Filter) bool { return f.Match(*m) })
}

// Seldom is for what is to be told at most once a second. Any goroutine may use it.
type Seldom struct {
	last atomic.Int64 // when it was told, in ns since 1970
}

// Now reports whether it may be told now. Then it is taken to be told.
func (s *Seldom) Now() bool {
	last := s.last.Load()
	now := time.Now().UnixNano() // less than last if somebody has set the clock back
	return (last == 0 || now-last >= int64(time.Second) || now < last) && s.last.CompareAndSwap(last, now)
}
