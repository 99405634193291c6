package hub

import "context"

// A Bus is one node's place on a CAN channel, wherever the other nodes are: in
// this process ([*Subscriber]), behind a network or in a car. Code written
// against it does not know which.
//
// Any number of goroutines may send; one at a time receives.
type Bus interface {
	// Send puts m on the bus. See [Subscriber.Send].
	Send(ctx context.Context, m Message) error
	// Recv returns the next message for this node. See [Subscriber.Recv].
	Recv(ctx context.Context) (Message, error)
	// Close leaves the bus and ends every blocked call with [ErrClosed]. It may
	// be called more than once.
	Close() error
}
