// Package multicast puts a node on a bus of UDP datagrams that is, byte for
// byte, the one of python-can's interface "udp_multicast". So Go programs and
// python-can programs on one network see each other's frames, without a server.
//
//	bus, err := multicast.Open("239.74.163.2", nil)
//	if err != nil {
//		return err
//	}
//	defer bus.Close()
//	if err := bus.Send(ctx, hub.Std(0x123, 1, 2, 3)); err != nil {
//		return err
//	}
//	m, err := bus.Recv(ctx)
//
// One CAN frame is one datagram to a multicast group and port, and a datagram
// is one msgpack map. A group and a port are a bus; IPv4 and IPv6 buses are
// different ones. In Python the node at the other end is
//
//	bus = can.Bus("239.74.163.2", interface="udp_multicast", port=43113, fd=True)
//
// # Order
//
// Messages of one sender come in the order in which it sent them, as long as
// the network keeps it: always on one host, nearly always in one network.
// Receivers of several senders need not agree on the order. [hub.Message].Seq
// is 0, for datagrams carry no number.
//
// # Loss
//
// UDP acknowledges nothing. A message that Send has accepted can be lost on the
// network, and then nobody knows. It can also be lost because a receiver is
// slow: the system keeps what [Options].ReadBuffer has room for and drops the
// rest. That is counted in [Stats].Dropped on Linux. Between the system and
// Recv nothing is lost: when the bus's own queue of 256 messages is full, it
// stops reading.
//
// A datagram that is not a frame is counted, logged and passed over. It has no
// effect on the next one. What is accepted is what python-can accepts, with two
// differences: the frame must be one that [hub.Message.Validate] accepts, so no
// CAN FD frame of 9 bytes and no CAN FD error frame; and identifier and length
// must be whole numbers.
//
// # What is sent
//
// Send refuses what python-can would reject when it reads it, for there a
// single bad datagram can end the thread that receives. An error frame whose
// classes need more than 11 bits goes out as an extended one, the only way that
// python-can takes it, and comes without [hub.Extended]. The datagram's field
// "channel" is sent empty and ignored, as in python-can.
//
// # Time
//
// Timestamp of a received message is when it arrived here: on Linux when the
// kernel received it, in nanoseconds, elsewhere when it was read. The time that
// the sender has put into the datagram is dropped, as in python-can. Send
// transmits the Timestamp that the message carries, rounded to a double of
// seconds.
//
// # Own messages
//
// A bus does not receive what it sent itself unless [Options].OwnMessages asks
// for it; then [hub.Own] is set. A bus sends from a port of its own and knows
// its messages by that, so other buses on the host, in this process or not, are
// other nodes. A python-can bus does hear itself.
//
// # Several groups and interfaces
//
// On Linux, macOS and the BSDs a bus hears its own group only, and on Linux,
// macOS and FreeBSD only on the interface that [Options].Interface names: one
// group on two interfaces is two buses. Other BSDs may deliver what comes on any
// interface on which a program of the host has joined it. Without that option an
// IPv6 bus on Linux also hears its group on other interfaces where some program
// of the host has joined it, and so does one with it before Linux 5.7, if it may
// not bind to a device.
//
// On Windows, as in python-can on any system, a bus also hears datagrams to
// other groups on the same port, if some program of the host has joined them,
// and datagrams sent to the host itself: give each bus a port of its own there.
//
// # Cancellation
//
// Recv hands out what is queued even under a done context; Send looks at the
// context first. Context errors come back bare.
//
// # Shutdown
//
// Close ends all blocked calls with [hub.ErrClosed] and returns when the
// goroutine that receives has ended. What was sent before it has been given to
// the system. What was queued and not received is gone.
//
// # Security
//
// There is none in the protocol: whoever reaches the group can read and send.
// The hop limit of 1 keeps datagrams within the local network.
package multicast
