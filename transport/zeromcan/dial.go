package zeromcan

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

const (
	// dialTime is how long a connection may take where ctx allows more.
	dialTime = 10 * time.Second
	// confirmTime is how long to wait for a server that does not confirm a
	// subscription, and settleTime for one that has. libzmq confirms it before it
	// looks at it: while it publishes all the time, that is once in 3,000,000
	// ticks of the processor, 1 to 3 ms.
	confirmTime = time.Second
	settleTime  = 10 * time.Millisecond
)

// Dial becomes a client of the server whose calls are at address, HOST:PORT,
// where the port may be missing for [DefaultPort]; the empty string is
// [DefaultAddress]. It waits until ctx is done at most, and some seconds for each
// step if ctx allows more; ctx has no meaning later.
//
// From its return on the bus receives what others send, if the server is one of
// ZeroMQ 4.2 or later or [Serve], without a proxy before it: those confirm a
// subscription. Others get a second for it.
func Dial(ctx context.Context, address string, o *DialOptions) (*Bus, error) {
	address, opts, err := o.withDefaults(address)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := &Bus{
		opts:       opts,
		address:    address,
		turn:       make(chan *time.Timer, 1),
		out:        make(chan []byte),
		replies:    make(chan []byte, 1),
		queue:      make(chan hub.Message, queueLength),
		subscribed: make(chan struct{}),
		life:       bus.NewLife(),
	}
	b.calls, err = connect(ctx, address, "REQ", []string{"REP", "ROUTER"}, b.introduce)
	if err != nil {
		return nil, err
	}
	b.frames, err = connect(ctx, opts.Publish, "SUB", []string{"PUB", "XPUB"}, subscribe)
	if err != nil {
		b.calls.Close()
		return nil, err
	}
	b.calls.ttl, b.frames.ttl = true, true // until now there were other limits
	b.workers.Go(b.readReplies)            // Close waits for these
	b.workers.Go(b.readFrames)
	b.workers.Go(b.writeCalls)
	timer := time.NewTimer(confirmTime)
	if err := b.settle(ctx, timer); err != nil {
		b.Close()
		return nil, err
	}
	b.turn <- timer
	return b, nil
}

// settle returns when the subscription is in force.
func (b *Bus) settle(ctx context.Context, timer *time.Timer) error {
	subscribed := b.subscribed
	for {
		select {
		case <-subscribed:
			subscribed = nil
			timer.Reset(settleTime)
		case <-timer.C:
			return nil
		case <-b.life.Ended():
			return b.life.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// connect opens a link and does with it what is to be done first. ctx ends both.
func connect(ctx context.Context, address, own string, peers []string, begin func(*link) error) (*link, error) {
	var d net.Dialer
	short, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	c, err := d.DialContext(short, "tcp", address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("zeromcan: %w", err) // which names the address
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	l, err := open(c, own, peers...)
	if err == nil {
		err = begin(l)
	}
	if !stop() {
		c.Close() // the function above may not have come to it
		return nil, ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("zeromcan: connect to %s: %w", address, err)
	}
	return l, nil
}

// introduce asks for the version, and for a name.
func (b *Bus) introduce(l *link) error {
	result, err := b.call(l, callVersion)
	if err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	switch v, err := decodeVersion(result); {
	case err != nil:
		return fmt.Errorf("ask for the version: %w", err)
	case v != version:
		return fmt.Errorf("the server's version is %d, want %d", v, version)
	}
	if result, err = b.call(l, callNewClient); err == nil {
		b.name, err = decodeName(result)
	}
	if err != nil {
		return fmt.Errorf("ask for a name: %w", err)
	}
	return l.SetReadDeadline(time.Time{})
}

func (b *Bus) call(l *link, code byte) (result []byte, err error) {
	if err := l.SetReadDeadline(time.Now().Add(b.opts.ReplyTime)); err != nil {
		return nil, err
	}
	if err := l.write(appendEnvelope(nil, appendCall(nil, code))); err != nil {
		return nil, err
	}
	reply, err := readReply(l, l.write)
	if err != nil {
		return nil, err
	}
	return decodeReply(reply)
}

// readReply returns the body of the next reply. It is valid until the next call.
func readReply(l *link, pong func(frame []byte) error) ([]byte, error) {
	for {
		parts, command, err := l.readMessage(nil, pong)
		switch {
		case err != nil:
			return nil, err
		case command:
			continue // none means anything here
		case len(parts) != 2 || len(parts[0]) != 0:
			return nil, fmt.Errorf("a reply of %d parts without an empty one first, or not 2", len(parts))
		}
		return parts[1], nil
	}
}

// subscribe asks for all publications, and with a PING to confirm that: it is
// answered after what stands before it. The old form of a subscription is the
// one that all versions take.
func subscribe(l *link) error {
	frames := appendZMTP(nil, 0, []byte{1})
	if l.minor > 0 {
		frames = appendZMTP(frames, flagCommand, []byte("\x04PING\x00\x00"))
	}
	return l.write(frames)
}

// readReplies receives until the bus has ended.
func (b *Bus) readReplies() {
	pong := func(frame []byte) error {
		select {
		case b.out <- frame:
			return nil
		case <-b.life.Ended():
			return b.life.Err()
		}
	}
	for {
		reply, err := readReply(b.calls, pong)
		if err != nil {
			b.end(lost(b.address, err))
			return
		}
		if !b.asked.CompareAndSwap(true, false) {
			b.end(lost(b.address, errUnasked))
			return
		}
		b.replies <- bytes.Clone(reply)
	}
}

// writeCalls sends until the bus has ended. Whether the server reads it is no
// matter for the one whose call it is, who has a ctx.
func (b *Bus) writeCalls() {
	for {
		select {
		case frames := <-b.out:
			if err := b.calls.write(frames); err != nil {
				b.end(lost(b.address, err))
				return
			}
		case <-b.life.Ended():
			return
		}
	}
}

// readFrames receives until the bus has ended.
func (b *Bus) readFrames() {
	var malformed reporter
	confirmed := false
	var parts [][]byte
	for {
		var command bool
		var err error
		parts, command, err = b.frames.readMessage(parts, b.frames.write)
		if err != nil {
			b.end(lost(b.opts.Publish, err))
			return
		}
		if command {
			if !confirmed && bytes.HasPrefix(parts[0], []byte("\x04PONG")) {
				confirmed = true
				close(b.subscribed)
			}
			continue
		}
		m, ok, err := b.accept(parts)
		if err != nil {
			b.counters.malformed.Add(1)
			malformed.report(1, b.opts.Logger, "zeromcan: publication is not a frame",
				"server", b.opts.Publish, "error", err)
			continue
		}
		if !ok {
			b.counters.unwanted.Add(1)
			continue
		}
		b.counters.received.Add(1) // first: who has received it finds it counted
		select {
		case b.queue <- m:
		case <-b.life.Ended():
			return
		}
	}
}

// accept returns the message of a publication, and whether it is wanted.
func (b *Bus) accept(parts [][]byte) (m hub.Message, wants bool, err error) {
	if len(parts) != 1 {
		return m, false, fmt.Errorf("%d parts, want one", len(parts))
	}
	name, err := decodePublication(&m, parts[0])
	if err != nil {
		return m, false, err
	}
	if string(name) == b.name {
		if !b.opts.OwnMessages {
			return m, false, nil
		}
		m.Flags |= hub.Own
	}
	m.Timestamp = time.Now().UnixNano()
	return m, bus.Passes(b.opts.Filters, &m), nil
}
