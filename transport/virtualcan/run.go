package virtualcan

import (
	"fmt"
	"io"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// transmit writes what was accepted, as much at once as is there.
func (b *Bus) transmit() {
	defer close(b.sent)
	var buf []byte
	for {
		m, ok := b.out.Next(b.life)
		if !ok {
			return
		}
		n := uint64(0)
		for buf = buf[:0]; ok; m, ok = b.out.More() {
			buf = appendPacket(buf, &m)
			if n++; len(buf) >= maxWrite {
				break
			}
		}
		if err := b.wire.send(buf); err != nil {
			b.failed.Store(&err)
			b.wire.hurry(time.Second) // what the server has said before is still read
			return
		}
		b.transmitted.Add(n)
	}
}

// receive reads until the connection ends, and returns why it has.
func (b *Bus) receive() error {
	defer b.wire.Close()
	var warned bus.Seldom
	for {
		if err := b.wire.fill(); err != nil {
			return b.cause(err)
		}
		now := time.Now().UnixNano()
		for {
			var m hub.Message
			ok, err := b.wire.next(&m)
			if _, bad := err.(*frameError); bad {
				n := b.malformed.Add(1)
				if warned.Now() {
					b.opts.Logger.Warn("virtualcan: a packet that is no frame", "server", b.name, "error", err, "so far", n)
				}
				continue
			}
			if err != nil {
				return b.cause(err)
			}
			if !ok {
				break
			}
			if !bus.Passes(b.opts.Filters, &m) {
				continue
			}
			m.Timestamp = now
			b.received.Add(1)
			select {
			case b.in <- m:
			case <-b.life.Closing(): // and goes on reading, so that the server can go on, too
				b.received.Add(^uint64(0))
			}
		}
	}
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
