package hub

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrClosed is returned by every call on a closed hub or subscriber.
	ErrClosed = errors.New("hub: closed")
	// ErrStalled ends the Send of a subscriber for whose full queue the channel
	// has been waiting for a second, while nothing was received: receive first, then
	// send. A node that receives slowly, or is stopped by a debugger, and sends in
	// another goroutine gets it too. Let that goroutine send through a subscriber of its
	// own with SendOnly, which never gets it. See Loss in the package comment.
	ErrStalled = errors.New("hub: stalled: the channel waits for room in this subscriber's own queue")
	// ErrListenOnly is returned by every send of a listen-only subscriber.
	ErrListenOnly = errors.New("hub: subscriber is listen-only")
	// ErrInvalid is matched by the errors of [Message.Validate], and so of
	// every send that was given a message that cannot exist on a bus.
	ErrInvalid = errors.New("hub: invalid message")
)

// A DeliveryError tells that a message sent by [Subscriber.SendWait] was not
// queued for every subscriber. The others have it.
type DeliveryError struct {
	Missed []string // names of the subscribers whose full queue refused it
}

func (e *DeliveryError) Error() string {
	return fmt.Sprintf("hub: not delivered to %s: queue full", strings.Join(e.Missed, ", "))
}

// A ParseError tells why a text is not a frame in candump form.
type ParseError struct {
	Text   string // what was parsed, cut if it is long
	Offset int    // of the byte that is wrong, from 0
	Reason string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("hub: frame %q: byte %d: %s", e.Text, e.Offset, e.Reason)
}
