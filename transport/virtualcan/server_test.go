package virtualcan

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

func TestAClientThatNeverReadsLosesOnlyItsOwnMessagesAndIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Queue: 64})
		b.pipes.dial(t)
		quick := collect(b.pipes.dial(t))
		synctest.Wait()
		for _, m := range numbered(200) {
			send(t, b.node, m)
			synctest.Wait()
		}
		time.Sleep(grace) // the channel waits once, and not for each message
		synctest.Wait()
		if d := cmp.Diff(numbered(200), quick.messages(t)); d != "" {
			t.Errorf("the quick client (-want +got):\n%s", d)
		}
		// One write holds what the server got before the pipe was stuck.
		if s := b.Stats(); s.Clients != 2 || s.Dropped < 100 || s.Dropped > 200-64 {
			t.Errorf("%+v, want about 135 messages dropped", s)
		}
		time.Sleep(10*time.Second - grace - 1)
		synctest.Wait()
		if n := b.Stats().Clients; n != 2 {
			t.Errorf("%d clients before the time is over", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		dropped := b.Stats().Dropped
		if n := b.Stats().Clients; n != 1 || dropped < 100 {
			t.Errorf("%d clients, %d messages dropped; want the slow one gone and its losses still counted", n, dropped)
		}
		if lines := b.log.lines("client dropped"); len(lines) != 1 || !strings.Contains(lines[0], "nothing was taken for 10s") {
			t.Errorf("logged %q", lines)
		}
		send(t, b.node, hub.Std(1))
		synctest.Wait()
		if got := quick.messages(t); len(got) != 201 {
			t.Errorf("the quick client has %d messages", len(got))
		}
		b.end()
	})
}

func TestAClientThatComesToReadInTimeLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Queue: 64})
		conn := b.pipes.dial(t)
		synctest.Wait()
		if err := b.node.SendBatch(t.Context(), numbered(500)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(grace - 1)
		c := collect(conn)
		synctest.Wait()
		if d := cmp.Diff(numbered(500), c.messages(t)); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if n := b.Stats().Dropped; n != 0 {
			t.Errorf("%d dropped", n)
		}
		b.end()
	})
}

func TestALossIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Queue: 8})
		slow := b.pipes.dial(t)
		synctest.Wait()
		for _, m := range numbered(100) {
			send(t, b.node, m)
			synctest.Wait()
		}
		time.Sleep(grace)
		synctest.Wait()
		collect(slow)
		synctest.Wait()
		if lines := b.log.lines("does not keep up"); len(lines) != 1 {
			t.Errorf("logged %q", lines)
		}
		b.end()
	})
}

func TestAClientThatTakesALittleAgainAndAgainStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Queue: 8})
		conn := b.pipes.dial(t)
		synctest.Wait()
		send(t, b.node, numbered(8)...)
		for range 30 {
			time.Sleep(9 * time.Second)
			if _, err := conn.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := b.Stats().Clients; n != 1 {
			t.Error("it was dropped")
		}
		conn.Close()
		b.end()
	})
}

func TestAClientThatSendsHalfAPacketIsDropped(t *testing.T) {
	whole := packets(hub.Std(0x123, 1))
	for name, write := range map[string]func(conn net.Conn){
		"half a prefix":  func(conn net.Conn) { conn.Write(whole[:2]) },
		"half a packet":  func(conn net.Conn) { conn.Write(whole[:7]) },
		"one and a half": func(conn net.Conn) { conn.Write(append(packets(hub.Std(0x123, 1)), whole[:7]...)) },
		"bytes in time, but too many": func(conn net.Conn) {
			for i := range whole {
				if _, err := conn.Write(whole[i : i+1]); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Options{})
				silent := collect(b.pipes.dial(t)) // sends nothing, and may
				conn := b.pipes.dial(t)
				c := collect(conn)
				time.Sleep(time.Hour)
				go write(conn)
				time.Sleep(10*time.Second - 1)
				synctest.Wait()
				if c.ended() {
					t.Error("dropped before its time is over")
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if !c.ended() || silent.ended() {
					t.Errorf("dropped: %t, and the silent one: %t", c.ended(), silent.ended())
				}
				if lines := b.log.lines("client dropped"); len(lines) != 1 || !strings.Contains(lines[0], "the rest of a packet did not come within 10s") {
					t.Errorf("logged %q", lines)
				}
				time.Sleep(time.Minute)
				b.end()
			})
		})
	}
}

// A packet must be there in its time, but a channel that is busy is not its
// sender's fault.
func TestABusyChannelDoesNotCountForHalfAPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		conn := b.pipes.dial(t)
		synctest.Wait()
		p := packets(numbered(100_000)...)
		at := len(p) - 5
		go conn.Write(p[:at])
		time.Sleep(time.Minute) // b.node takes nothing, so that the channel is blocked
		if n := b.Stats().Received; n == 0 || n > 50_000 {
			t.Fatalf("%d messages received, want the channel blocked", n)
		}
		for i := range 99_999 {
			m, err := b.node.Recv(t.Context())
			if err != nil || m.ID != uint32(i) {
				t.Fatalf("%v, %v, want the message %d", m, err, i)
			}
		}
		conn.Write(p[at:])
		synctest.Wait()
		if got := poll(t, b.node); len(got) != 1 || b.Stats().Clients != 1 {
			t.Errorf("%v, %+v", got, b.Stats())
		}
		b.end()
	})
}

func TestPacketsThatAreNoFramesArePassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		other := collect(b.pipes.dial(t))
		conn := b.pipes.dial(t)
		own := collect(conn)
		synctest.Wait()
		var stream, want = []byte{}, []hub.Message(nil)
		bad := uint64(0)
		for i, v := range malformed(t) {
			p := golden.Hex(t, v.Hex)
			got, errs := decodeAll(p)
			if n, err := split(p); err != nil || n == 0 || n > len(p) {
				continue // ends a connection
			}
			bad += uint64(len(errs))
			marker := hub.Std(uint32(i), 0xEE)
			want = append(append(want, got...), marker)
			stream = append(append(stream, p...), packets(marker)...)
		}
		if _, err := conn.Write(stream); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d := cmp.Diff(want, other.messages(t)); d != "" || bad < 8 {
			t.Errorf("%d bad; another client received (-want +got):\n%s", bad, d)
		}
		if s := b.Stats(); s.Malformed != bad || s.Received != uint64(len(want)) || s.Sent != s.Received || s.Clients != 2 {
			t.Errorf("%+v, want %d malformed and %d received", s, bad, len(want))
		}
		if lines := b.log.lines("no frame"); len(lines) != 1 {
			t.Errorf("logged %q, want once a second", lines)
		}
		if got := own.messages(t); got != nil {
			t.Errorf("the sender received %v", got)
		}
		b.end()
	})
}

func TestPacketsThatAreTooLongEndTheConnectionOfTheirSenderAlone(t *testing.T) {
	for name, p := range map[string]string{
		"4 GiB":                "ffffffff24c8eac7",
		"64 KiB":               "0000fffd00000000",
		"wrong byte order":     "0e000000000002d20002defe000000000000",
		"text":                 "68656c6c6f20776f726c640d0a",
		"behind a good packet": "0000000e000002c0000480d0245d00000000" + "80000000",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Options{})
				other := collect(b.pipes.dial(t))
				conn := b.pipes.dial(t)
				c := collect(conn)
				conn.Write(golden.Hex(t, p))
				synctest.Wait()
				if !c.ended() || other.ended() {
					t.Errorf("dropped: %t, and another: %t", c.ended(), other.ended())
				}
				if lines := b.log.lines("client dropped"); len(lines) != 1 || !strings.Contains(lines[0], "is this virtualcan's protocol?") {
					t.Errorf("logged %q", lines)
				}
				if got := poll(t, b.node); len(got) != strings.Count(p, "2c0") {
					t.Errorf("received %v", got)
				}
				b.end()
			})
		})
	}
}

func TestAPacketMayBeAlmost64KiBLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		conn := b.pipes.dial(t)
		p := make([]byte, 64<<10)
		copy(p, golden.Hex(t, "0000fffc000002c0000480d0245d"))
		for range 3 {
			if _, err := conn.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := poll(t, b.node); len(got) != 3 || got[2] != hub.Std(0x2C0, 0x80, 0xD0, 0x24, 0x5D) {
			t.Errorf("received %v", got)
		}
		b.end()
	})
}

func TestWhatTheProtocolCannotCarryIsNotPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		c := collect(b.pipes.dial(t))
		synctest.Wait()
		failure := hub.Std(4)
		failure.Flags = hub.Error
		odd := []hub.Message{hub.RTR(1, 8), hub.FD(2, 1), hub.FD(0x123456, make([]byte, 64)...), failure}
		for range 3 {
			send(t, b.node, odd...)
		}
		send(t, b.node, hub.Std(5))
		synctest.Wait()
		if got := c.messages(t); len(got) != 1 || got[0] != hub.Std(5) {
			t.Errorf("received %v", got)
		}
		if s := b.Stats(); s.Refused != 12 || s.Sent != 1 {
			t.Errorf("%+v, want 12 refused and 1 sent", s)
		}
		lines := b.log.lines("was not passed on")
		if len(lines) != 1 || !strings.Contains(lines[0], "no remote frames") {
			t.Errorf("logged %q, want once", lines)
		}
		time.Sleep(time.Second)
		send(t, b.node, odd[1])
		synctest.Wait()
		if lines := b.log.lines("was not passed on"); len(lines) != 2 || !strings.Contains(lines[1], "no CAN FD frames") || !strings.Contains(lines[1], "so far\"=13") {
			t.Errorf("logged %q, want a second line", lines)
		}
		b.end()
	})
}

func TestTooManyClientsAreNotLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{MaxClients: 1})
		first := b.pipes.dial(t)
		second := collect(b.pipes.dial(t))
		synctest.Wait()
		if s := b.Stats(); !second.ended() || s.Clients != 1 || s.Rejected != 1 || len(b.log.lines("too many clients")) != 1 {
			t.Errorf("%+v", s)
		}
		first.Close()
		synctest.Wait()
		third := collect(b.pipes.dial(t))
		synctest.Wait()
		if third.ended() {
			t.Error("the place of one that has gone is not given again")
		}
		b.end()
	})
}

func TestServeEndsAlthoughClientsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		b.pipes.dial(t) // neither reads nor closes
		conn := b.pipes.dial(t)
		synctest.Wait()
		send(t, b.node, numbered(100)...)
		synctest.Wait() // all is queued
		begin := time.Now()
		var c *collector
		read := time.AfterFunc(haste/2, func() { c = collect(conn) })
		defer read.Stop()
		b.end()
		if d := time.Since(begin); d > time.Second {
			t.Errorf("it took %v", d)
		}
		synctest.Wait()
		if got := c.messages(t); len(got) != 100 || !c.ended() {
			t.Errorf("%d messages arrived, want all that were queued, and the end", len(got))
		}
		if s := b.Stats(); s.Clients != 0 {
			t.Errorf("%+v", s)
		}
		if lines := b.log.lines("client dropped"); lines != nil {
			t.Errorf("logged %q", lines)
		}
	})
}

func TestClosingTheHubEndsTheConnections(t *testing.T) {
	h := hub.New(nil)
	s, address := serve(t, h, nil)
	b := dial(t, h, address, nil)
	node, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	send(t, node, numbered(100)...)
	h.Close()
	for i := range 100 {
		if m, err := b.Recv(t.Context()); err != nil || m.ID != uint32(i) {
			t.Fatalf("received %v, %v, want %d", m, err, i)
		}
	}
	if err := recvError(t, b); err != hub.ErrClosed {
		t.Errorf("at the end: %v", err)
	}
	until(t, "nobody there", func() bool { return s.Stats().Clients == 0 })
}

func TestClientsThatBreakOffDoNoHarm(t *testing.T) {
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() })
	var log logged
	s, address := serve(t, h, &Options{Logger: log.logger()})
	b := dial(t, h, address, nil)
	for _, end := range []func(c *net.TCPConn){
		func(c *net.TCPConn) {},
		func(c *net.TCPConn) { c.Write([]byte{0, 0}) },
		func(c *net.TCPConn) { c.Write(packets(hub.Std(1))[:9]) },
		func(c *net.TCPConn) { c.SetLinger(0) },
		func(c *net.TCPConn) { c.Write([]byte{0, 0, 0, 14}); c.SetLinger(0) },
	} {
		c := raw(t, h, address)
		end(c)
		c.Close()
		subscribers(t, h, 1)
		c = raw(t, h, address)
		c.Write(packets(hub.Std(7)))
		if m, err := b.Recv(t.Context()); err != nil || m.ID != 7 {
			t.Errorf("received %v, %v", m, err)
		}
		c.Close()
		subscribers(t, h, 1)
	}
	if s := s.Stats(); s.Clients != 1 || s.Received != 5 {
		t.Errorf("%+v", s)
	}
	if log.lines("client dropped") == nil {
		t.Error("a cut packet was not logged")
	}
}

func TestPacketsComeInPieces(t *testing.T) {
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() })
	_, address := serve(t, h, nil)
	b := dial(t, h, address, nil)
	c := raw(t, h, address)
	want := messageVectors(t)
	p := packets(want...)
	for size := 1; len(p) > 0; size = size%41 + 1 {
		n := min(size, len(p))
		c.Write(p[:n])
		p = p[n:]
	}
	for _, w := range want {
		if m, err := b.Recv(t.Context()); err != nil || !m.Equal(w) {
			t.Fatalf("received %v, %v, want %v", m, err, w)
		}
	}
}

func TestAServerServesSeveralListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{MaxClients: 2})
		second := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- b.Serve(ctx, second) }()
		here, there := b.pipes.dial(t), second.dial(t)
		c := collect(here)
		there.Write(packets(hub.Std(1)))
		synctest.Wait()
		if got := c.messages(t); len(got) != 1 {
			t.Errorf("received %v", got)
		}
		for _, l := range []*pipes{b.pipes, second} {
			more := collect(l.dial(t))
			synctest.Wait()
			if !more.ended() {
				t.Error("a third was let in")
			}
		}
		gone := collect(there)
		stop()
		err := <-served
		synctest.Wait()
		if err != nil || !gone.ended() || c.ended() {
			t.Errorf("one has ended with %v: its client %t, the other's %t", err, gone.ended(), c.ended())
		}
		b.end()
	})
}

func TestServeGoesOnAfterAShortageAndEndsWithAListenerThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		l := newPipes()
		var log logged
		failed := make(chan error, 1)
		go func() { failed <- Serve(t.Context(), l, h, &Options{Logger: log.logger()}) }()
		l.errs <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
		c := collect(l.dial(t))
		synctest.Wait()
		if c.ended() || len(log.lines("nobody can connect")) != 1 {
			t.Errorf("after a shortage: ended %t", c.ended())
		}
		broken := errors.New("broken")
		l.errs <- broken
		err := <-failed
		synctest.Wait()
		if err != broken || !c.ended() {
			t.Errorf("Serve: %v, and the client's connection has ended: %t", err, c.ended())
		}
	})
}

func TestWrongOptionsAreErrors(t *testing.T) {
	for _, o := range []Options{{Queue: -1}, {Queue: 1<<20 + 1}} {
		if err := Serve(t.Context(), nil, nil, &o); err == nil || !strings.Contains(err.Error(), "Queue") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	_, err := Dial(t.Context(), "localhost", &DialOptions{Filters: []hub.Filter{{StandardOnly: true, ExtendedOnly: true}}})
	if err == nil || !strings.Contains(err.Error(), "Filters[0]") {
		t.Errorf("Dial: %v", err)
	}
}

func TestNegativeTimesAreNoLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{MaxClients: -1, PacketTimeout: -1, WriteTimeout: -1})
		conn := b.pipes.dial(t)
		synctest.Wait()
		send(t, b.node, hub.Std(1))
		conn.Write([]byte{0, 0, 0})
		time.Sleep(1000 * time.Hour)
		if n := b.Stats().Clients; n != 1 {
			t.Errorf("%d clients", n)
		}
		b.end()
	})
}

// A statsHandler asks the server that logs, as one that shows them does.
type statsHandler struct {
	slog.Handler
	server *Server
	got    chan ServerStats
}

func (h *statsHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *statsHandler) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelWarn {
		h.got <- h.server.Stats()
	}
	return nil
}

func TestLoggerMayAskForStats(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	handler := &statsHandler{Handler: slog.DiscardHandler, got: make(chan ServerStats, 1)}
	s, err := NewServer(h, &Options{MaxClients: 1, Logger: slog.New(handler)})
	if err != nil {
		t.Fatal(err)
	}
	handler.server = s
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	for range 2 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	select {
	case got := <-handler.got:
		if got.Clients != 1 || got.Rejected != 1 {
			t.Errorf("%+v, want one client and one rejected", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the server waits for itself")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
