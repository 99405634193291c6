package remote

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

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
	t.Run("without the body of a request", func(t *testing.T) {
		c := rawDial(t, address)
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n")
		if _, err := io.Copy(io.Discard, c); err != nil { // until the end
			t.Error(err)
		}
	})
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
