package multicast

import "sync/atomic"

// Stats count what a [Bus] has sent and received.
type Stats struct {
	Sent     uint64 // messages that the system has taken
	Received uint64 // messages that came for Recv, those included that still wait
	Queued   int    // messages that wait for Recv in this process
	// Unwanted are frames that were read and passed over: own ones, those that
	// no filter wants, and CAN FD without it.
	Unwanted uint64
	// Malformed are datagrams that are not a frame.
	Malformed uint64
	// Dropped are datagrams that the system dropped because this bus was slow
	// and ReadBuffer full; any datagrams to the group, also own ones. Linux tells
	// it, before 4.12 only along with the next datagram that it has room for, so
	// that the latest ones may be missing. Other systems do not tell it: 0.
	Dropped uint64
}

// counters are Stats in the making.
type counters struct {
	sent, received, unwanted, malformed, dropped atomic.Uint64
}

// setDropped takes note of what the system has dropped in all, modulo 2^32. Of
// two counts the one that is told first can be the later one.
func (c *counters) setDropped(n uint32) {
	for {
		known := c.dropped.Load()
		more := int32(n - uint32(known))
		if more <= 0 || c.dropped.CompareAndSwap(known, known+uint64(more)) {
			return
		}
	}
}

// askDropped asks the system for it.
func (b *Bus) askDropped() {
	if n, ok := droppedBy(b.in); ok {
		b.counters.setDropped(n)
	}
}

// Stats returns the counts so far, also after Close. It does not block.
func (b *Bus) Stats() Stats {
	b.askDropped()
	return Stats{
		Sent:      b.counters.sent.Load(),
		Received:  b.counters.received.Load(),
		Queued:    len(b.queue),
		Unwanted:  b.counters.unwanted.Load(),
		Malformed: b.counters.malformed.Load(),
		Dropped:   b.counters.dropped.Load(),
	}
}
