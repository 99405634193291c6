// Package zeromcan speaks the ZeroMQ form of virtualcan: a server with a call
// socket and a publication socket, and clients that send by calls and receive
// what is published. Both sides are here, and either works with virtualcan's own
// Python programs at the other end (its history has them until 2025) and with
// whatever else speaks ZeroMQ.
//
//	bus, err := zeromcan.Dial(ctx, "127.0.0.1:5555", nil)
//	if err != nil {
//		return err
//	}
//	defer bus.Close()
//	if err := bus.Send(ctx, hub.Std(0x123, 1, 2, 3)); err != nil {
//		return err
//	}
//	m, err := bus.Recv(ctx)
//
// And the server, which makes a channel of a hub that bus:
//
//	err := zeromcan.Serve(ctx, nil, nil, h, &zeromcan.Options{Channel: "can0"})
//
// # Order
//
// All clients see the messages in one order, that of the hub's channel. A client
// has one call under way at a time, so what it sends keeps its order.
// [hub.Message].Seq is 0 at a client, for frames carry no number.
//
// # Loss
//
// A message that Send has accepted is on the server's channel. From there to a
// client that is too slow it can be lost: the server keeps [Options].Queue frames
// for each and drops what comes beyond, for this client alone. It counts and logs
// that; the protocol has no way to tell the client. Between the connection and
// Recv nothing is lost: when the bus's own queue of 256 messages is full, it
// stops reading.
//
// A connection that breaks ends the Bus. It does not connect again by itself, for
// what is published meanwhile would be missing without a word: Dial again.
//
// # What is carried
//
// Classic data frames, standard and extended. The protocol has no remote, error
// or CAN FD frames: Send refuses them with an error that matches
// [errors.ErrUnsupported], and a server counts and logs those of its channel and
// does not publish them. Timestamp of a received message is when it arrived here.
//
// # Names
//
// The server gives each client a name, and publishes each message with the name
// of its sender, by which a client passes over its own. A name is never given
// away twice: one server counts, from a random number, for ZeroMQ's clients connect
// to the next server by themselves and go on with the name that they have. Any
// text of 1 to 64 bytes works as a name. What others than clients send is published
// as "canhub".
//
// # Wrong input
//
// A call that makes no sense is answered with status 1 and the reason, where the
// original server ends. Frames that are not valid are refused in this way too,
// such as a standard one with an identifier of more than 11 bits or with more
// than 8 bytes: the original publishes them as they are, and some end the clients
// that read them. Who does not speak ZeroMQ, or does not say so within 5 seconds,
// or sends a frame of more than 2 KiB, is disconnected.
//
// # Waiting
//
// No client makes another or the channel wait. A call to send waits for room on
// the channel for 3 seconds, and then is answered that nothing was sent. A client
// that does not take what is written to it, up to 32 KiB at once, within 10
// seconds is disconnected.
//
// # Shutdown
//
// Close ends all blocked calls of a Bus with [hub.ErrClosed] and returns when
// nothing of it is left. What was sent before it is on the channel; what was
// queued and not received is gone. Serve ends with its context, and drops what it
// has not yet written.
//
// # ZeroMQ
//
// ZMTP 3.0 and 3.1 over TCP with the mechanism NULL are built in. A server's
// clients may be behind proxies, and be REQ or DEALER, SUB or XSUB. Who tells with
// its PING how long it may be silent is disconnected when it is. A library was
// tried first: go-zeromq/zmq4 v0.17.0 panics on a cut handshake and on a frame
// that claims 2^63-1 bytes, lets a silent stranger keep all others out, and
// leaves a goroutine behind its Close.
//
// # Security
//
// There is none in the protocol: whoever reaches a server can read, send and use
// another's name. [Listen] does so on the local host unless told otherwise.
package zeromcan
