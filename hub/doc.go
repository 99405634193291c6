// Package hub is a virtual CAN bus inside one process. A [Hub] holds named
// channels; whoever opens a channel sends to all others on it and receives what
// they send.
//
//	h := hub.New(nil)
//	defer h.Close()
//	ecu, _ := h.Open("can0", nil) // two nodes on one channel
//	tester, _ := h.Open("can0", nil)
//	ecu.Send(ctx, hub.Std(0x123, 0xCA, 0xFE))
//	m, err := tester.Recv(ctx)       // 123#CAFE
//
// Start with [New] and [Hub.Open]; then [Subscriber.Send], and to receive
// [Subscriber.Recv] in a loop or [Subscriber.C] in a select statement. Much
// traffic goes fastest with [Subscriber.SendBatch], and [Subscriber.RecvBatch] or,
// in a select statement, [Subscriber.Batches].
// Code that should not know where the bus is takes a [Bus].
//
// # Ordering
//
// All subscribers of a channel see its messages in one order: that in which the
// channel has accepted them. Seq is a message's number in it. Put
// differently: one goroutine owns the channel, and every message passes it.
//
// # Loss
//
// Each subscriber has a queue, bounded in messages, and chooses what happens
// when it is full. [Block], the default, loses nothing: the channel waits, so a
// slow subscriber slows everybody down, and one that never receives stops the
// bus. Receive, Close, or say SendOnly. [DropOldest] and [DropNewest] lose
// messages of this one subscriber; [Stats] counts them, and an error frame tells
// where they were, if asked for.
//
// A loop that receives and sends can make the channel wait for itself: its own
// queue is full, and it waits to send. If this lasts for a second, its Send returns
// [ErrStalled]. Let such a loop never wait to send: give what is to be sent to another
// goroutine, which sends through a second subscriber with SendOnly, and go on
// receiving while that is busy. The example selectloop does so.
//
// A node that receives in one goroutine, only slowly, and sends in another looks the
// same to the channel, and so does one that a debugger has stopped. It too should send
// through a second, SendOnly subscriber, which never gets the error. SendOnly does not
// help a loop that waits for that Send itself: then nothing ends the wait. A gateway
// between two channels that waits on both sides can stop in the same way. Use package
// bridge, or a policy that drops; see the example Gateway.
//
// # Batches
//
// The slices of [Subscriber.RecvBatch] and [Subscriber.Batches] are shared by all
// subscribers: read only. A slice stays as it is until the next receive call, or until
// the next slice is received; then its memory is used again. Copy what you keep.
//
// # Cancellation
//
// Every call that may block for long takes a ctx. Send looks at it first. Recv
// returns what is queued even if it is done: with a canceled ctx it is a poll.
// The errors of the ctx are returned as they are.
//
// # Shutdown
//
// [Subscriber.Close] and [Hub.Close] work at any time, from any goroutine, also
// while the channel is blocked. They end every blocked call with [ErrClosed],
// and return when their goroutines have ended. What a channel had accepted by
// then is still delivered, and after Hub.Close still received.
//
// # Testing
//
// The package has no state outside a Hub and blocks only in ways that
// [testing/synctest] sees through. In a bubble an hour of periodic traffic takes
// a second, and every message is on time to the nanosecond. Close the hub before
// the bubble ends. Package hubtest has helpers.
package hub
