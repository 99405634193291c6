package multicast

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// maxFailures is how many reads in a row may fail until run gives up. Networks
// that go down and come back fail a read or two.
const maxFailures = 16

// A receipt is one datagram as it came.
type receipt struct {
	data    []byte
	from    netip.AddrPort
	ns      int64  // when it came, since 1970
	dropped uint32 // how many the system has dropped before it, modulo 2^32
}

// run receives until Close closes the socket, or returns why it cannot. It is the
// only goroutine of a bus.
func (b *Bus) run(r *reader) error {
	var dropped uint32 // what the system has told so far
	var malformed, lost reporter
	failures := 0
	take := func(receipts []receipt) (more bool) {
		failures = 0
		for i := range receipts {
			p := &receipts[i]
			if p.dropped != dropped {
				dropped = p.dropped
				b.counters.setDropped(dropped)
				lost.report(b, "multicast: messages dropped, this bus is too slow",
					slog.Uint64("dropped", b.counters.dropped.Load()))
			}
			m, ok, err := b.accept(p)
			if err != nil {
				b.counters.malformed.Add(1)
				malformed.report(b, "multicast: datagram is not a frame",
					slog.String("from", p.from.String()), slog.String("error", err.Error()),
					slog.Int("bytes", len(p.data)), slog.Uint64("malformed", b.counters.malformed.Load()))
				continue
			}
			if !ok {
				b.counters.unwanted.Add(1)
				continue
			}
			b.counters.received.Add(1) // first: who has received it finds it counted
			select {
			case b.queue <- m: // by itself this takes a third of the time
			default:
				select {
				case b.queue <- m:
				case <-b.life.Closing():
					return false
				}
			}
		}
		return true
	}
	for {
		err := r.each(take)
		if err == nil || errors.Is(err, net.ErrClosed) {
			return nil // take says no only when the bus is closed
		}
		if failures++; failures == maxFailures {
			return closedOr(err, "receive from "+b.group.String())
		}
	}
}

// accept returns the message of p, and whether it is wanted.
func (b *Bus) accept(p *receipt) (m hub.Message, wants bool, err error) {
	own := plain(p.from) == b.own
	if own && !b.opts.OwnMessages {
		return m, false, nil
	}
	if err := decode(&m, p.data); err != nil {
		return m, false, err
	}
	if m.Flags&hub.FDF != 0 && b.opts.NoFD {
		return m, false, nil
	}
	if m.Flags&hub.Error != 0 && m.ID > maxStandardID {
		m.Flags &^= hub.Extended // python-can's way to say that, see appendMessage
	}
	if err := m.Validate(); err != nil {
		return m, false, err
	}
	m.Timestamp = p.ns
	if own {
		m.Flags |= hub.Own
	}
	return m, bus.Passes(b.opts.Filters, &m), nil
}

// A reporter logs one kind of event, at most once a second.
type reporter struct{ bus.Seldom }

func (r *reporter) report(b *Bus, what string, attrs ...any) {
	if b.opts.Logger == nil || !r.Now() {
		return
	}
	b.opts.Logger.Warn(what, append(attrs, slog.String("group", b.group.String()))...)
}
