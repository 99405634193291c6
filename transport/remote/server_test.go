package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// Every request that Python's server accepts is accepted, but for those that
// break RFC 6455, and gets the subprotocol that Python's server chooses.
func TestHandshakesOfPython(t *testing.T) {
	type handshake struct {
		Name     string `json:"name"`
		Request  string `json:"wire_text"`
		Kind     string `json:"direction"`
		Response string `json:"response_head"`
	}
	refused := map[string]int{
		"no_key": 400, "no_version": 400, "version_8": 400, "no_connection_header": 426, "two_protocol_headers": 0,
		"origin_header": 403, "upgrade_list": 101, "no_upgrade_header": 404, "other_path": 404, "uppercase_protocol": 0,
	}
	h := hubtest.New(t)
	address := serve(t, h, nil)
	for _, v := range load[handshake](t, "remote_handshake.json", 42) {
		if v.Kind != "handshake" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			resp := rawDial(t, address).upgrade(t, strings.ReplaceAll(v.Request, "<port>", "1"))
			want, listed := refused[v.Name]
			if !listed {
				want = http.StatusSwitchingProtocols
			}
			if want != 0 && resp.StatusCode != want {
				t.Fatalf("status %s, want %d; Python: %.40q", resp.Status, want, v.Response)
			}
			if !listed && !strings.Contains(v.Response, "Sec-WebSocket-Protocol: "+resp.Header.Get("Sec-WebSocket-Protocol")+"\r\n") {
				t.Errorf("subprotocol %q; Python: %q", resp.Header.Get("Sec-WebSocket-Protocol"), v.Response)
			}
			if e := resp.Header.Get("Sec-WebSocket-Extensions"); e != "" {
				t.Errorf("extensions %q, want none", e)
			}
		})
	}
}

// status returns how the server answers a request for a WebSocket.
func status(t testing.TB, address, path, header string) int {
	t.Helper()
	r := strings.Replace(head, "GET /", "GET "+path, 1)
	if header != "" {
		r = strings.Replace(r, "Host: test\r\n", "Host: test\r\n"+header+"\r\n", 1)
	}
	return rawDial(t, address).upgrade(t, r).StatusCode
}

func TestTokenIsNeeded(t *testing.T) {
	address := serve(t, hubtest.New(t), &Options{Token: "secret"})
	for _, c := range []struct {
		path, header string
		want         int
	}{
		{"/", "", 401},
		{"/", "Authorization: Bearer wrong", 401},
		{"/", "Authorization: Basic secret", 401},
		{"/?token=", "", 401},
		{"/?token=secre", "", 401},
		{"/?token=secret", "Authorization: Bearer wrong", 401},
		{"/", "Authorization: Bearer secret", 101},
		{"/?token=secret", "", 101},
	} {
		if got := status(t, address, c.path, c.header); got != c.want {
			t.Errorf("%s with %q: status %d, want %d", c.path, c.header, got, c.want)
		}
	}
	dial(t, address, &DialOptions{Token: "secret"})
	_, err := Dial(t.Context(), address+"?token=other", nil)
	if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "other") {
		t.Errorf("Dial without a token: %v, want one that says 401, and not the token", err)
	}
}

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	address := serve(t, hubtest.New(t), &Options{Origins: []string{"*.example.com"}})
	for origin, want := range map[string]int{
		"http://test": 101, "https://test": 101, "http://a.example.com": 101,
		"http://example.org": 403, "http://test.example.org": 403, "null": 403,
	} {
		if got := status(t, address, "/", "Origin: "+origin); got != want {
			t.Errorf("origin %s: status %d, want %d", origin, got, want)
		}
	}
}

func TestChannelsByPath(t *testing.T) {
	for _, c := range []struct {
		o    Options
		path string
		want string // the channel, or "" for 404
	}{
		{Options{}, "/", "can0"},
		{Options{}, "/can0", "can0"},
		{Options{}, "/can1", ""},
		{Options{Channel: "vcan3"}, "/", "vcan3"},
		{Options{Channel: "vcan3"}, "/can0", ""},
		{Options{Channels: []string{"can1"}}, "/can1/", "can1"},
		{Options{Channels: []string{"can1"}}, "/can2", ""},
		{Options{Access: Existing}, "/there", "there"},
		{Options{Access: Existing}, "/can7", ""},
		{Options{Access: Any}, "/can7", "can7"},
		{Options{Access: Any}, "/a/b", "a/b"},
	} {
		t.Run(fmt.Sprintf("%v%v%s", c.o.Channels, c.o.Access, c.path), func(t *testing.T) {
			h := hubtest.New(t)
			hubtest.Open(t, h, "there", nil)
			address := strings.TrimSuffix(serve(t, h, &c.o), "/") + c.path
			b, err := Dial(t.Context(), address, nil)
			if c.want == "" {
				if err == nil || !strings.Contains(err.Error(), "404") {
					t.Fatalf("Dial: %v, want 404", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			node := hubtest.Open(t, h, c.want, nil)
			send(t, node, hub.Std(1))
			hubtest.Want(t, b, hub.Std(1))
			if info := b.ChannelInfo(); info != "canhub channel "+c.want {
				t.Errorf("ChannelInfo %q", info)
			}
		})
	}
}

func TestChannelByConfig(t *testing.T) {
	h := hubtest.New(t)
	o := &Options{Channels: []string{"can1"}}
	closed := serve(t, h, o)
	if b := dial(t, closed, &DialOptions{Channel: "can1"}); b.ChannelInfo() != "canhub channel can0" {
		t.Errorf("on %q though the server does not allow it", b.ChannelInfo())
	}
	open := *o
	open.ConfigChannel = true
	address := serve(t, h, &open)
	if b := dial(t, address, &DialOptions{Channel: "can1"}); b.ChannelInfo() != "canhub channel can1" {
		t.Errorf("on %q, want can1", b.ChannelInfo())
	}
	var refused *CloseError
	if _, err := Dial(t.Context(), address, &DialOptions{Channel: "can2"}); !errors.As(err, &refused) || refused.Code != 1011 {
		t.Errorf("Dial: %v, want a CloseError with code 1011", err)
	}
}

func TestFallbackAnswersOtherRequests(t *testing.T) {
	get := func(o *Options) (int, string) {
		w := httptest.NewRecorder()
		Handler(hubtest.New(t), o).ServeHTTP(w, httptest.NewRequest("GET", "/page", nil))
		return w.Code, w.Body.String()
	}
	if code, _ := get(nil); code != 404 {
		t.Errorf("without Fallback: status %d, want 404", code)
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page of "+r.URL.Path) })
	if code, body := get(&Options{Fallback: page}); code != 200 || body != "page of /page" {
		t.Errorf("status %d, body %q", code, body)
	}
}

func TestTooManyClientsGet503(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, &Options{MaxClients: 2})
	first := dial(t, address, nil)
	dial(t, address, nil)
	if _, err := Dial(t.Context(), address, nil); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("the third client: %v, want 503", err)
	}
	first.Close()
	hubtest.WaitPeers(t, h, "can0", 1)
	for deadline := time.Now().Add(patience); status(t, address, "/", "") != 101; {
		if time.Now().After(deadline) {
			t.Fatal("no room after a client has gone")
		}
	}
}

func TestConfigOfTheBusRequest(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, nil)
	node := hubtest.Open(t, h, "can0", nil)
	b := dial(t, address, &DialOptions{
		OwnMessages:    true,
		KeepTimestamps: true,
		Bitrate:        500_000,
		FD:             true,
		Filters:        []hub.Filter{{ID: 0x100, Mask: 0x700, StandardOnly: true}},
		Config:         map[string]any{"anything": []int{1, 2}},
	})
	m := hub.Std(0x123, 1)
	m.Timestamp = 1_250_000_000
	send(t, b, m)
	if got := hubtest.Want(t, node, m); got[0].Timestamp != m.Timestamp {
		t.Errorf("Timestamp %d, want %d as sent", got[0].Timestamp, m.Timestamp)
	}
	if got := hubtest.Want(t, b, m); got[0].Flags != hub.Own {
		t.Errorf("Flags %v, want Own", got[0].Flags)
	}
	send(t, node, hub.Std(0x200), hub.Ext(0x101), hub.Std(0x1FF))
	hubtest.Want(t, b, hub.Std(0x1FF))
	if s := b.Stats(); s.Received != 2 {
		t.Errorf("%+v: the server has sent what the filter does not let through", s)
	}
}

func TestInvertedFiltersWorkAtTheClient(t *testing.T) {
	h := hubtest.New(t)
	b := dial(t, serve(t, h, nil), &DialOptions{Filters: []hub.Filter{{ID: 1, Mask: 0x7FF, Invert: true}}})
	send(t, hubtest.Open(t, h, "can0", nil), hub.Std(1), hub.Std(2))
	hubtest.Want(t, b, hub.Std(2))
}

func TestOwnMessagesAreMarkedInBothForms(t *testing.T) {
	for name, json := range map[string]bool{"binary": false, "JSON": true} {
		t.Run(name, func(t *testing.T) {
			b := dial(t, serve(t, hubtest.New(t), nil), &DialOptions{OwnMessages: true, JSON: json})
			m := hub.FD(0x18DAF110, 1, 2, 3)
			send(t, b, m)
			if got := hubtest.Want(t, b, m); got[0].Flags&hub.Own == 0 {
				t.Errorf("Flags %v, want Own", got[0].Flags)
			}
		})
	}
}

func TestOddBusRequestsAreRefusedWithAReason(t *testing.T) {
	address := serve(t, hubtest.New(t), nil)
	many := strings.Repeat(`{"can_id":0,"can_mask":0},`, maxFilters) + `{"can_id":0,"can_mask":0}`
	for _, config := range []string{
		`{"can_filters": 1}`, `{"can_filters": [1]}`, `{"can_filters": [{"can_id": 1}]}`,
		`{"can_filters": [{"can_id": -1, "can_mask": 0}]}`, `{"can_filters": [{"can_id": "1", "can_mask": 0}]}`,
		`{"can_filters": [` + many + `]}`,
		`{"receive_own_messages": "yes"}`, `{"preserve_timestamps": []}`, `[1]`, `[["a"]]`, `"x"`,
	} {
		c := rawDial(t, address)
		c.upgrade(t, head)
		c.text(t, `{"type": "bus_request", "payload": {"config": `+config+`}}`)
		op, p, err := c.frame()
		if op != opClose || len(p) < 20 || string(p[:2]) != "\x03\xf3" {
			t.Errorf("%.60s: answer %d %q, %v; want CLOSE 1011 with a reason", config, op, p, err)
		}
	}
}

func TestSilentClientsAreDropped(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, &Options{HandshakeTimeout: 50 * time.Millisecond, PingInterval: 50 * time.Millisecond, IdleLimit: 50 * time.Millisecond})
	ended := func(c *rawClient) {
		t.Helper()
		for {
			op, _, err := c.frame()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("opcode %d, %v: want the end", op, err)
			}
		}
	}
	t.Run("without a request", func(t *testing.T) { ended(rawDial(t, address)) })
	t.Run("without a bus_request", func(t *testing.T) {
		c := rawDial(t, address)
		c.upgrade(t, head)
		ended(c)
	})
	t.Run("without an answer to the ping", func(t *testing.T) {
		c := rawDial(t, address).open(t)
		if op, _, err := c.frame(); op != opPing {
			t.Fatalf("opcode %d, %v: want a ping", op, err)
		}
		ended(c)
	})
	t.Run("Python, without a ping", func(t *testing.T) {
		c := rawDial(t, address)
		c.upgrade(t, strings.Replace(head, "Host: test", "Host: test\r\nUser-Agent: python-can/4.6.1 (linux)", 1))
		c.text(t, `{"type": "bus_request", "payload": {"config": {}}}`)
		c.frame()
		if op, _, err := c.frame(); !errors.Is(err, io.EOF) {
			t.Fatalf("opcode %d, %v: want the end", op, err)
		}
	})
	hubtest.WaitPeers(t, h, "can0", 0)
	t.Run("but not one that answers pings", func(t *testing.T) {
		b := dial(t, address, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		if m, err := b.Recv(ctx); err != context.DeadlineExceeded {
			t.Errorf("received %v, %v", m, err)
		}
	})
}

// A client that takes nothing loses its own messages, is told so by an error
// frame if it comes to life again, and is dropped if it does not. Nobody else
// notices.
func TestSlowClientLosesOnlyItsOwnMessages(t *testing.T) {
	overflow := hub.Message{ID: 4, Flags: hub.Error, Len: 8, Data: [64]byte{1: 1}}
	h := hubtest.New(t)
	address := serve(t, h, &Options{WriteTimeout: 2 * time.Second, Queue: 16})
	slow, dead := rawDial(t, address).open(t), rawDial(t, address).open(t)
	slow.Conn.(*net.TCPConn).SetReadBuffer(4096)
	dead.Conn.(*net.TCPConn).SetReadBuffer(4096)
	quick := hubtest.Open(t, h, "can0", nil)
	node := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
	var wg sync.WaitGroup
	defer wg.Wait()
	const number = 300_000
	wg.Go(func() {
		for i := range uint32(number) {
			if m, err := quick.Recv(t.Context()); err != nil || m.ID != i {
				t.Errorf("the quick one received %v, %v, want number %d", m, err, i)
				return
			}
		}
	})
	m := hub.Message{Flags: hub.Extended | hub.FDF, Len: 64}
	for i := range uint32(number) {
		m.ID = i
		send(t, node, m)
	}
	wg.Wait()
	told := false
	for last := -1; !told; {
		op, p, err := slow.frame()
		if op != opBinary {
			t.Fatalf("opcode %d, %v", op, err)
		}
		var got hub.Message
		if err := decodeBinary(&got, p); err != nil {
			t.Fatal(err)
		}
		if told = got.Equal(overflow); !told && int(got.ID) != last+1 {
			t.Fatalf("number %d behind %d, and no error frame in between", got.ID, last)
		}
		last = int(got.ID)
	}
	slow.Close()
	quick.Close()
	for deadline := time.Now().Add(patience); h.Channels()[0].Subscribers > 1; {
		if time.Now().After(deadline) {
			t.Fatal("a client that takes nothing is not dropped")
		}
		send(t, node, m)
	}
}

func TestLongMessagesEndTheSession(t *testing.T) {
	h := hubtest.New(t)
	c := rawDial(t, serve(t, h, &Options{MaxMessage: 1000})).open(t)
	c.text(t, `{"type": "x", "payload": "`+strings.Repeat("x", 900)+`"}`)
	c.text(t, `{"type": "x", "payload": "`+strings.Repeat("x", 1000)+`"}`)
	if op, p, err := c.frame(); op != opClose || string(p[:2]) != "\x03\xf1" {
		t.Errorf("answer %d %q, %v; want CLOSE 1009", op, p, err)
	}
}

// A message on a channel that is blocked waits, and so does the client that has
// sent it, but the others and the end of the session do not.
func TestBlockedChannelHoldsUpOnlyThoseWhoSend(t *testing.T) {
	h := hubtest.New(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	end := serveOn(t, l, h, &Options{Channels: []string{"can1"}})
	address := "ws://" + l.Addr().String()
	hubtest.Open(t, h, "can0", &hub.SubscriberOptions{Queue: 1}) // never receives
	sender, other := dial(t, address, nil), dial(t, address+"/can1", nil)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for err = nil; err == nil; {
		err = sender.Send(ctx, hub.FD(1, make([]byte, 64)...))
	}
	if err != context.DeadlineExceeded {
		t.Fatalf("Send: %v, want it to wait", err)
	}
	node := hubtest.Open(t, h, "can1", nil)
	send(t, other, hub.Std(1))
	hubtest.Want(t, node, hub.Std(1))
	start := time.Now()
	end()
	if took := time.Since(start); took > 2*goodbye {
		t.Errorf("the server took %v to end", took)
	}
}

func TestEndOfTheServerEndsClientsInTheRegularWay(t *testing.T) {
	for name, byHub := range map[string]bool{"Serve": false, "Hub.Close": true} {
		t.Run(name, func(t *testing.T) {
			h := hubtest.New(t)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			end := serveOn(t, l, h, nil)
			var clients []*Bus
			for range 20 {
				clients = append(clients, dial(t, "ws://"+l.Addr().String(), nil))
			}
			if byHub {
				send(t, clients[0], hub.Std(1))
				hubtest.Want(t, clients[1], hub.Std(1)) // so the channel has it
				h.Close()
				for _, b := range clients[2:] {
					hubtest.Want(t, b, hub.Std(1))
				}
			} else {
				end()
			}
			for i, b := range clients {
				if err := recvError(t, b); err != hub.ErrClosed {
					t.Errorf("client %d: %v, want hub.ErrClosed", i, err)
				}
				if err := b.Send(t.Context(), hub.Std(1)); err != hub.ErrClosed {
					t.Errorf("client %d: Send: %v, want hub.ErrClosed", i, err)
				}
			}
		})
	}
}

func TestEndDoesNotWaitForADeadClient(t *testing.T) {
	h := hubtest.New(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	end := serveOn(t, l, h, &Options{WriteTimeout: time.Minute})
	rawDial(t, l.Addr().String()).open(t).Conn.(*net.TCPConn).SetReadBuffer(4096)
	node := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
	batch := make([]hub.Message, 200)
	for i := range batch {
		batch[i] = hub.FD(1, make([]byte, 64)...)
	}
	for range 1000 { // until the connection is full
		if err := node.SendBatch(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Microsecond) // what is dropped does not fill it
	}
	start := time.Now()
	end()
	if took := time.Since(start); took > 2*goodbye {
		t.Errorf("the server took %v to end", took)
	}
}

func TestServeReturnsTheListenersError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(t.Context(), l, hubtest.New(t), nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener: %v", err)
	}
}

func TestJunkLeavesNothingBehind(t *testing.T) {
	number := 10_000
	if testing.Short() {
		number = 500
	}
	h := hubtest.New(t)
	address := strings.TrimSuffix(strings.TrimPrefix(serve(t, h, &Options{HandshakeTimeout: time.Second}), "ws://"), "/")
	junk := []string{
		"", "\x16\x03\x01\x00\x05hello", "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", strings.Repeat("x", 70_000),
		head, head + "\x81", head + "\x88\x80\x00\x00\x00\x00", head + "\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x00\x00\x00\x00",
		head + string(appendMasked(nil, opText, []byte(`{"type": "bus_request", "payload": {"config": {}}}`), 1)),
		head + string(appendMasked(nil, opText, []byte(`[[[[[[`), 1)), head + strings.Repeat("\x89\x80\x00\x00\x00\x00", 100),
	}
	one := func(i int) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, junk[i%len(junk)])
		if i%3 == 0 {
			conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			conn.Read(make([]byte, 1000))
		}
	}
	memory := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	one(9)
	before, goroutines := memory(), runtime.NumGoroutine()
	var wg sync.WaitGroup
	for w := range 20 {
		wg.Go(func() {
			for i := w; i < number; i += 20 {
				one(i)
			}
		})
	}
	wg.Wait()
	hubtest.WaitPeers(t, h, "can0", 0)
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > goroutines+2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
	if grown := memory() - before; grown > 4<<20 {
		t.Errorf("%d bytes of heap more than before", grown)
	}
}
