package zeromcan_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/transport/zeromcan"
)

func TestWhoSaysNothingIsNotWaitedFor(t *testing.T) {
	for _, n := range []int{0, 1, 10, 40, 64, 70} { // so many bytes
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer b.Close()
			defer a.Close()
			go io.Copy(io.Discard, b)
			go b.Write(append(bytes.Clone(greeting), ready("REQ")...)[:n])
			began := time.Now()
			if err := zeromcan.Shake(a); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%d bytes: %v, want os.ErrDeadlineExceeded", n, err)
			}
			if d := time.Since(began); d != 5*time.Second {
				t.Errorf("%d bytes: waited for %v, want 5s", n, d)
			}
		})
	}
}

func TestWhoTakesNothingIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		defer a.Close()
		began := time.Now()
		if err := zeromcan.Write(a, []byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want os.ErrDeadlineExceeded", err)
		}
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("waited for %v, want 10s", d)
		}
	})
}

func TestTTLEndsWhoIsSilentAndNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		defer a.Close()
		go io.Copy(io.Discard, b)
		var last time.Time // when the peer said its last PING
		go func() {
			b.Write(append(bytes.Clone(greeting), ready("REQ")...))
			say := func(frame string, pause time.Duration) {
				last = time.Now()
				b.Write([]byte(frame))
				time.Sleep(pause)
			}
			const ping = "\x04\x07\x04PING\x00\x0a" // 1 s
			say(ping, 900*time.Millisecond)
			say(ping, 900*time.Millisecond)
			say("\x00\x01a", time.Hour) // and nothing is said about what comes then
			say("\x00\x01a", 0)
			say(ping, time.Hour)
		}()
		if ended, err := zeromcan.Silence(a); !ended || time.Since(last) != time.Second {
			t.Errorf("%v, %v after the last PING, want the end after 1s", err, time.Since(last))
		}
		b.Close()
		synctest.Wait()
		time.Sleep(2 * time.Hour)
	})
}

// A script is a connection on which the peer says all that it is, at once.
type script struct {
	net.Conn // nil: what is not below is not called
	in       *bytes.Reader
}

func (s *script) Read(b []byte) (int, error)       { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)      { return len(b), nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// FuzzPeer: whatever a peer says, reading it ends with what it says, and takes no
// more memory than a frame may have.
func FuzzPeer(f *testing.F) {
	for _, conn := range recorded(f).Connections {
		f.Add(said(f, conn.Segments, "client"))
		f.Add(said(f, conn.Segments, "server"))
	}
	hello := append(bytes.Clone(greeting), ready("REQ")...)
	for _, wrong := range wrongFrames {
		f.Add(append(bytes.Clone(hello), wrong...))
	}
	for _, wrong := range wrongHellos {
		f.Add([]byte(wrong))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		longest, err := zeromcan.ReadAll(&script{in: bytes.NewReader(b)})
		if err == nil || longest > 2*zeromcan.MaxFrame {
			t.Errorf("memory for %d bytes, %v", longest, err)
		}
	})
}
