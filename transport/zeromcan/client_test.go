package zeromcan_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

// played dials servers that say what they are to.
func played(t *testing.T, calls, frames []segment, o zeromcan.DialOptions) *zeromcan.Bus {
	t.Helper()
	address, _ := play(t, calls)
	publish, _ := play(t, frames)
	return dial(t, place{address, publish}, &o)
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), long)
	t.Cleanup(cancel)
	return ctx
}

func TestServerThatDoesNotReplyEndsTheBus(t *testing.T) {
	b := played(t, callsOf(), framesOf(), zeromcan.DialOptions{ReplyTime: 50 * time.Millisecond})
	if err := b.Send(within(t), hub.Std(1)); err == nil || !strings.Contains(err.Error(), "no reply within 50ms") {
		t.Errorf("Send = %v, want that there is no reply", err)
	}
	if _, err := b.Recv(within(t)); err == nil || !strings.Contains(err.Error(), "no reply within 50ms") {
		t.Errorf("Recv = %v, want that there was no reply", err)
	}
	b.Close()
	if _, err := b.Recv(within(t)); err != hub.ErrClosed {
		t.Errorf("Recv after Close = %v, want hub.ErrClosed", err)
	}
}

const (
	sendStd1 = "0100" + "000f" + "9203" + "94" + "a7636c69656e7430" + "01" + "c2" + "9105" // hub.Std(1, 5)
	sent     = "0100000392" + "00c0"
)

// A Send that is given up has asked the server; the next one waits for that
// answer first and does not take it for its own.
func TestReplyToASendThatWasGivenUpIsNotTheNextOnes(t *testing.T) {
	refused := "0100" + "0005" + "9201" + "a26e6f" // "no"
	given := make(chan struct{})
	calls, done := play(t, callsOf(
		segment{"client", sendStd1},
		segment{"wait", ""},
		segment{"server", refused}, segment{"client", sendStd1}, segment{"server", sent},
		segment{"client", sendStd1}, segment{"server", refused}), given)
	publish, _ := play(t, framesOf())
	b := dial(t, place{calls, publish}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Send(ctx, hub.Std(1, 5)); err != context.DeadlineExceeded {
		t.Errorf("Send = %v, want context.DeadlineExceeded", err)
	}
	close(given)
	if err := b.Send(within(t), hub.Std(1, 5)); err != nil {
		t.Errorf("the next Send = %v", err)
	}
	if err := b.Send(within(t), hub.Std(1, 5)); err == nil || !strings.Contains(err.Error(), `status 1: "no"`) {
		t.Errorf("Send = %v, want what the server says", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s := b.Stats(); s.Sent != 1 {
		t.Errorf("Stats %+v, want 1 sent", s)
	}
}

// However often a Send is given up: the time for a reply runs since its call.
func TestReplyTimeIsThatOfTheCall(t *testing.T) {
	b := played(t, callsOf(segment{"client", sendStd1}), framesOf(), zeromcan.DialOptions{ReplyTime: 300 * time.Millisecond})
	for end := time.Now().Add(long); ; {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		err := b.Send(ctx, hub.Std(1, 5))
		cancel()
		if err != context.DeadlineExceeded {
			if err == nil || !strings.Contains(err.Error(), "no reply within 300ms") {
				t.Errorf("Send = %v, want that there is no reply", err)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal("the bus goes on with a server that does not reply")
		}
	}
}

func TestReplyThatHasComeCounts(t *testing.T) {
	for range 50 { // of what has come at once, a select takes any
		if err := zeromcan.ReplyAtTheEnd([]byte("\x92\x00\xc0")); err != nil {
			t.Fatalf("the server has sent the message, Send says %v", err)
		}
	}
}

func TestClientAnswersPINGs(t *testing.T) {
	ping := segment{"server", hexed("\x04\x0a\x04PING\x00\x00abc")}
	pong := segment{"client", hexed("\x04\x08\x04PONGabc")}
	for name, more := range map[string][]segment{
		"with nothing to do": {ping, pong},
		"in a call":          {{"client", sendStd1}, ping, pong, {"server", sent}},
	} {
		t.Run(name, func(t *testing.T) {
			calls, done := play(t, callsOf(more...))
			publish, published := play(t, framesOf(ping, pong))
			b := dial(t, place{calls, publish}, nil)
			if len(more) > 2 {
				send(t, b, hub.Std(1, 5))
			}
			for _, played := range []chan error{done, published} {
				if err := <-played; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestMessageOfASendThatWasGivenUpIsCounted(t *testing.T) {
	given := make(chan struct{})
	calls, _ := play(t, callsOf(
		segment{"client", sendStd1},
		segment{"wait", ""},
		segment{"server", sent}, segment{"client", sendStd1}, segment{"server", sent}), given)
	publish, _ := play(t, framesOf())
	b := dial(t, place{calls, publish}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Send(ctx, hub.Std(1, 5)); err != context.DeadlineExceeded {
		t.Errorf("Send = %v, want context.DeadlineExceeded", err)
	}
	close(given)
	send(t, b, hub.Std(1, 5))
	if s := b.Stats(); s.Sent != 2 {
		t.Errorf("Stats %+v, want 2 sent", s)
	}
}

// Otherwise each Send from then on would take the reply of the one before for its
// own.
func TestReplyToNothingEndsTheBus(t *testing.T) {
	calls, _ := play(t, callsOf(segment{"server", sent}))
	publish, _ := play(t, framesOf())
	b, err := zeromcan.Dial(t.Context(), calls, &zeromcan.DialOptions{Publish: publish})
	if err == nil { // it may have come before that
		defer b.Close()
		_, err = b.Recv(within(t))
	}
	if err == nil || !strings.Contains(err.Error(), "a reply to nothing") {
		t.Errorf("%v, want that it is a reply to nothing", err)
	}
}

// A server that reads nothing is waited for as long as ctx says.
func TestSendToAServerThatDoesNotReadEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	full := make(chan error, 1)
	go func() {
		full <- func() error {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			for _, s := range callsOf() {
				b, err := hex.DecodeString(s.Hex)
				if s.From == "server" {
					_, err = c.Write(b)
				} else if err == nil {
					_, err = io.ReadFull(c, b)
				}
				if err != nil {
					return err
				}
			}
			if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
				return err
			}
			// Until the client no longer reads them, for it cannot answer.
			pings := bytes.Repeat([]byte("\x04\x17\x04PING\x00\x000123456789abcdef"), 1000)
			for {
				if err := c.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
					return err
				}
				if _, err := c.Write(pings); err != nil {
					return nil
				}
			}
		}()
	}()
	publish, _ := play(t, framesOf())
	b := dial(t, place{l.Addr().String(), publish}, nil)
	if err := <-full; err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.Send(ctx, hub.Std(1)); err != context.DeadlineExceeded {
		t.Errorf("Send = %v, want context.DeadlineExceeded", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("Send has taken %v, its ctx 50ms", d)
	}
}

// Nobody confirms a subscription in ZMTP 3.0. In 3.1 libzmq does so a little before
// it has seen it.
func TestDialGivesASubscriptionTime(t *testing.T) {
	old := framesOf()
	old[1].Hex = greetingHex[:22] + "00" + greetingHex[24:]
	old[4].Hex = "000101"
	for name, c := range map[string]struct {
		frames []segment
		least  time.Duration
	}{
		"ZMTP 3.0": {old[:5], time.Second},
		"ZMTP 3.1": {framesOf(), 5 * time.Millisecond},
	} {
		began := time.Now()
		played(t, callsOf(), c.frames, zeromcan.DialOptions{})
		if d := time.Since(began); d < c.least {
			t.Errorf("%s: Dial has returned after %v, want %v at least", name, d, c.least)
		}
	}
}

// Neither a server that says nothing more after the handshake keeps Dial for long,
// nor one that says much, but no reply.
func TestDialEndsWithoutAReply(t *testing.T) {
	for name, say := range map[string]string{"nothing": "", "PING": "\x04\x07\x04PING\xff\xff", "a command": "\x04\x02\x01a"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			go io.Copy(io.Discard, c) // ends with c
			_, err = c.Write(append(bytes.Clone(greeting), ready("REP")...))
			for err == nil && say != "" {
				_, err = c.Write([]byte(say))
			}
			<-t.Context().Done()
		}()
		began := time.Now()
		_, err = zeromcan.Dial(t.Context(), l.Addr().String(), &zeromcan.DialOptions{Publish: l.Addr().String(), ReplyTime: 100 * time.Millisecond})
		if err == nil || !strings.Contains(err.Error(), "ask for the version") || time.Since(began) > long {
			t.Errorf("%s: Dial = %v after %v, want that it has asked for the version", name, err, time.Since(began))
		}
		l.Close()
		t.Cleanup(func() { <-ended })
	}
}

func TestLostConnectionIsNamed(t *testing.T) {
	ended := framesOf(segment{"server", "02ffffffffffffffff"})
	calls, _ := play(t, callsOf())
	publish, _ := play(t, ended)
	b, err := zeromcan.Dial(t.Context(), calls, &zeromcan.DialOptions{Publish: publish})
	if err == nil {
		defer b.Close()
		_, err = b.Recv(within(t))
	}
	if err == nil || !strings.Contains(err.Error(), publish) {
		t.Errorf("%v, want it to name %s", err, publish)
	}
}

func TestLostConnectionEndsTheBusAfterWhatWasQueued(t *testing.T) {
	h := newHub(t)
	s, stop := serveAt(t, h, zeromcan.Options{}, place{"127.0.0.1:0", ""})
	b, local := dial(t, s, nil), node(t, h)
	send(t, local, hub.Std(1), hub.Std(2))
	for b.Stats().Queued < 2 && within(t).Err() == nil {
		time.Sleep(time.Millisecond)
	}
	stop()
	hubtest.Want(t, b, hub.Std(1), hub.Std(2))
	if _, err := b.Recv(within(t)); !errors.Is(err, hub.ErrClosed) || !strings.Contains(err.Error(), "has closed the connection") {
		t.Errorf("Recv = %v, want hub.ErrClosed and that the server did it", err)
	}
	if err := b.Send(within(t), hub.Std(1)); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Send = %v, want hub.ErrClosed", err)
	}
	b.Close()
	if err := b.Send(within(t), hub.Std(1)); err != hub.ErrClosed {
		t.Errorf("Send after Close = %v, want hub.ErrClosed", err)
	}
}

func TestFiltersAndOwnMessages(t *testing.T) {
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{})
	b := dial(t, s, &zeromcan.DialOptions{OwnMessages: true, Filters: []hub.Filter{{ID: 2, Mask: 0x7FF}}})
	local := node(t, h)
	send(t, local, hub.Std(1), hub.Std(2, 1))
	send(t, b, hub.Std(2, 2), hub.Std(1))
	send(t, local, hub.Std(2, 3))
	for i, own := range []bool{false, true, false} {
		m := recv(t, b)
		if !m.Equal(hub.Std(2, byte(i+1))) || (m.Flags&hub.Own != 0) != own {
			t.Errorf("message %d is %v, Own %v", i, m, m.Flags&hub.Own != 0)
		}
	}
	if s := b.Stats(); s.Unwanted != 2 {
		t.Errorf("Stats %+v, want 2 unwanted", s)
	}
}

func TestDialTellsWhatIsWrong(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	s := serve(t, newHub(t), zeromcan.Options{})
	old, _ := play(t, append(callsOf()[:5:5], segment{"server", "01000003" + "920002"}))
	nameless, _ := play(t, append(callsOf()[:7:7], segment{"server", "01000003" + "920005"}))
	refusing, _ := play(t, append(callsOf()[:5:5], segment{"server", "01000005" + "9203a26e6f"}))
	for name, c := range map[string]struct {
		address string
		o       *zeromcan.DialOptions
		want    string
	}{
		"nobody there":         {gone.Addr().String(), nil, gone.Addr().String()},
		"nobody publishes":     {s.calls, &zeromcan.DialOptions{Publish: gone.Addr().String()}, gone.Addr().String()},
		"the wrong port":       {s.publish, nil, `type "PUB", want REP or ROUTER`},
		"the other wrong port": {s.calls, &zeromcan.DialOptions{Publish: s.calls}, `type "REP", want PUB or XPUB`},
		"another version":      {old, nil, "version is 2, want 1"},
		"no name":              {nameless, nil, "ask for a name"},
		"a refusal":            {refusing, nil, `status 3: "no"`},
		"a wrong port":         {"localhost:x", nil, "want a port"},
		"no port after":        {"localhost:65535", nil, "there is no port after it"},
		"a wrong Publish":      {"localhost:1", &zeromcan.DialOptions{Publish: "x"}, `publication address "x"`},
		"a wrong ReplyTime":    {"localhost", &zeromcan.DialOptions{ReplyTime: -1}, "ReplyTime"},
		"a wrong filter":       {"", &zeromcan.DialOptions{Filters: []hub.Filter{{StandardOnly: true, ExtendedOnly: true}}}, "Filters[0]"},
	} {
		b, err := zeromcan.Dial(within(t), c.address, c.o)
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "zeromcan: ") {
			t.Errorf("%s: %v, want an error with %q", name, err, c.want)
		}
	}
	for _, o := range []*zeromcan.DialOptions{nil, {Publish: silent.Addr().String()}} {
		address := silent.Addr().String()
		if o != nil {
			address = s.calls
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := zeromcan.Dial(ctx, address, o); err != context.DeadlineExceeded {
			t.Errorf("Dial of who says nothing: %v, want context.DeadlineExceeded", err)
		}
		cancel()
	}
}
