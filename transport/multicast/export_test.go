package multicast

// The codec is not exported; its tests are external ones all the same.
var (
	AppendMessage = appendMessage
	Decode        = decode
	Wanted        = wanted
)

const (
	MaxDatagram = maxDatagram
	QueueLength = queueLength
)
