package bridge

import "sync/atomic"

// Stats count what a [Run] does. The zero value is ready.
type Stats struct{ AToB, BToA Counts }

// Counts are those of one direction. Received is the sum of all others and of
// the messages that still wait; see [Counts.Snapshot].
type Counts struct {
	Received  atomic.Uint64 // from the one bus
	Forwarded atomic.Uint64 // taken by the other
	Filtered  atomic.Uint64 // kept back by Off or Filters
	Looped    atomic.Uint64 // marked Own, an echo, or at the end of its ring
	Stale     atomic.Uint64 // older than LifeSpan
	Refused   atomic.Uint64 // invalid when rewritten, or not carried by the other bus
	Overflow  atomic.Uint64 // dropped for newer ones while the other bus was away
	Stalled   atomic.Uint64 // dropped when the two buses waited for each other and no queue could grow
}

// A Snapshot is what [Counts] were at one time. Received is the sum of all
// others.
type Snapshot struct {
	Received  uint64 `json:"received"`
	Forwarded uint64 `json:"forwarded"`
	Filtered  uint64 `json:"filtered"`
	Looped    uint64 `json:"looped"`
	Stale     uint64 `json:"stale"`
	Refused   uint64 `json:"refused"`
	Overflow  uint64 `json:"overflow"`
	Stalled   uint64 `json:"stalled"`
	// Waiting are in the queue or being sent. After Run has returned they are
	// the ones that it did not send.
	Waiting uint64 `json:"waiting"`
}

// Snapshot reads the counts while they are counted up.
func (c *Counts) Snapshot() Snapshot {
	s := Snapshot{
		Forwarded: c.Forwarded.Load(),
		Filtered:  c.Filtered.Load(),
		Looped:    c.Looped.Load(),
		Stale:     c.Stale.Load(),
		Refused:   c.Refused.Load(),
		Overflow:  c.Overflow.Load(),
		Stalled:   c.Stalled.Load(),
	}
	s.Received = c.Received.Load() // last, for it is counted first: so it is the greatest
	s.Waiting = s.Received - s.Forwarded - s.Filtered - s.Looped - s.Stale - s.Refused - s.Overflow - s.Stalled
	return s
}
