package zeromcan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// sendTime is how long a client's message may wait for the channel. Then its
// client hears that it was not sent, before it gives up waiting for that.
const sendTime = 3 * time.Second

var errStalled = fmt.Errorf("not sent: the channel has had no room for %v", sendTime)

// answerCalls serves one REQ client until it leaves.
func (s *server) answerCalls(ctx context.Context, c net.Conn) error {
	l, err := open(c, "REP", "REQ", "DEALER")
	if err != nil {
		return err
	}
	l.ttl = true
	var parts [][]byte
	var reply, frames []byte
	for {
		var command bool
		if parts, command, err = l.readMessage(parts, l.write); err != nil {
			return err
		}
		if command {
			continue // none means anything here
		}
		// First stands the way that the reply is to go, up to an empty part: that
		// alone, or before it a number (ZMQ_REQ_CORRELATE) and the names that
		// proxies have given to their clients.
		envelope := 1 + slices.IndexFunc(parts, func(p []byte) bool { return len(p) == 0 })
		switch len(parts) - envelope {
		case len(parts), 0:
			// Not from REQ. As ZeroMQ has it, there is no answer.
			s.senseless.report(1, s.opts.Logger, warnSenseless, "client", c.RemoteAddr(),
				"error", "a call without an empty part before it")
			continue
		case 1:
			reply = s.answer(ctx, reply[:0], c, parts[envelope])
		default:
			reply = s.refuse(reply[:0], c, errors.New("a call of more than one part"))
		}
		frames = frames[:0]
		for _, p := range parts[:envelope] {
			frames = appendZMTP(frames, flagMore, p)
		}
		frames = appendZMTP(frames, 0, reply)
		if err := l.write(frames); err != nil {
			return err
		}
	}
}

// answer does what b, from client c, asks for and appends the reply to dst.
func (s *server) answer(ctx context.Context, dst []byte, c net.Conn, b []byte) []byte {
	var r request
	if err := decodeRequest(&r, b); err != nil {
		return s.refuse(dst, c, err)
	}
	switch r.call {
	case callVersion:
		return appendVersionReply(dst)
	case callNewClient:
		return appendNameReply(dst, s.newName())
	}
	if err := s.send(ctx, string(r.name), r.m); err != nil {
		if ctx.Err() == nil {
			s.unsent.report(1, s.opts.Logger, warnUnsent, "client", c.RemoteAddr(), "error", err)
		}
		return appendErrorReply(dst, err)
	}
	return appendSentReply(dst)
}

// refuse tells the client and the log that a call makes no sense.
func (s *server) refuse(dst []byte, c net.Conn, err error) []byte {
	s.senseless.report(1, s.opts.Logger, warnSenseless, "client", c.RemoteAddr(), "error", err)
	return appendErrorReply(dst, err)
}

// newName returns one that was not given away before, and never is again: a
// client's ZeroMQ connects again by itself and goes on with its name. It may have
// it from an earlier server, so each begins somewhere else.
func (s *server) newName() string {
	return "client" + strconv.FormatUint(s.names.Add(1)-1, 10)
}

// send puts m on the channel, with a Tag that tells publish whose it is.
func (s *server) send(ctx context.Context, name string, m hub.Message) error {
	short, cancel := context.WithTimeoutCause(ctx, sendTime, errStalled)
	defer cancel()
	select {
	case m.Tag = <-s.free:
	case <-short.Done():
		return context.Cause(short)
	}
	s.senders[m.Tag] = name
	if err := s.node.Send(short, m); err != nil {
		s.free <- m.Tag
		if short.Err() != nil {
			return context.Cause(short)
		}
		return err
	}
	return nil
}
