package remote

import (
	"context"
	"io"

	"github.com/coder/websocket"
)

// What the two subprotocols are called.
const (
	protocolBinary = "can.binary+json.v1"
	protocolJSON   = "can.json.v1"
)

// keepBuffer is how large a buffer for messages may be between two of them.
const keepBuffer = 4096

// read returns the next message of ws, in buf if it fits. It grows buf with what
// has come, not by what is announced.
func read(ws *websocket.Conn, buf []byte) (websocket.MessageType, []byte, error) {
	kind, r, err := ws.Reader(context.Background()) // a done ctx would end the connection
	if err != nil {
		return kind, nil, err
	}
	if cap(buf) > keepBuffer {
		buf = nil
	}
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return kind, buf, nil
		}
		if err != nil {
			return kind, nil, err
		}
	}
}
