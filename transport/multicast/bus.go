package multicast

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// A Bus is a node on a multicast bus. It is a [hub.Bus]: any number of
// goroutines may send, one at a time receives.
type Bus struct {
	opts  Options
	group netip.AddrPort

	in  *net.UDPConn   // joined to the group; only run reads it
	out *net.UDPConn   // connected to the group; who has the pen writes it
	own netip.AddrPort // of out: datagrams that come from it are this bus's own

	pen   chan *pen        // the one there is; never closed
	queue chan hub.Message // received and wanted; run sends, never closed
	life  *bus.Life        // ended by run

	counters counters
}

// queueLength is how many messages wait in the process. What comes beyond waits
// in the system's buffer.
const queueLength = 256

// Open joins a bus. The group is an IPv4 or IPv6 multicast address, not a name;
// an IPv6 address may have a zone ("ff02::1%eth0"), which is another way to name
// the interface. The empty string is [DefaultGroup]. Open does not block. It
// returns an error that names the value for what is not possible, such as an
// interface that does not exist, and the system's error where it refuses, such
// as for want of a route to the group.
func Open(group string, o *Options) (*Bus, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	addr, ifi, err := opts.resolve(group)
	if err != nil {
		return nil, err
	}
	b := &Bus{
		opts:  opts,
		group: netip.AddrPortFrom(addr, uint16(opts.Port)),
		pen:   make(chan *pen, 1),
		queue: make(chan hub.Message, queueLength),
		life:  bus.NewLife(),
	}
	if b.in, err = listen(b.group, ifi, opts.ReadBuffer); err != nil {
		return nil, closedOr(err, "receive from "+b.group.String())
	}
	if b.out, err = dial(b.group, ifi, opts.HopLimit); err != nil {
		b.in.Close()
		return nil, closedOr(err, "send to "+b.group.String())
	}
	b.own = plain(b.out.LocalAddr().(*net.UDPAddr).AddrPort())
	r, err := newReader(b.in)
	var p *pen
	if err == nil {
		p, err = newPen(b.out)
	}
	if err != nil {
		b.in.Close()
		b.out.Close()
		return nil, closedOr(err, "join "+b.group.String())
	}
	b.pen <- p
	go func() { b.life.End(b.run(r)) }() // Close waits for it
	return b, nil
}

// plain returns a without what differs between two ways to get the address of
// one socket.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// Send transmits m. It returns when the system has taken the datagram, which
// says nothing about who receives it. It waits while the system's send buffer is
// full or another goroutine sends.
//
// It returns the ctx's error if ctx is done, also at the call; then nothing was
// sent. It returns an error that matches [hub.ErrInvalid] for a message that
// cannot exist or that this bus does not carry, [hub.ErrClosed] after Close, and
// the system's error otherwise. After an error the next Send may succeed.
func (b *Bus) Send(ctx context.Context, m hub.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-b.life.Closing():
		return hub.ErrClosed
	default:
	}
	if b.opts.NoFD && m.Flags&hub.FDF != 0 {
		return refusedFD(&m)
	}
	var p *pen
	select {
	case p = <-b.pen: // by itself this takes a third of the time
	default:
		select {
		case p = <-b.pen:
		case <-ctx.Done():
			return ctx.Err()
		case <-b.life.Closing():
			return hub.ErrClosed
		}
	}
	err := b.write(ctx, p, &m)
	b.pen <- p
	if err == nil {
		b.counters.sent.Add(1)
	}
	return err
}

// write sends m, and waits until ctx is done.
func (b *Bus) write(ctx context.Context, p *pen, m *hub.Message) (err error) {
	if p.datagram, err = appendMessage(p.datagram[:0], m); err != nil {
		return err
	}
	if sent, err := p.try(); sent || err != nil {
		return b.sendError(err)
	}
	if ctx.Done() == nil {
		_, err := b.out.Write(p.datagram)
		return b.sendError(err)
	}
	past := make(chan struct{}) // closed by the function below
	stop := context.AfterFunc(ctx, func() {
		b.out.SetWriteDeadline(time.Unix(1, 0))
		close(past)
	})
	_, err = b.out.Write(p.datagram)
	if !stop() {
		<-past
		b.out.SetWriteDeadline(time.Time{})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return ctx.Err()
		}
	}
	return b.sendError(err)
}

func (b *Bus) sendError(err error) error {
	if err == nil {
		return nil
	}
	return closedOr(err, "send to "+b.group.String())
}

// Recv returns the next message. It waits while there is none, until ctx is
// done. What is queued it returns even then: with a done ctx it is a poll.
//
// It returns the ctx's error, or [hub.ErrClosed] after Close. If the system
// refuses to receive for good it returns what was queued and then, each time,
// the system's error.
func (b *Bus) Recv(ctx context.Context) (hub.Message, error) {
	return bus.Recv(ctx, b.life, b.queue)
}

// Close leaves the bus. It ends every blocked call with [hub.ErrClosed] and
// returns when nothing of the bus is left. It may be called more than once and
// by several goroutines, and returns nil.
func (b *Bus) Close() error {
	b.life.Close(func() {
		b.askDropped() // for Stats after Close
		b.in.Close()
		b.out.Close()
	})
	return nil
}
