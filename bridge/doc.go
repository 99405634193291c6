// Package bridge connects two CAN buses: what nodes send on one, nodes on the
// other receive.
//
//	err := bridge.Run(ctx, a, b, nil) // both directions, until ctx is done
//
// # Order and loss
//
// Each direction keeps the order in which its messages were received. While the
// other bus is connected nothing is dropped for want of room: a slow bus makes
// the bridge wait, and with it the bus that it receives from. Two full hub
// channels that so wait for each other would hang; there Send ends with
// [hub.ErrStalled], and that one message is dropped, counted and logged.
// Messages still queued when Run returns are not sent.
//
// # Echo
//
// Messages marked [hub.Own] are not forwarded. A bus that delivers to the bridge
// what it sent itself, without that mark, needs [Side].Echo. Then each frame put
// on that side is expected back: within that time, one equal frame received
// from it is dropped for each one sent. This is exact where every frame does
// come back once and in time, whatever the traffic; where one does not, an equal
// frame of somebody else is lost in its place. So it is off by default.
// Bridges in different processes that form a ring need Echo too: the copy that
// comes around the other way is then refused. A ring of bridges that each
// forward in one direction only cannot be ended so, for a CAN frame has no room
// for a hop count.
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
// mistaken for an equal frame. What was queued at a bus before its Run began
// counts as new, and can come back once more. So do not give filters to the
// subscribers under bridges of a Ring: give them to the bridges.
//
// # Reconnection
//
// A side with [Side].Redial may fail. The bridge then dials it again, with
// growing pauses, and messages for it wait meanwhile, at most [Options].Queue:
// then the oldest is dropped. [Options].LifeSpan keeps the stale ones from being
// flushed on return. Without Redial the failure of a side ends Run.
package bridge
