package zeromcan

import (
	"cmp"
	"context"
	"net"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// What tests need of the codec.
var (
	AppendSend       = appendSend
	AppendFrame      = appendFrame
	AppendEnvelope   = appendEnvelope
	AppendZMTP       = appendZMTP
	DecodeReply      = decodeReply
	DecodeName       = decodeName
	AppendErrorReply = appendErrorReply
)

const (
	MaxFrame  = maxFrame
	MaxTopics = maxTopics
)

// DecodeSend reads a request, and returns its call, its name and its message.
func DecodeSend(b []byte) (call int64, name string, m hub.Message, err error) {
	var r request
	err = decodeRequest(&r, b)
	return r.call, string(r.name), r.m, err
}

// DecodePublication reads a publication.
func DecodePublication(b []byte) (name string, m hub.Message, err error) {
	n, err := decodePublication(&m, b)
	return string(n), m, err
}

// Silence shakes hands on c and reads until that ends, with regard to the TTL of a
// PING, which is answered to nobody. It reports whether that was the end.
func Silence(c net.Conn) (bool, error) {
	l, err := open(c, "REP", "REQ")
	if err != nil {
		return false, err
	}
	l.ttl = true
	for {
		if _, _, err := l.readMessage(nil, func([]byte) error { return nil }); err != nil {
			return err == errSilent, err
		}
	}
}

// ReplyAtTheEnd waits for a reply when all has come at once: that, the end of the
// bus, that of ctx and that of the time for it.
func ReplyAtTheEnd(reply []byte) error {
	b := &Bus{replies: make(chan []byte, 1), life: bus.NewLife()}
	b.replies <- reply
	b.life.End(errUnasked)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	refused, err := b.reply(ctx, time.NewTimer(0))
	return cmp.Or(err, refused)
}

// Shake shakes hands on c.
func Shake(c net.Conn) error { _, err := open(c, "REP", "REQ"); return err }

// ReadAll shakes hands on c and reads until that ends. It returns how long the
// longest frame was that it has memory for.
func ReadAll(c net.Conn) (longest int, err error) {
	l, err := open(c, "REP", "REQ")
	if err != nil {
		return 0, err
	}
	l.ttl = true
	var parts [][]byte
	for {
		if parts, _, err = l.readMessage(parts, l.write); err != nil {
			return cap(l.buf), err
		}
	}
}

// CountFrom sets the number of the first client.
func CountFrom(o *Options, n uint64) { o.first = &n }

// Write writes to c as a link does.
func Write(c net.Conn, b []byte) error { return (&link{Conn: c}).write(b) }

// SendFrom sends m as the server does for a client of that name.
func SendFrom(ctx context.Context, node *hub.Subscriber, name string, m hub.Message) error {
	s := &server{node: node, free: make(chan uint64, 1)}
	s.free <- 0
	return s.send(ctx, name, m)
}
