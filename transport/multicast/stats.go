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
	// and ReadBuffer full. Linux tells it along with the next datagram that it
	// has room for, so the latest ones may be missing. Other systems do not tell
	// it: 0.
	Dropped uint64
}

// counters are Stats in the making.
type counters struct {
	sent, received, unwanted, malformed, dropped atomic.Uint64
}

// Stats returns the counts so far, also after Close. It does not block.
func (b *Bus) Stats() Stats {
	return Stats{
		Sent:      b.counters.sent.Load(),
		Received:  b.counters.received.Load(),
		Queued:    len(b.queue),
		Unwanted:  b.counters.unwanted.Load(),
		Malformed: b.counters.malformed.Load(),
		Dropped:   b.counters.dropped.Load(),
	}
}
