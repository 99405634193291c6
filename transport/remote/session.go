package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/canhub-go/canhub/hub"
)

const (
	// goodbye is how long it may take to say CLOSE and hear the answer.
	goodbye = 2 * time.Second
	// maxWrite is about how many bytes are written at once.
	maxWrite = 32 << 10
	// maxCloseReason is what fits into a CLOSE.
	maxCloseReason = maxControl - 2
)

// A session is one client of a server. The goroutine of its request reads, and
// one that run waits for writes.
type session struct {
	server  *server
	ws      *websocket.Conn
	wire    *wire
	json    bool
	channel string
	log     *slog.Logger

	sub   *hub.Subscriber
	tasks tasks
}

// An ending is why a session is ended from this side.
type ending struct {
	code   websocket.StatusCode
	reason string
}

func (e *ending) Error() string { return e.reason }

// broken is the ending that python-can-remote uses for all that went wrong.
func broken(err error) error {
	return &ending{websocket.StatusInternalError, err.Error()}
}

func (s *session) run(ctx context.Context) {
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(ctx, s.wire.hurry)
	defer stop()
	var wg sync.WaitGroup
	// Until the bus is open, too, the end of the server ends the session.
	opened := make(chan struct{}) // closed below
	wg.Go(func() {
		select {
		case <-opened:
			end(s.write(ctx))
		case <-ctx.Done():
		}
		s.close(context.Cause(ctx))
	})
	err := s.open()
	if err == nil {
		close(opened)
		err = s.read(ctx)
	}
	end(err)
	wg.Wait()
	if s.sub != nil {
		s.sub.Close()
	}
	s.log.Debug("remote: session ended", "channel", s.channel, "cause", context.Cause(ctx))
}

// close ends the connection, with a CLOSE where the other side may hear it.
func (s *session) close(cause error) {
	var e *ending
	switch {
	case errors.As(cause, &e):
	case errors.Is(cause, hub.ErrClosed), errors.Is(cause, context.Canceled):
		e = &ending{websocket.StatusGoingAway, "the server ends"}
	case errors.Is(cause, os.ErrDeadlineExceeded), errors.Is(cause, errSilent):
		s.log.Warn("remote: client dropped", "cause", cause)
		fallthrough
	default:
		s.ws.CloseNow()
		return
	}
	late := time.AfterFunc(goodbye-haste, func() { s.wire.Conn.Close() })
	defer late.Stop()
	s.ws.Close(e.code, printable(e.reason, maxCloseReason))
}

// open reads the bus_request and opens the bus. Pings are fine before.
func (s *session) open() error {
	_, p, err := read(s.ws, nil)
	if err != nil {
		return err
	}
	e, err := parseEvent(p)
	if err != nil {
		return broken(err)
	}
	if e.name != busRequest {
		return broken(errors.New("the first message must be a bus_request"))
	}
	r, err := readRequest(e.payload)
	if err != nil {
		return broken(err)
	}
	if r.channel != "" && s.server.opts.ConfigChannel {
		name, ok := s.server.choose(r.channel)
		if !ok {
			return broken(fmt.Errorf("no such channel: %.40q", r.channel))
		}
		s.channel = name
	}
	s.sub, err = s.server.hub.Open(s.channel, &hub.SubscriberOptions{
		Name:           s.channel + "/" + s.wire.RemoteAddr().String(),
		Queue:          s.server.opts.Queue,
		Policy:         hub.DropNewest,
		Filters:        r.filters,
		OwnMessages:    r.own,
		KeepTimestamps: r.keep,
		ErrorFrames:    true,
	})
	if err != nil {
		return err
	}
	s.tasks = newTasks(s.sub, s.server.opts.MaxTasks)
	s.wire.began()
	s.log.Debug("remote: session", "channel", s.channel)
	return s.say(busResponse, map[string]string{"channel_info": "canhub channel " + s.channel})
}

// say sends an event.
func (s *session) say(name string, payload any) error {
	text, err := appendEvent(nil, name, payload)
	if err != nil {
		return err
	}
	return s.wire.send(s.wire.appendMessage(nil, opText, text))
}

// read does what the client says until it goes.
func (s *session) read(ctx context.Context) error {
	var buf []byte
	for {
		kind, p, err := read(s.ws, buf)
		if err != nil {
			return err
		}
		if err := s.handle(ctx, kind, p); err != nil {
			return err
		}
		buf = p
	}
}

// handle does what one message says. What cannot be done the client is told, in
// an error event. The error is for what ends the session.
func (s *session) handle(ctx context.Context, kind websocket.MessageType, p []byte) error {
	var m hub.Message
	var err error
	if kind == websocket.MessageBinary {
		err = decodeBinary(&m, p)
	} else {
		var e event
		if e, err = parseEvent(p); err == nil {
			switch e.name {
			case message:
				err = decodeJSON(&m, e.payload)
			case periodicStart:
				if err = s.tasks.start(e.payload); err == nil {
					return nil
				}
			case periodicStop:
				s.tasks.stop(e.payload)
				return nil
			case errorEvent:
				var text string
				if json.Unmarshal(e.payload, &text) != nil {
					text = string(e.payload)
				}
				return broken(errors.New(text)) // as Python's server does
			default:
				return nil
			}
		}
	}
	switch {
	case err == nil:
		return s.sub.Send(ctx, m) // waits while the channel is busy, and so does this client alone
	case err == errKind:
		return nil
	case err == errShort, errors.Is(err, errSyntax):
		return broken(err)
	case err == hub.ErrClosed: // a task that comes as the hub ends
		return err
	}
	return s.say(errorEvent, err.Error())
}

// write sends what comes on the channel, as much at once as is there.
func (s *session) write(ctx context.Context) error {
	var buf, payload []byte
	opcode := byte(opBinary)
	if s.json {
		opcode = opText
	}
	for {
		batch, err := s.sub.RecvBatch(ctx)
		if err != nil {
			return err
		}
		for len(batch) > 0 {
			buf = buf[:0]
			for len(batch) > 0 && len(buf) < maxWrite {
				if s.json {
					payload = appendJSON(payload[:0], &batch[0])
				} else {
					payload = appendBinary(payload[:0], &batch[0])
				}
				buf = s.wire.appendMessage(buf, opcode, payload)
				batch = batch[1:]
			}
			if err := s.wire.send(buf); err != nil {
				return err
			}
		}
		if cap(buf) > keepBuffer {
			buf = nil // most clients are idle most of the time
		}
	}
}
