package remote

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
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
	Name    string   `json:"name"`
	Section string   `json:"section"`
	Frame   *frame   `json:"frame"`
	Opcode  int      `json:"opcode"`
	Hex     string   `json:"wire_hex"`
	Text    *string  `json:"wire_text"`
	Raw     []string `json:"ws_frames_hex"`
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
	for _, v := range load[reaction](t, "remote_client_reactions.json", 58) {
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
						p = unhex(t, f.Payload)
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
					c.Write(unhex(t, f))
				}
				if v.Raw == nil {
					p := unhex(t, v.Hex)
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
			if v.Frame != nil && v.Frame.possible(t) && v.Name != "session_reserved_opcode_then_frame" && v.Name != "session_masked_server_frame" {
				m := v.Frame.message(t)
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

// python-can-remote sends the text of an exception as the reason, of any length.
func TestOverlongReasonIsTold(t *testing.T) {
	reason := strings.Repeat("reason ", 60)
	for _, split := range []int{0, 2, 5, 100} {
		address := oddServer(t, answer101, func(c *rawClient) {
			c.frame()
			c.Write(appendFrameOf(opText, `{"type": "bus_response", "payload": {"channel_info": ""}}`))
			p := appendFrameOf(opClose, "\x03\xf3"+reason)
			c.Write(p[:split])
			time.Sleep(10 * time.Millisecond) // so that they are two segments
			c.Write(p[split:])
			c.Conn.(*net.TCPConn).CloseWrite()
			c.frame()
		})
		b := dial(t, address, nil)
		var closed *CloseError
		if err := recvError(t, b); !errors.As(err, &closed) || closed.Code != 1011 || closed.Reason != reason {
			t.Errorf("split at %d: %v, want the reason", split, err)
		}
		if err := b.Send(t.Context(), hub.Std(1)); !errors.As(err, &closed) {
			t.Errorf("Send: %v, want the reason", err)
		}
	}
}

func TestLostConnectionIsToldAndNotAnErrClosed(t *testing.T) {
	address := oddServer(t, answer101, func(c *rawClient) {
		c.frame()
		c.Write(appendFrameOf(opText, `{"type": "bus_response", "payload": {"channel_info": ""}}`))
		c.Write(appendFrameOf(opBinary, string(appendBinary(nil, &marker))))
	})
	b := dial(t, address, nil)
	hubtest.Want(t, b, marker)
	for range 2 {
		if err := recvError(t, b); errors.Is(err, hub.ErrClosed) || !strings.Contains(err.Error(), address) {
			t.Errorf("Recv: %v, want an error that names %s", err, address)
		}
	}
}

func TestCloseDoesNotWaitForASilentServer(t *testing.T) {
	release := make(chan struct{})
	address := oddServer(t, answer101, func(c *rawClient) {
		c.frame()
		c.Write(appendFrameOf(opText, `{"type": "bus_response", "payload": {"channel_info": ""}}`))
		<-release // reads nothing
	})
	defer close(release)
	b := dial(t, address, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for b.Send(ctx, hub.FD(1, make([]byte, 64)...)) == nil {
	}
	start := time.Now()
	b.Close()
	if took := time.Since(start); took > goodbye+time.Second {
		t.Errorf("Close took %v", took)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	silent := func(c *rawClient) { <-release }
	defer close(release)
	for name, answer := range map[string]string{"no answer": "", "no bus_response": answer101} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := Dial(ctx, oddServer(t, answer, silent), nil); err != context.DeadlineExceeded {
			t.Errorf("%s: Dial: %v, want the context's error", name, err)
		}
		cancel()
	}
}

func TestDialSaysWhatIsWrong(t *testing.T) {
	for address, want := range map[string]string{
		"ws://127.0.0.1:1/?token=secret": "ws://127.0.0.1:1/: ", "ws://h/%zz?token=secret": "address",
		"http://h/?token=secret": "want ws://", "http://h/": "want ws://", "ws://": "want ws://", "ws://h:port/": "port", "ws://127.0.0.1:1/": "ws://127.0.0.1:1/",
	} {
		if _, err := Dial(t.Context(), address, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Dial(%q): %v, want %q in it, and no secret", address, err, want)
		}
	}
	if _, err := Dial(t.Context(), "ws://h/", &DialOptions{Filters: []hub.Filter{{StandardOnly: true, ExtendedOnly: true}}}); err == nil {
		t.Error("a filter that nothing matches is accepted")
	}
}

func TestTLS(t *testing.T) {
	h := hubtest.New(t)
	s := httptest.NewUnstartedServer(Handler(h, nil))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS() // with a certificate of its own
	defer s.Close()
	address := "wss" + strings.TrimPrefix(s.URL, "https") + "/"
	if _, err := Dial(t.Context(), address, nil); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("Dial: %v, want it to refuse the certificate", err)
	}
	if _, err := Dial(t.Context(), "ws"+strings.TrimPrefix(s.URL, "https"), nil); err == nil {
		t.Error("Dial without TLS succeeds")
	}
	for name, o := range map[string]*DialOptions{
		"binary": {TLS: s.Client().Transport.(*http.Transport).TLSClientConfig},
		"JSON":   {TLS: &tls.Config{InsecureSkipVerify: true}, JSON: true},
	} {
		t.Run(name, func(t *testing.T) {
			node, b := hubtest.Open(t, h, "can0", nil), dial(t, address, o)
			var msgs []hub.Message
			for i := range byte(100) {
				msgs = append(msgs, hub.Std(1, i))
			}
			send(t, b, msgs...)
			hubtest.Want(t, node, msgs...)
			send(t, node, msgs...)
			hubtest.Want(t, b, msgs...)
			b.Close()
			node.Close()
		})
	}
	hubtest.WaitPeers(t, h, "can0", 0)
}

// Python sees only one message of a TLS record. Its data reaches the connection
// in writes of their own, and each is a record.
func TestOneMessagePerWriteOnTLS(t *testing.T) {
	var writes [][]byte
	w := &wire{Conn: writer{write: func(p []byte) { writes = append(writes, bytes.Clone(p)) }}, single: true, pen: make(chan struct{}, 1)}
	var frames []byte
	var want [][]byte
	for _, n := range []int{0, 15, 125, 126, 1000, 70_000} {
		f := w.appendMessage(nil, opText, make([]byte, n))
		want = append(want, f)
		frames = append(frames, f...)
	}
	if err := w.send(frames); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, writes); d != "" {
		t.Error(d[:min(len(d), 1000)])
	}
}

func TestNothingIsSentBehindACLOSE(t *testing.T) {
	var got []byte
	w := &wire{Conn: writer{write: func(p []byte) { got = append(got, p...) }}, pen: make(chan struct{}, 1)}
	w.Write([]byte{0x88, 0})
	if err := w.send(w.appendMessage(nil, opBinary, []byte{1})); err != net.ErrClosed || len(got) != 2 {
		t.Errorf("sent %x, %v", got, err)
	}
}

// A writer is a connection that can only be written to.
type writer struct {
	net.Conn
	write func(p []byte)
}

func (w writer) Write(p []byte) (int, error) { w.write(p); return len(p), nil }

func TestEveryFrameOfPythonHasTheSameHead(t *testing.T) {
	for _, v := range load[vector](t, "remote_wsframes.json", 28) {
		w := &wire{}
		got := w.appendMessage(nil, byte(v.Opcode), unhex(t, v.Payload))
		if v.Mask != "" {
			k := unhex(t, v.Mask)
			key := uint32(k[0])<<24 | uint32(k[1])<<16 | uint32(k[2])<<8 | uint32(k[3])
			got = appendMasked(nil, byte(v.Opcode), unhex(t, v.Payload), key)
		}
		if want := unhex(t, v.Hex); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", v.Name, got, want)
		}
		if n := frameLen(got); n != len(got) {
			t.Errorf("%s: frameLen %d, want %d", v.Name, n, len(got))
		}
	}
}

func TestPeriodicMessages(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, &Options{MaxTasks: 2})
	node := hubtest.Open(t, h, "can0", nil)
	b := dial(t, address, nil)
	ctx := t.Context()
	m := hub.FD(0x18DAF110, make([]byte, 12)...)
	m.Flags |= hub.BRS | hub.ESI
	task, err := b.SendPeriodic(ctx, m, time.Millisecond, 0)
	if err != nil {
		t.Fatal(err)
	}
	hubtest.Want(t, node, m, m, m)
	if _, err := b.SendPeriodic(ctx, m, time.Millisecond, 0); err == nil {
		t.Error("a second task for one identifier is accepted")
	}
	m.Data[0] = 7
	if err := task.Update(ctx, m); err != nil {
		t.Fatal(err)
	}
	drain(t, node, m)
	hubtest.Want(t, node, m, m)
	if err := task.Update(ctx, hub.Std(1)); err == nil {
		t.Error("Update changes the identifier")
	}
	for range 2 {
		if err := task.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	send(t, b, marker) // behind the stop
	drain(t, node, marker)
	hubtest.WantNone(t, node)
	if err := task.Update(ctx, m); err != hub.ErrClosed {
		t.Errorf("Update after Stop: %v", err)
	}

	short, err := b.SendPeriodic(ctx, hub.Std(1), 20*time.Millisecond, 30*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	hubtest.Want(t, node, hub.Std(1), hub.Std(1))
	hubtest.WantNone(t, node)
	if err := short.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for id := range uint32(3) { // one is too many
		if _, err := b.SendPeriodic(ctx, hub.Std(0x10+id), time.Hour, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // in any order
		if m, err := node.Recv(ctx); err != nil || m.ID&^1 != 0x10 {
			t.Errorf("received %v, %v", m, err)
		}
	}
	var told *EventError
	if err := recvError(t, b); !errors.As(err, &told) || !strings.Contains(told.Text, "2 tasks") {
		t.Errorf("Recv: %v, want the limit as an EventError", err)
	}
	b.Close()
	hubtest.WaitPeers(t, h, "can0", 1)
	hubtest.WantNone(t, node)
}

// python-can-remote ends the session of a client that stops what it does not know.
func TestATaskIsStoppedOnce(t *testing.T) {
	said := make(chan string, 10)
	address := oddServer(t, answer101, func(c *rawClient) {
		c.frame()
		c.Write(appendFrameOf(opText, `{"type": "bus_response", "payload": {"channel_info": ""}}`))
		for {
			op, p, err := c.frame()
			if err != nil || op == opClose {
				c.Write(appendFrameOf(opClose, "\x03\xe8"))
				close(said)
				return
			}
			said <- string(p)
		}
	})
	b := dial(t, address, nil)
	task, err := b.SendPeriodic(t.Context(), hub.Std(0x123), time.Second, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := task.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	b.Close()
	<-said // the start
	var rest []string
	for text := range said {
		rest = append(rest, text)
	}
	if d := cmp.Diff([]string{`{"type": "periodic_stop", "payload": 291}`}, rest); d != "" {
		t.Error(d)
	}
}

func TestPeriodicSendsWhatPythonSends(t *testing.T) {
	w := hub.Std(304, 196, 224)
	got, err := appendEvent(nil, periodicStart, map[string]any{"period": 0.1, "duration": nil, "msg": periodicFrame{&w}})
	if err != nil {
		t.Fatal(err)
	}
	// From remote_conversations.json; there is no is_esi in Python's.
	want := `{"type": "periodic_start", "payload": {"period": 0.1, "duration": null, "msg": {"arbitration_id": 304, ` +
		`"is_extended_id": false, "is_remote_frame": false, "is_error_frame": false, "is_fd": false, ` +
		`"bitrate_switch": false, "error_state_indicator": false, "dlc": 2, "data": [196, 224]}}}`
	var g, p any
	if json.Unmarshal(got, &g) != nil || json.Unmarshal([]byte(want), &p) != nil {
		t.Fatalf("%s is no JSON", got)
	}
	if d := cmp.Diff(p, g); d != "" {
		t.Error(d)
	}
}

func TestStatsOfAClient(t *testing.T) {
	h := hubtest.New(t)
	b := dial(t, serve(t, h, nil), nil)
	node := hubtest.Open(t, h, "can0", nil)
	send(t, b, hub.Std(1), hub.Std(2))
	hubtest.Want(t, node, hub.Std(1), hub.Std(2))
	send(t, node, hub.Std(3))
	hubtest.Want(t, b, hub.Std(3))
	b.Close()
	if s := b.Stats(); s != (Stats{Sent: 2, Received: 1}) {
		t.Errorf("%+v", s)
	}
}

func TestClosedReasonsFitIntoACLOSE(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("ä", 100), strings.Repeat("x", 123), "\xff" + strings.Repeat("€", 50)} {
		p := printable(text, maxCloseReason)
		if len(p) > maxCloseReason || !strings.HasPrefix(strings.ToValidUTF8(text, "?"), p) || len(text) <= 100 && len(p) < len(text) {
			t.Errorf("%q is cut to %q", text, p)
		}
	}
}
