// Package virtualcan speaks the TCP protocol of windelbouwman/virtualcan. Its
// Python, C++ and Rust clients use a server of this package, and a client of
// this package uses its servers:
//
//	err := virtualcan.Serve(ctx, nil, h, nil) // a hub for everybody who connects
//
//	bus, err := virtualcan.Dial(ctx, "localhost:18881", nil)
//	if err != nil {
//		return err
//	}
//	defer bus.Close()
//	err = bus.Send(ctx, hub.Std(0x123, 1, 2, 3))
//
// A client is one more subscriber of the server's channel: it receives what the
// others send, also those in the server's process, and not what it sent itself.
//
// # Frames
//
// The protocol has classic data frames and nothing else. Send refuses remote,
// CAN FD and error frames with an error that matches [errors.ErrUnsupported]. A
// server does not pass them on to its clients, rather than pass on something
// else; it counts them, and logs them at most once a second.
//
// Packets go out with 14 bytes, zeros behind the data. Shorter and longer ones
// are taken too, if the data is in them. A packet that is no frame is passed
// over, counted and logged: it never reaches another client, some of which it
// would crash. A packet of 64 KiB or more, or one of which only a part comes, ends
// the connection.
//
// Some clients put more into a packet than the protocol has, such as gocanopen,
// which sets bit 30 of the identifier for a remote frame. All of the identifier
// and of the flags reaches the other virtualcan clients as it was sent. Everybody
// else receives the message in it: bits 29 to 31 mean what they mean in SocketCAN
// (error, remote, extended), bit 30 only without data, and an identifier of more
// than 11 bits is extended. What else there is remains in [hub.Message].Tag, with
// which a message that was received can be sent on as it came, by Send too.
//
// # Order
//
// Messages come in the order of the server's channel. [hub.Message].Seq is 0 at
// a client, for the protocol has no number.
//
// # Loss
//
// The server waits for nobody who is slow. For a client that does not keep up it
// keeps [Options].Queue messages, beside what the network holds; then the client
// loses messages of its own. The protocol cannot tell it; [ServerStats] and the log
// do. Who reads loses nothing: the channel waits for a client as long as writing to
// it has taken less than 5 ms, and after that not again for 250 ms. One that
// takes nothing at all for [Options].WriteTimeout is dropped. Between the connection
// and Recv nothing is lost: a client whose own queue of 256 messages is full stops
// reading. In the direction of the server nothing is lost either, Send waits.
//
// What a client has sent before it goes, or before its connection breaks, reaches
// the others, if the channel takes it within a second.
//
// There is no handshake: Dial returns when the connection stands, and a moment
// may pass until the server has it on the channel.
//
// # Time
//
// Messages carry no time. A client stamps them when they arrive, a server when
// they go onto the channel.
//
// # Cancellation
//
// Recv hands out what is queued even under a done context; Send looks at the
// context first. Context errors come back bare, and leave the connection whole.
//
// # Shutdown
//
// [Bus.Close] sends what Send has accepted, and waits for the server to have
// read it, two seconds at most. When the server closes the connection, calls
// return [hub.ErrClosed]; the protocol cannot tell whether it had a reason. Any
// other end is the network's error. A client does not connect again by itself.
//
// # Security
//
// The protocol has none. A server listens on loopback unless told otherwise, and
// bounds what a client may make it hold.
//
// The small server of virtualcan's Python package sends a client its own
// messages too; they cannot be told from others.
package virtualcan
