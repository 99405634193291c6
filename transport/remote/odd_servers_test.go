package remote

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/internal/golden"

	"github.com/google/go-cmp/cmp"
)

// oddServer accepts one client after the other, with head, and then lets talk
// say what it likes.
func oddServer(t *testing.T, head string, talk func(c *rawClient)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(patience))
			c := &rawClient{conn, bufio.NewReader(conn)}
			if r, err := http.ReadRequest(c.r); err == nil {
				accept := acceptKey(r.Header.Get("Sec-WebSocket-Key"))
				io.WriteString(conn, strings.ReplaceAll(head, "<accept>", accept))
				if talk != nil {
					talk(c)
				}
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "ws://" + l.Addr().String() + "/"
}

const answer101 = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +

	"Sec-WebSocket-Accept: <accept>\r\nSec-WebSocket-Protocol: can.binary+json.v1\r\n\r\n"

// A reaction is what a server of the vectors says.
type reaction struct {
	Name    string        `json:"name"`
	Section string        `json:"section"`
	Frame   *golden.Frame `json:"frame"`
	Opcode  int           `json:"opcode"`
	Hex     string        `json:"wire_hex"`
	Text    *string       `json:"wire_text"`
	Raw     []string      `json:"ws_frames_hex"`
	Server  struct {
		Head string `json:"response_head"`
	} `json:"-"`
	RawServer json.RawMessage `json:"server_sent"`
	Frames    []struct {
		Opcode  int    `json:"opcode"`
		Payload string `json:"payload"`
	} `json:"server_frames"`
	Result any `json:"client_result"`
}

func reactions(t *testing.T, section string) (some []reaction) {
	t.Helper()
	for _, v := range golden.Load[reaction](t, "remote_client_reactions.json", 58) {
		if v.Section == section {
			json.Unmarshal(v.RawServer, &v.Server)
			some = append(some, v)
		}
	}
	if len(some) == 0 {
		t.Fatalf("no vectors in section %s", section)
	}
	return some
}

func TestHandshakesOfOddServersAreRefused(t *testing.T) {
	for _, v := range reactions(t, "client_handshake") {
		if v.Server.Head == "" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			good := strings.HasPrefix(v.Result.(string), "connected") || v.Name == "handshake_http_1_0_status_line"
			address := oddServer(t, v.Server.Head, func(c *rawClient) {
				if !good {
					return
				}
				c.frame() // the bus_request
				c.Write(appendFrameOf(opText, `{"type": "bus_response", "payload": {"channel_info": "odd"}}`))
				c.frame()
			})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			b, err := Dial(ctx, address, nil)
			if good != (err == nil) || ctx.Err() != nil {
				t.Errorf("Dial: %v; Python: %v", err, v.Result)
			}
			if err == nil {
				b.Close()
			}
		})
	}
}

func TestFirstMessageOfTheServer(t *testing.T) {
	lenient := map[string]bool{"first_bus_response_no_channel_info": true}
	for _, v := range reactions(t, "client_first_answer") {
		if v.Frames == nil {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			address := oddServer(t, answer101, func(c *rawClient) {
				c.frame()
				for _, f := range v.Frames {
					p := []byte(f.Payload)
					if f.Opcode != opText {
						p = golden.Hex(t, f.Payload)
					}
					c.Write(appendFrameOf(byte(f.Opcode), string(p)))
				}
				c.frame()
			})
			b, err := Dial(t.Context(), address, nil)
			good := strings.HasPrefix(v.Result.(string), "connected") || lenient[v.Name]
			if good != (err == nil) {
				t.Errorf("Dial: %v; Python: %v", err, v.Result)
			}
			if err == nil {
				b.Close()
			} else if want := map[string]string{
				"first_error_event": "no such bus A", "first_close_1011": "cannot open A", "first_close_1013": "1013",
			}[v.Name]; !strings.Contains(err.Error(), want) {
				t.Errorf("Dial: %v, want it to tell %q", err, want)
			}
		})
	}
}

// (The library does not expect that a server masks, and so reads another frame.)
//
// After each odd message of a session a marker follows: it arrives, or the
// session ends with an error that says why.
func TestOddMessagesOfServers(t *testing.T) {
	ends := map[string]string{
		"session_close_1000": "hub: closed", "session_close_1001": "hub: closed", "session_close_empty": "hub: closed",
		"session_close_1011": "errA", "session_reserved_opcode_then_frame": "lost",
	}
	for _, v := range reactions(t, "client_session") {
		if v.Opcode == 0 && v.Raw == nil {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			address := oddServer(t, answer101, func(c *rawClient) {
				c.frame()
				c.Write(appendFrameOf(opText, `{"type": "bus_response", "payload": {"channel_info": 5}}`))
				for _, f := range v.Raw {
					c.Write(golden.Hex(t, f))
				}
				if v.Raw == nil {
					p := golden.Hex(t, v.Hex)
					if v.Text != nil {
						p = []byte(*v.Text)
					}
					c.Write(appendFrameOf(byte(v.Opcode), string(p)))
				}
				c.Write(appendFrameOf(opBinary, string(appendBinary(nil, &marker))))
				for {
					if op, _, err := c.frame(); op == opClose || err != nil {
						c.Write(appendFrameOf(opClose, "\x03\xe8"))
						return
					}
				}
			})
			b := dial(t, address, nil)
			var got []string
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for {
				m, err := b.Recv(ctx)
				if err == nil && m.Equal(marker) {
					got = append(got, "marker")
				} else if err == nil {
					got = append(got, m.String())
					continue
				} else {
					got = append(got, err.Error())
					if v.Name == "session_error_event" && len(got) == 1 {
						continue
					}
				}
				break
			}
			var want []string
			if v.Name == "session_error_event" {
				want = append(want, (&EventError{"oopsA"}).Error())
			}
			if v.Frame != nil && possible(t, v.Frame) && v.Name != "session_reserved_opcode_then_frame" && v.Name != "session_masked_server_frame" {
				m := v.Frame.Raw(t)
				want = append(want, m.String())
			}
			if v.Name == "session_two_frames_one_segment" {
				want = append(want, "761#B4")
			}
			if v.Name == "session_fragmented_binary" {
				want = append(want, "75F#58C40CD3") // put together
			}
			last := got[len(got)-1]
			if end := ends[v.Name]; end != "" && strings.Contains(last, end) {
				want = append(want, last)
			} else {
				want = append(want, "marker")
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("received other things (-want +got):\n%s\nPython: %v", d, v.Result)
			}
		})
	}
}
