package virtualcan

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

func TestSendSaysWhatTheProtocolCannotCarry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := net.Pipe()
		b := newBus(conn, "there", *options(t, nil))
		failure := hub.Std(4)
		failure.Flags = hub.Error
		for want, m := range map[string]hub.Message{
			"no remote frames": hub.RTR(1, 2), "no CAN FD frames": hub.FD(1, 2), "no error frames": failure,
		} {
			if err := b.Send(t.Context(), m); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), want) {
				t.Errorf("Send(%v) = %v, want an error that matches ErrUnsupported and says %q", m, err, want)
			}
		}
		far.Close()
		b.Close()
	})
}

func options(t testing.TB, o *DialOptions) *DialOptions {
	t.Helper()
	r, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func TestABridgeCountsWhatTheProtocolCannotCarry(t *testing.T) {
	h, there := hub.New(nil), hub.New(nil)
	t.Cleanup(func() { h.Close(); there.Close() })
	_, address := serve(t, there, nil)
	client := dial(t, there, address, nil)
	local, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	far, err := there.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	node, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	var stats bridge.Stats
	go func() { done <- bridge.Run(ctx, local, client, &bridge.Options{Stats: &stats}) }()
	send(t, node, hub.RTR(1, 2), hub.FD(2, 1), hub.Std(3))
	if m, err := far.Recv(t.Context()); err != nil || m.ID != 3 {
		t.Errorf("received %v, %v", m, err)
	}
	cancel()
	<-done
	if n := stats.AToB.Refused.Load(); n != 2 {
		t.Errorf("%d refused, want 2", n)
	}
}

func TestABusSeesHowItsServerEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(c *net.TCPConn)
		want string // "" is ErrClosed
	}{
		"closed":          {func(c *net.TCPConn) {}, ""},
		"cut in a packet": {func(c *net.TCPConn) { c.Write([]byte{0, 0, 0, 14, 1}) }, "lost: unexpected EOF in a packet"},
		"reset":           {func(c *net.TCPConn) { c.SetLinger(0) }, "lost: "},
		"no packets":      {func(c *net.TCPConn) { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n")) }, "lost: a packet of 1213486160 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			b, err := Dial(t.Context(), l.Addr().String(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			c, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.Write(packets(hub.Std(1)))
			before := time.Now().UnixNano()
			if m, err := b.Recv(t.Context()); err != nil || m.ID != 1 || m.Timestamp < before-int64(patience) || m.Timestamp > time.Now().UnixNano() {
				t.Fatalf("received %v at %d, %v", m, m.Timestamp, err)
			}
			tt.end(c.(*net.TCPConn))
			c.Close()
			err = recvError(t, b)
			if tt.want == "" && err != hub.ErrClosed ||
				tt.want != "" && (errors.Is(err, hub.ErrClosed) || !strings.Contains(err.Error(), "connection to "+l.Addr().String()+" "+tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if again := recvError(t, b); again != err {
				t.Errorf("and then %v", again)
			}
			if sent := b.Send(t.Context(), hub.Std(1)); sent != err {
				t.Errorf("Send: %v, want %v", sent, err)
			}
			b.Close()
			if err := recvError(t, b); err != hub.ErrClosed {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

func TestABusPassesOverPacketsThatAreNoFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := net.Pipe()
		var log logged
		b := newBus(conn, "there", *options(t, &DialOptions{Logger: log.logger(), Filters: []hub.Filter{{ID: 0x100, Mask: 0x700}}}))
		far.Write(golden.Hex(t, "00000000"+"00000001e0"+"0000000e000001c60009c600000000000000"))
		far.Write(packets(hub.Std(0x201), hub.Std(0x101)))
		if m, err := b.Recv(t.Context()); err != nil || m.ID != 0x101 {
			t.Errorf("received %v, %v", m, err)
		}
		if s := b.Stats(); s != (Stats{Received: 1, Malformed: 3}) {
			t.Errorf("%+v", s)
		}
		if lines := log.lines("no frame"); len(lines) != 1 || !strings.Contains(lines[0], "server=there") {
			t.Errorf("logged %q", lines)
		}
		far.Close()
		b.Close()
	})
}

func TestWhatCloseLeavesUnreadIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := net.Pipe()
		b := newBus(conn, "there", *options(t, nil))
		go func() {
			far.Write(packets(numbered(queueLength + 10)...))
			far.Close()
		}()
		synctest.Wait()
		if n := b.Stats().Received; n != queueLength+1 {
			t.Errorf("%d received, want as many as there is room for, and one that waits", n)
		}
		b.Close()
		if n := b.Stats().Received; n != queueLength {
			t.Errorf("%d received after Close, want as many as there was room for", n)
		}
	})
}

func TestAServerThatSendsHalfAPacketIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, far := net.Pipe()
		b := newBus(conn, "there", *options(t, nil))
		time.Sleep(time.Hour)
		begin := time.Now()
		far.Write([]byte{0, 0})
		_, err := b.Recv(t.Context())
		if d := time.Since(begin); err == nil || !strings.Contains(err.Error(), "within 10s") || d != 10*time.Second {
			t.Errorf("after %v: %v", d, err)
		}
		b.Close()
	})
}

func TestCloseDoesNotWaitForAServerThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := net.Pipe()
		b := newBus(conn, "there", *options(t, nil))
		for range 100 {
			send(t, b, hub.Std(1))
		}
		begin := time.Now()
		b.Close()
		if d := time.Since(begin); d != 2*time.Second {
			t.Errorf("Close took %v", d)
		}
	})
}

// A close with bytes unread resets a TCP connection, and then what was sent last
// may be lost.
func TestCloseDeliversAlthoughMuchWasNotReceived(t *testing.T) {
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() })
	_, address := serve(t, h, nil)
	for range 5 {
		b := dial(t, h, address, nil)
		node, err := h.Open("can0", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := node.SendBatch(t.Context(), numbered(3000)); err != nil {
			t.Fatal(err)
		}
		send(t, b, numbered(200)...)
		begin := time.Now()
		b.Close()
		if d := time.Since(begin); d >= goodbye {
			t.Errorf("Close took %v", d)
		}
		for i := range 200 {
			if m, err := node.Recv(t.Context()); err != nil || m.ID != uint32(i) {
				t.Fatalf("received %v, %v, want %d", m, err, i)
			}
		}
		node.Close()
		subscribers(t, h, 0)
	}
}

func TestDialErrorsNameTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for address, want := range map[string]string{
		l.Addr().String(): "virtualcan: dial tcp " + l.Addr().String(),
		"":                `address "": want HOST:PORT`,
		":18881":          `address ":18881": want HOST:PORT`,
		"localhost:":      `address "localhost:": want HOST:PORT`,
		"a:b:c":           "too many colons",
	} {
		if b, err := Dial(t.Context(), address, nil); b != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, l.Addr().String(), nil); err != context.Canceled {
		t.Errorf("under a done ctx: %v", err)
	}
}

func TestAddressesWithoutPortHaveVirtualcans(t *testing.T) {
	for address, want := range map[string]string{
		"localhost": "localhost:18881", "localhost:1": "localhost:1", "10.0.0.1": "10.0.0.1:18881",
		"::1": "[::1]:18881", "[::1]": "[::1]:18881", "[::1]:5": "[::1]:5",
	} {
		if got, err := withPort(address); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", address, got, err, want)
		}
	}
}
