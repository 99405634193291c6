package virtualcan

import (
	"sync/atomic"
)

// ServerStats count what a [Server] has done.
type ServerStats struct {
	Clients  int    // there now
	Rejected uint64 // clients that were too many

	Received  uint64 // messages of clients, put onto the channel
	Malformed uint64 // packets of clients that are no frames, passed over

	// These count a message for each client that was to have it.
	Sent    uint64 // given to the system
	Dropped uint64 // lost, because the client did not keep up
	Refused uint64 // not passed on: remote, CAN FD and error frames
}

// counters are those that the sessions of a server add to.
type counters struct {
	rejected, received, malformed, sent, refused atomic.Uint64
}
