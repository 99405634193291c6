package remote

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A rawClient speaks WebSocket by hand, so it can say what no library would.
type rawClient struct {
	net.Conn
	r *bufio.Reader
}

// head is a request that asks for both subprotocols.
const head = "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Protocol: can.binary+json.v1,can.json.v1\r\n\r\n"

func rawDial(t testing.TB, address string) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(address, "ws://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &rawClient{conn, bufio.NewReader(conn)}
}

// upgrade sends the request and returns the answer.
func (c *rawClient) upgrade(t testing.TB, request string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// open also asks for the bus.
func (c *rawClient) open(t testing.TB) *rawClient {
	t.Helper()
	if resp := c.upgrade(t, head); resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the server answers %s", resp.Status)
	}
	c.text(t, `{"type": "bus_request", "payload": {"config": {}}}`)
	if op, p, err := c.frame(); op != opText || !strings.Contains(string(p), "bus_response") {
		t.Fatalf("the server answers %d %q, %v", op, p, err)
	}
	return c
}

func (c *rawClient) text(t testing.TB, text string) {
	t.Helper()
	c.send(t, appendMasked(nil, opText, []byte(text), 0x01020304))
}

func (c *rawClient) binary(t testing.TB, p []byte) {
	t.Helper()
	c.send(t, appendMasked(nil, opBinary, p, 0x01020304))
}

func (c *rawClient) send(t testing.TB, p []byte) {
	t.Helper()
	if _, err := c.Write(p); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Logf("the server does not take everything: %v", err)
	}
}

// frame reads one frame.
func (c *rawClient) frame() (opcode byte, payload []byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(c.r, h[:2]); err != nil {
		return 0, nil, err
	}
	opcode = h[0] & 0x0F
	n, masked := int(h[1]&0x7F), h[1]&0x80 != 0
	switch n {
	case 126:
		if _, err := io.ReadFull(c.r, h[:2]); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint16(h[:]))
	case 127:
		return 0, nil, errors.New("a frame of more than 65535 bytes")
	}
	var key [4]byte
	if masked {
		if _, err := io.ReadFull(c.r, key[:]); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.r, payload)
	for i := range payload {
		payload[i] ^= key[i&3]
	}
	return opcode, payload, err
}

// eventText returns the payload of an event that is a string.
func eventText(t testing.TB, p []byte, name string) string {
	t.Helper()
	e, err := parseEvent(p)
	if err != nil || e.name != name {
		t.Fatalf("%q: want an event of type %s: %v", p, name, err)
	}
	var text string
	if err := json.Unmarshal(e.payload, &text); err != nil {
		t.Fatal(err)
	}
	return text
}

// marker is what a client sends to show that its session goes on.
var marker = hub.Std(0x7FF, 0xE0, 0xE1)

// appendFrameOf returns the frame of a server.
func appendFrameOf(opcode byte, payload string) []byte {
	return append(appendHead(nil, opcode, len(payload), 0), payload...)
}

// acceptKey is the answer to a Sec-WebSocket-Key (RFC 6455, section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
