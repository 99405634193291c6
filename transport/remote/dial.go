package remote

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/bus"
)

// answerTime is how long a server may take to let a client onto its bus.
const answerTime = 15 * time.Second

// Dial connects to a server, as "ws://host:54701/can0" or wss:, and asks for its
// bus. It waits for the answer until ctx is done, for 15 seconds at most. When
// ctx ends later, that does not matter to the bus.
//
// The error names the server and what went wrong; if the server has refused
// the bus, a [*CloseError] or [*EventError] is in it.
func Dial(ctx context.Context, address string, o *DialOptions) (*Bus, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if !strings.Contains(address, "://") {
		address = "ws://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("remote: address: %w", withoutURL(err))
	}
	if u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
		return nil, fmt.Errorf("remote: address %q: want ws://HOST:PORT/ or wss://HOST:PORT/", u.Scheme+"://"+u.Host)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b := &Bus{
		opts: opts,
		name: u.Scheme + "://" + u.Host + u.EscapedPath(), // a query may have a token
		wire: &wire{client: true, single: u.Scheme == "wss", watch: &closeWatch{}, pen: make(chan struct{}, 1)},
		life: bus.NewLife(),
		in:   make(chan result, queueLength),
		out:  bus.NewOutbox[outgoing](queueLength),
	}
	limited, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if err := b.connect(limited, u); err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case limited.Err() != nil:
			err = fmt.Errorf("no answer within %v", answerTime)
		}
		return nil, fmt.Errorf("remote: dial %s: %w", b.name, err)
	}
	b.tasks = make(chan map[uint32]*Task, 1)
	b.tasks <- make(map[uint32]*Task)
	b.ended.Add(1)
	go func() { b.life.End(b.receive()) }() // Close waits for both
	go b.transmit()
	return b, nil
}

// connect makes the connection and has the server open its bus.
func (b *Bus) connect(ctx context.Context, u *url.URL) error {
	header := http.Header{}
	if b.opts.Header != nil {
		header = b.opts.Header.Clone()
	}
	if b.opts.Token != "" {
		header.Set("Authorization", "Bearer "+b.opts.Token)
	}
	protocols := []string{protocolBinary, protocolJSON}
	if b.opts.JSON {
		protocols = protocols[1:]
	}
	transport := &http.Transport{
		DialContext:    b.dial,
		DialTLSContext: b.dialTLS,
	}
	defer transport.CloseIdleConnections()
	ws, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader:      header,
		Subprotocols:    protocols,
		CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
			return fmt.Errorf("the server answers %s: %s", printable(resp.Status, 200), strings.TrimSpace(printable(string(text), 200)))
		}
		return withoutURL(err)
	}
	b.ws = ws
	stop := context.AfterFunc(ctx, func() { b.wire.Conn.Close() })
	err = b.request()
	if !stop() && err == nil {
		err = ctx.Err() // it came at the last moment
	}
	if err != nil {
		ws.CloseNow()
	}
	return err
}

// withoutURL returns err without the URL that it may name: there may be a token
// in it.
func withoutURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}

func (b *Bus) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	b.wire.Conn = conn
	return b.wire, nil
}

func (b *Bus) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	config := &tls.Config{}
	if b.opts.TLS != nil {
		config = b.opts.TLS.Clone()
	}
	config.NextProtos = []string{"http/1.1"}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	b.wire.Conn = conn
	return b.wire, nil
}

// request asks for the bus. The first message of the server must be the answer.
func (b *Bus) request() error {
	switch b.ws.Subprotocol() {
	case protocolBinary:
	case protocolJSON:
		b.json = true
	default:
		return fmt.Errorf("the server speaks neither %s nor %s, it is no server of python-can-remote", protocolBinary, protocolJSON)
	}
	b.ws.SetReadLimit(maxAnswer)
	text, err := appendEvent(nil, busRequest, map[string]any{"config": b.opts.config()})
	if err != nil {
		return err
	}
	if err := b.wire.send(b.wire.appendMessage(nil, opText, text)); err != nil {
		return err
	}
	kind, p, err := read(b.ws, nil)
	if err != nil {
		if err = b.cause(err); err == hub.ErrClosed {
			err = errors.New("the server closes the connection")
		}
		return err
	}
	if kind != websocket.MessageText {
		return errors.New("the server's first message is not a bus_response")
	}
	e, err := parseEvent(p)
	if err != nil {
		return err
	}
	switch e.name {
	case busResponse:
	case errorEvent:
		return &EventError{Text: plain(e.payload)}
	default:
		return fmt.Errorf("the server's first message is not a bus_response, but %.40q", e.name)
	}
	members, err := object(e.payload)
	if err != nil {
		return fmt.Errorf("bus_response: payload: %w", err)
	}
	b.info = plain(members["channel_info"])
	return nil
}

// plain returns a string as its text, and other values as JSON.
func plain(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) != nil {
		text = string(v)
	}
	return printable(text, maxReason)
}
