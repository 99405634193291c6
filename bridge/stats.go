package bridge

import "sync/atomic"

// Stats count what a [Run] does. The zero value is ready.
type Stats struct{ AToB, BToA Counts }

// Counts are those of one direction. Received is the sum of all others and of
// the messages that still wait.
type Counts struct {
	Received  atomic.Uint64 // from the one bus
	Forwarded atomic.Uint64 // taken by the other
	Filtered  atomic.Uint64 // kept back by Off or Filters
	Looped    atomic.Uint64 // marked Own, an echo, or at the end of its ring
	Stale     atomic.Uint64 // older than LifeSpan
	Refused   atomic.Uint64 // invalid when rewritten, or not carried by the other bus
	Overflow  atomic.Uint64 // dropped for newer ones while the other bus was away
	Stalled   atomic.Uint64 // Send ended with hub.ErrStalled
}
