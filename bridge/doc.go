// Package bridge connects two CAN buses: what nodes send on one, nodes on the
// other receive.
//
//	err := bridge.Run(ctx, a, b, nil) // both directions, until ctx is done
//
// # Order and loss
//
// Each direction keeps the order in which its messages were received. While the
// other bus is connected nothing is dropped for want of room: a slow bus makes
// the bridge wait, and with it the bus that it receives from.
//
// Two busy buses can so wait for each other, through the bridge: both its queues
// are full, and both its sends wait for a bus that waits for the bridge to receive
// from it. The bridge sees that, at once between hub channels, and after 10 ms of
// standstill on other buses. Then it receives on, and the shorter of its queues
// takes what that brings: more than [Options].Queue, but never more than 262144
// messages (28 MiB). In practice that is about as much as the busy senders are
// ahead, some thousands. A second later the memory is given back. Where messages
// that old are worth nothing, set [Options].LifeSpan. Bridges that share a [Ring]
// see such a circle through all of them.
//
// A message whose Send ends with [hub.ErrStalled] all the same is sent again, when
// the bridge has received more from that bus. If it cannot, for the queue has grown
// as far as it may, or the bus has nothing for it, and the message stalls again, it
// is dropped, counted as Stalled and logged: that one, or as many as were received
// at one go and wait for the room.
//
// When a side fails, what was received from it before is still sent. When ctx is
// done, what is queued is not.
//
// # Echo
//
// Messages marked [hub.Own] are not forwarded. A bus that delivers to the bridge
// what it sent itself, without that mark, needs [Side].Echo. Then each frame put
// on that side is expected back: within that time, one equal frame received
// from it is dropped for each one sent. This is exact where every frame does
// come back once and in time, whatever the traffic; where one does not, an equal
// frame of somebody else is lost in its place. So it is off by default.
//
// # Rings in one process
//
// Bridges that share a [Ring] know which way each frame took, if each gives its
// sides the names of the buses they are on ([Side].Name). A frame does not enter
// a bus that it has been on, and passes at most [Options].HopLimit bridges. So
// every ring ends. Where several ways lead to a bus, one copy comes on each.
//
// A frame is known by its content, and each bridge takes note of one arrival for
// each frame sent: equal frames, periodic ones say, are told apart by their
// number and none is lost. That needs every bridge on a bus to receive what the
// others send there; a note of a frame that did not arrive is forgotten after
// [RingMemory], or when [RingNotes] later ones are waiting. Until then it can be
// mistaken for an equal frame. So do not give filters to the subscribers under
// bridges of a Ring: give them to the bridges. And where a bus holds a frame up
// for longer than that, the frame counts as new and can go round once more.
//
// A bridge is in the ring while it is connected. What its bus had queued for it
// before, say because Run began long after the bus was opened, counts as new and
// can come back once more.
//
// # Rings of several processes
//
// A CAN frame has no room for a hop count, so bridges in different processes
// cannot know that a frame comes around, but for its content. With
// [Options].SeenFor each bridge forwards a frame once, and no equal one, from
// either bus, for that time. That ends every ring, also one whose bridges forward
// in one direction only. The time must be longer than a frame takes to come
// around, and shorter than the period of messages whose content does not change:
// of those that come faster, some are lost. Two bridges may meet halfway, so
// a copy may come back to the bus where it was sent, once. Without SeenFor such
// a ring does not end. Echo is no help: it does end some, and by chance.
//
// # Reconnection
//
// A side with [Side].Redial may fail. The bridge then dials it again, with
// growing pauses, and messages for it wait meanwhile, at most [Options].Queue:
// then the oldest is dropped. The one whose Send failed is the first to be sent
// again. [Options].LifeSpan keeps the stale ones from being flushed on return.
// Without Redial the failure of a side ends Run.
//
// # Speed
//
// A [*hub.Subscriber] is received from and sent to in batches. Between two of
// them the bridge carries about as much as a loop of Recv and Send, and allocates
// nothing. With both busy it carries in all at least half of what it does one way,
// and allocates what its queues grow by. A message on its own takes longer than in
// a loop, for it passes two goroutines. See the benchmarks.
package bridge
