package virtualcan

import (
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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
