package multicast

// The codec is not exported; its tests are external ones all the same.
var (
	AppendMessage = appendMessage
	Decode        = decode
	Enlarge       = enlarge
)

const (
	MaxDatagram = maxDatagram
	QueueLength = queueLength
)

// DroppedAfter is Stats.Dropped after the system has told that it has dropped so
// many, modulo 2^32, one after the other.
func DroppedAfter(told ...uint32) uint64 {
	var c counters
	for _, n := range told {
		c.setDropped(n)
	}
	return c.dropped.Load()
}
