package remote

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// transmit writes what was accepted, as much at once as is there.
func (b *Bus) transmit() {
	defer b.ended.Done()
	var buf, payload []byte
	for {
		o, ok := b.out.Next(b.life)
		if !ok {
			return
		}
		n := uint64(0)
		for buf = buf[:0]; ok; o, ok = b.out.More() {
			switch {
			case o.text != nil:
				buf = b.wire.appendMessage(buf, opText, o.text)
			case b.json:
				payload = appendJSON(payload[:0], &o.m)
				buf = b.wire.appendMessage(buf, opText, payload)
				n++
			default:
				payload = appendBinary(payload[:0], &o.m)
				buf = b.wire.appendMessage(buf, opBinary, payload)
				n++
			}
			if len(buf) >= maxWrite {
				break
			}
		}
		if err := b.wire.send(buf); err != nil {
			b.failed.Store(&err)
			b.wire.Conn.Close()
			return
		}
		b.sent.Add(n)
	}
}

// receive reads until the connection ends, and returns why it has.
func (b *Bus) receive() error {
	defer b.ws.CloseNow()
	var buf []byte
	var warned bus.Seldom
	for {
		kind, p, err := read(b.ws, buf)
		if err != nil {
			return b.cause(err)
		}
		buf = p
		r, ok, err := b.take(kind, p)
		if err != nil {
			b.malformed.Add(1)
			if warned.Now() {
				b.opts.Logger.Warn("remote: a message that is no frame", "server", b.name,
					"error", err, "so far", b.malformed.Load())
			}
			continue
		}
		if !ok {
			continue
		}
		b.received.Add(1)
		select {
		case b.in <- r:
		case <-b.life.Closing(): // and goes on reading, for the answer to the CLOSE
		}
	}
}

// take reads one message. It returns false for what is of no concern, and an
// error for what is no frame.
func (b *Bus) take(kind websocket.MessageType, p []byte) (r result, ok bool, err error) {
	if kind == websocket.MessageBinary {
		if err := decodeBinary(&r.m, p); err == errKind {
			return r, false, nil
		} else if err != nil {
			return r, false, err
		}
		return r, bus.Passes(b.opts.Filters, &r.m), nil
	}
	e, err := parseEvent(p)
	if err != nil {
		return r, false, err
	}
	switch e.name {
	case message:
		if err := decodeJSON(&r.m, e.payload); err != nil {
			return r, false, err
		}
		return r, bus.Passes(b.opts.Filters, &r.m), nil
	case errorEvent:
		r.err = &EventError{Text: plain(e.payload)}
		return r, true, nil
	}
	return r, false, nil
}

// cause returns what the end of a connection means, which err has told.
func (b *Bus) cause(err error) error {
	if w := b.wire.watch; w.found {
		var rest [512]byte
		b.wire.SetReadDeadline(time.Now().Add(haste))
		for !w.whole() {
			if _, err := b.wire.Read(rest[:]); err != nil {
				break
			}
		}
		return w.err()
	}
	var closed websocket.CloseError
	switch {
	case errors.As(err, &closed):
		switch closed.Code {
		case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
			return hub.ErrClosed
		}
		return &CloseError{Code: int(closed.Code), Reason: printable(closed.Reason, maxReason)}
	case b.failed.Load() != nil:
		err = *b.failed.Load()
	case errors.Is(err, io.EOF):
		return fmt.Errorf("remote: connection to %s lost: the other side has gone without a word", b.name)
	}
	return fmt.Errorf("remote: connection to %s lost: %w", b.name, err)
}
