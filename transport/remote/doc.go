// Package remote takes a CAN channel across a network by WebSocket, with the
// protocol of python-can-remote. Its clients use a server of this package, and
// a client of this package uses its servers:
//
//	mux.Handle("/", remote.Handler(h, nil)) // a hub for everybody who connects
//
//	bus, err := remote.Dial(ctx, "ws://localhost:54701/", nil)
//	if err != nil {
//		return err
//	}
//	defer bus.Close()
//	err = bus.Send(ctx, hub.Std(0x123, 1, 2, 3))
//
// In Python the client is
//
//	bus = can.Bus("ws://localhost:54701/", interface="remote")
//
// A client is one more subscriber of the channel: it receives what the others
// send, also those in the server's process. Frames travel in a binary form of
// 15 bytes and the data, or as JSON; both sides read both, whatever was agreed.
//
// # Order
//
// Messages come in the order of the server's channel. [hub.Message].Seq is 0
// at a client, for the protocol has no number.
//
// # Loss
//
// The server never waits for a client. For one that does not keep up it keeps
// [Options].Queue messages, beside what the network holds; then the client loses
// messages of its own, and receives the error frame of a receive overflow
// (20000004#0001000000000000) where they were. One that takes nothing, or next to
// nothing, for [Options].WriteTimeout is dropped.
//
// Between the connection and Recv nothing is lost: a client whose own queue of
// 256 messages is full stops reading. So a program that only sends has to call
// Recv too, or set the filter that nothing matches, hub.Filter{Invert: true}. In
// the direction of the server nothing is lost either, Send waits.
//
// A frame that cannot exist on a bus, such as a classic one of 20 bytes, never
// reaches the channel: the server answers with an error event and goes on. A
// client passes such a frame over, counts it and logs it. An error event makes
// one Recv fail, with an [*EventError]; the next one goes on.
//
// # Time
//
// A received message has the Timestamp that the server sent, as seconds in a
// double: in our days it is up to 240 ns off. The server stamps the messages of
// a client itself, unless the client keeps its own with KeepTimestamps.
//
// # Own messages
//
// A client receives its own messages if it asks for them. A server of this
// package marks them, in ways that python-can-remote ignores (bit 0x40 of the
// flags, is_rx in JSON), and so they have [hub.Own]. Those from a python-can-remote
// server cannot be told from others.
//
// # Periodic messages
//
// [Bus.SendPeriodic] has the server send a message again and again. The protocol
// names such a task by the bare identifier, so a client has one task at a time
// for a number, standard or extended.
//
// # Cancellation
//
// Recv hands out what is queued even under a done context; Send looks at the
// context first. Context errors come back bare, and leave the connection whole.
//
// # Shutdown
//
// [Bus.Close] sends what Send has accepted, says goodbye and waits for the
// answer, two seconds at most. A client whose server has said goodbye with
// status 1000 or 1001 gets [hub.ErrClosed]; any other end is a [*CloseError],
// or the network's error. A client does not connect again by itself.
//
// The sessions of a [Handler] end when the hub is closed, or the context of
// their requests (BaseContext of [http.Server]); [Serve] waits for them.
//
// # Security
//
// The protocol has none. A server listens on loopback unless told otherwise, can
// ask for a token, admits no web page of another origin, and bounds what a
// client may make it hold: [Options].MaxMessage of what it is sending, and of what
// it does not take [Options].Queue messages, which clients share. With the
// defaults one that does nothing costs some 40 KiB, one that takes nothing from a
// busy channel some 150 KiB, and one that never ends its message some 180 KiB.
//
// The token of a ws: URL can be read on its way: use TLS. python-can-remote cannot
// send a token; put a proxy or a tunnel in front.
package remote
