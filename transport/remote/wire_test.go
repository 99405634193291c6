package remote

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/internal/golden"

	"github.com/google/go-cmp/cmp"
)

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

// What is written behind a part of a frame would be taken for the rest of it, so
// a CLOSE would arrive as data.
func TestNothingIsSentBehindAPartOfAFrame(t *testing.T) {
	us, them := net.Pipe()
	defer us.Close()
	w := &wire{Conn: us, wait: patience, pen: make(chan struct{}, 1)}
	sent := make(chan error, 1)
	go func() { sent <- w.send(w.appendMessage(nil, opBinary, make([]byte, 23))) }()
	var part [10]byte
	if _, err := io.ReadFull(them, part[:]); err != nil {
		t.Fatal(err)
	}
	us.SetWriteDeadline(time.Now())
	if err := <-sent; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("send: %v, want it to run into its deadline", err)
	}
	rest := make(chan []byte, 1)
	go func() {
		p, _ := io.ReadAll(them)
		rest <- p
	}()
	if n, err := w.Write([]byte{final | opClose, 0}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a CLOSE behind it: %d, %v", n, err)
	}
	if err := w.send(w.appendMessage(nil, opBinary, []byte{1})); err == nil {
		t.Error("a message behind it: no error")
	}
	us.Close()
	if p := <-rest; len(p) > 0 {
		t.Errorf("%x came behind a part of a frame", p)
	}
}

// With TLS each frame is a write of its own, and a slow client could draw out the
// end of the server with each.
func TestHaste(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		us, them := net.Pipe()
		var wg sync.WaitGroup
		defer wg.Wait()
		defer us.Close()
		wg.Go(func() {
			for p := make([]byte, 1); ; time.Sleep(haste / 10) {
				if _, err := them.Read(p); err != nil {
					return
				}
			}
		})
		w := &wire{Conn: us, single: true, wait: time.Minute, pen: make(chan struct{}, 1)}
		var frames []byte
		for range 100 {
			frames = w.appendMessage(frames, opBinary, []byte{1})
		}
		time.AfterFunc(time.Second, w.hurry)
		start := time.Now()
		err := w.send(frames)
		if took := time.Since(start); took != time.Second+haste || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("send took %v, %v, want it to end %v after hurry", took, err, haste)
		}
	})
}

// A writer is a connection that can only be written to.
type writer struct {
	net.Conn
	write func(p []byte)
}

func (w writer) Write(p []byte) (int, error) { w.write(p); return len(p), nil }

func TestEveryFrameOfPythonHasTheSameHead(t *testing.T) {
	for _, v := range golden.Load[vector](t, "remote_wsframes.json", 28) {
		w := &wire{}
		got := w.appendMessage(nil, byte(v.Opcode), golden.Hex(t, v.Payload))
		if v.Mask != "" {
			k := golden.Hex(t, v.Mask)
			key := uint32(k[0])<<24 | uint32(k[1])<<16 | uint32(k[2])<<8 | uint32(k[3])
			got = appendMasked(nil, byte(v.Opcode), golden.Hex(t, v.Payload), key)
		}
		if want := golden.Hex(t, v.Hex); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", v.Name, got, want)
		}
		if n := frameLen(got); n != len(got) {
			t.Errorf("%s: frameLen %d, want %d", v.Name, n, len(got))
		}
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
