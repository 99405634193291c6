// Package hub is a virtual CAN bus inside one process. A [Hub] holds named
// channels; whoever opens a channel sends to all others on it and receives what
// they send. It is built on Go chans and the standard library alone, and needs
// no kernel module, no root and no hardware.
//
//	h := hub.New(nil)
//	defer h.Close()
//
//	ecu, _ := h.Open("can0", nil)    // two nodes on one channel
//	tester, _ := h.Open("can0", nil) //
//
//	ecu.Send(ctx, hub.Std(0x123, 0xCA, 0xFE))
//	m, err := tester.Recv(ctx)       // 123#CAFE
//
// Start with [New] and [Hub.Open]; then [Subscriber.Send], and to receive
// [Subscriber.Recv] in a loop or [Subscriber.C] in a select statement. Programs
// that move many messages use [Subscriber.SendBatch] and
// [Subscriber.RecvBatch]. Code that should not know where the bus is takes a
// [Bus]. Package hubtest helps to test such code.
//
// # Ordering
//
// All subscribers of a channel see its messages in one and the same order: the
// order in which the sends put them into the channel's inbox. A message's Seq is
// its number in that order, so who sees 41 and 43 and has no filter knows that
// one is missing. Put differently: one goroutine owns the channel, and every
// message passes it.
//
// When Send returns nil, the message has its place. A subscriber does not
// receive its own messages unless it asks for them.
//
// # Loss
//
// Nothing is lost silently. Each subscriber has a bounded queue, and chooses
// what happens when it is full. [Block], the default, makes the channel wait:
// nothing is lost, and a slow subscriber slows everybody down. [DropOldest] and
// [DropNewest] lose messages of this one subscriber and nobody else's; they are
// counted in [Stats], and a receive-overflow error frame stands in the stream
// where they were, if the subscriber asks for error frames. Bounds are exact in
// messages.
//
// A loop that receives and sends on one channel can block itself: the channel
// waits for the loop to receive while the loop waits to send. After a second
// its Send then fails with [ErrStalled].
//
// # Cancellation
//
// Every call that may block for long takes a ctx. Send looks at it first. Recv
// returns what is queued even if it is done, so with a canceled ctx Recv is a
// poll. The errors of the ctx are returned as they are.
//
// # Shutdown
//
// [Subscriber.Close] and [Hub.Close] may be called at any time, from any
// goroutine, also while the channel is blocked. They end every blocked call with
// [ErrClosed] and return when their goroutines have ended. What a channel had
// accepted by then is still delivered, and after Hub.Close still received.
//
// # Testing
//
// The package has no state outside a Hub, starts no goroutine before a channel
// is opened, and blocks only in ways that [testing/synctest] sees through. In a
// bubble time is fake: an hour of periodic traffic takes seconds, and every
// message is on time to the nanosecond. Close the hub before the bubble ends.
//
// # Messages
//
// A [Message] is a plain value without pointers: copies are independent, ==
// compares all of it and [Message.Equal] the frame in it. Send refuses what
// cannot exist on a bus, see [Message.Validate].
package hub
