package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

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

// A server must not reach the terminal of who reads its errors.
func TestTextsOfAServerAreWithoutControlCharacters(t *testing.T) {
	address := oddServer(t, answer101, func(c *rawClient) {
		c.frame()
		c.Write(appendFrameOf(opText, `{"type": "bus_response", "payload": {"channel_info": "a\u001b[2Jb"}}`))
		c.Write(appendFrameOf(opText, `{"type": "error", "payload": "a\u001b[2J\nb"}`))
		c.Write(appendFrameOf(opClose, "\x03\xf3a\x1b[2Jb"))
		c.frame()
	})
	b := dial(t, address, nil)
	said := []string{b.ChannelInfo(), recvError(t, b).Error(), recvError(t, b).Error()}
	refusing := oddServer(t, "HTTP/1.1 400 a\x1b[2Jb\r\nContent-Length: 6\r\n\r\na\x1b[2Jb", nil)
	if _, err := Dial(t.Context(), refusing, nil); err != nil {
		said = append(said, err.Error())
	}
	if len(said) != 4 {
		t.Fatal("Dial succeeds")
	}
	for _, text := range said {
		if strings.ContainsFunc(text, unicode.IsControl) || !strings.Contains(text, "[2J") {
			t.Errorf("%q", text)
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

// What Send has accepted is sent, also when Close comes at the same moment.
func TestCloseLosesNothingThatSendHasAccepted(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, nil)
	node, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		b := dial(t, address, nil)
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
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		for n := range accepted.Load() {
			if _, err := node.Recv(ctx); err != nil {
				t.Fatalf("%d of %d messages arrived: %v", n, accepted.Load(), err)
			}
		}
		cancel()
	}
}
