package virtualcan

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// transmit writes what was accepted, as much at once as is there.
func (b *Bus) transmit() {
	defer close(b.ended)
	var buf []byte
	for {
		var m hub.Message
		select {
		case m = <-b.out:
		case <-b.done:
			return
		case <-b.last:
			select {
			case m = <-b.out:
			default:
				return
			}
		}
		n := uint64(1)
		for buf = appendPacket(buf[:0], &m); len(b.out) > 0 && len(buf) < maxWrite; n++ {
			m = <-b.out
			buf = appendPacket(buf, &m)
		}
		if err := b.wire.send(buf); err != nil {
			b.failed.Store(&err)
			b.wire.hurry(time.Second) // what the server has said before is still read
			return
		}
		b.sent.Add(n)
	}
}

// receive reads until the connection ends.
func (b *Bus) receive() {
	defer close(b.done)
	defer b.wire.Close()
	var warned rarely
	for {
		if err := b.wire.fill(); err != nil {
			b.err = b.cause(err)
			return
		}
		now := time.Now().UnixNano()
		for {
			var m hub.Message
			ok, err := b.wire.next(&m)
			if _, bad := err.(*frameError); bad {
				n := b.malformed.Add(1)
				if warned.now() {
					b.opts.Logger.Warn("virtualcan: a packet that is no frame", "server", b.name, "error", err, "so far", n)
				}
				continue
			}
			if err != nil {
				b.err = b.cause(err)
				return
			}
			if !ok {
				break
			}
			if !b.wants(&m) {
				continue
			}
			m.Timestamp = now
			b.received.Add(1)
			select {
			case b.in <- m:
			case <-b.quit: // and goes on reading, so that the server can go on, too
			}
		}
	}
}

func (b *Bus) wants(m *hub.Message) bool {
	return len(b.opts.Filters) == 0 || slices.ContainsFunc(b.opts.Filters, func(f hub.Filter) bool { return f.Match(*m) })
}

// cause returns what the end of a connection means, which err has told.
func (b *Bus) cause(err error) error {
	if err == io.EOF {
		return hub.ErrClosed
	}
	if failed := b.failed.Load(); failed != nil {
		err = *failed
	}
	return fmt.Errorf("virtualcan: connection to %s lost: %w", b.name, err)
}
