package virtualcan

import (
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

func TestAClientThatIsDroppedIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		conn := b.pipes.dial(t) // never reads
		synctest.Wait()
		send(t, b.node, hub.Std(1))
		synctest.Wait()
		conn.Write([]byte("text"))
		synctest.Wait()
		if n := b.Stats().Clients; n != 0 {
			t.Error("it is still there")
		}
		b.end()
	})
}

type noWrites struct{ net.Conn }

func (noWrites) Write([]byte) (int, error) { return 0, errors.New("no more writes") }

func TestAWriteThatFailsEndsABus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := net.Pipe()
		b := newBus(noWrites{conn}, "there", *options(t, nil))
		send(t, b, hub.Std(1))
		time.Sleep(time.Second / 2)
		far.Write(packets(hub.Std(2)))
		if m, err := b.Recv(t.Context()); err != nil || m.ID != 2 {
			t.Errorf("received %v, %v, want what the server still says", m, err)
		}
		if _, err := b.Recv(t.Context()); err == nil || !strings.Contains(err.Error(), "there lost: no more writes") {
			t.Errorf("%v", err)
		}
		b.Close()
	})
}

// A connection that is closed with bytes unread is reset, and the other side may
// lose what it has not read yet.
func TestCloseDoesNotResetTheConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := Dial(t.Context(), l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(packets(numbered(5000)...))
	until(t, "a full queue", func() bool { return b.Stats().Received > queueLength })
	send(t, b, numbered(200)...)
	closed := make(chan struct{}) // closed below
	go func() {
		b.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("Close did not wait for the server")
	case <-time.After(50 * time.Millisecond):
	}
	p, err := io.ReadAll(conn)
	if got, errs := decodeAll(p); err != nil || len(got) != 200 || errs != nil {
		t.Errorf("the server read %d messages, %v, %v", len(got), errs, err)
	}
	conn.Close()
	<-closed
}

// What Send has accepted is sent, also when Close comes at the same moment.
func TestCloseLosesNothingThatSendHasAccepted(t *testing.T) {
	for range 1000 {
		conn, far := net.Pipe()
		b := newBus(conn, "there", *options(t, nil))
		arrived := make(chan int, 1)
		go func() {
			p, _ := io.ReadAll(far)
			arrived <- len(p) / packetLen
		}()
		var accepted atomic.Int64
		var senders sync.WaitGroup
		for range 4 {
			senders.Go(func() {
				for b.Send(t.Context(), hub.Std(1)) == nil {
					accepted.Add(1)
				}
			})
		}
		for accepted.Load() < 5 {
			runtime.Gosched()
		}
		b.Close()
		senders.Wait()
		if n := <-arrived; n != int(accepted.Load()) {
			t.Fatalf("%d messages arrived, want the %d that were accepted", n, accepted.Load())
		}
	}
}

// A gone connection is one whose other side has gone after what it has sent.
type gone struct{ net.Conn }

func (gone) Write([]byte) (int, error) { return 0, &net.OpError{Op: "write", Err: syscall.EPIPE} }

// Others send to a client that has gone already, and what it has sent before is
// still read.
func TestWhatAClientHasSentBeforeItGoesIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		near, far := net.Pipe()
		b.pipes.conns <- gone{far}
		synctest.Wait()
		send(t, b.node, hub.Std(0x7FF))
		synctest.Wait()
		near.Write(packets(numbered(200)...))
		near.Close()
		synctest.Wait()
		if got := poll(t, b.node); len(got) != 200 {
			t.Errorf("%d messages came, want 200", len(got))
		}
		if n, lines := b.Stats().Clients, b.log.lines("client dropped"); n != 0 || lines != nil {
			t.Errorf("%d clients, logged %q", n, lines)
		}
		b.end()
	})
}

func TestAClientThatHasGoneDoesNotStay(t *testing.T) {
	for name, sent := range map[string]int{"silent": 0, "with more than the channel takes": 100_000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Options{})
				sender, err := b.hub.Open("can0", nil)
				if err != nil {
					t.Fatal(err)
				}
				near, far := net.Pipe()
				b.pipes.conns <- gone{far}
				synctest.Wait()
				if err := sender.SendBatch(t.Context(), numbered(300)); err != nil { // node receives nothing, and blocks the channel
					t.Fatal(err)
				}
				go near.Write(packets(numbered(sent)...))
				time.Sleep(haste - 1)
				synctest.Wait()
				if n := b.Stats().Clients; n != 1 {
					t.Errorf("%d clients before its time is over", n)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if n := b.Stats().Clients; n != 0 {
					t.Error("it is still there")
				}
				near.Close()
				b.end()
			})
		})
	}
}

// The hub forwards what it has accepted before it ends, and a client that sends
// at that moment receives it like everybody else.
func TestAClientThatSendsReceivesWhatAHubThatClosesHasAccepted(t *testing.T) {
	for round := range 8 {
		h := hub.New(nil)
		_, address := serve(t, h, nil)
		c := raw(t, h, address)
		go func() {
			p := packets(numbered(100)...)
			for {
				if _, err := c.Write(p); err != nil {
					return
				}
			}
		}()
		for range 3000 { // so that the hub has work
			if _, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1, Policy: hub.DropNewest}); err != nil {
				t.Fatal(err)
			}
		}
		node, err := h.Open("can0", &hub.SubscriberOptions{SendOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		accepted := 0
		for range 100 {
			if err := node.SendBatch(t.Context(), numbered(10)); err != nil {
				t.Fatal(err)
			}
			accepted += 10
		}
		h.Close()
		got, err := io.ReadAll(c)
		if len(got)/packetLen != accepted {
			t.Fatalf("round %d: %d of %d messages came, %v", round, len(got)/packetLen, accepted, err)
		}
		c.Close()
	}
}

func TestAHubThatClosesDoesNotWaitForAClientThatSendsAndDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		conn := b.pipes.dial(t)
		synctest.Wait()
		send(t, b.node, hub.Std(1)) // it does not read this
		go conn.Write(packets(numbered(100_000)...))
		synctest.Wait()
		b.hub.Close()
		time.Sleep(haste)
		synctest.Wait()
		if n, lines := b.Stats().Clients, b.log.lines("client dropped"); n != 0 || lines != nil {
			t.Errorf("%d clients, logged %q", n, lines)
		}
		b.end()
	})
}
