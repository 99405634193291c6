package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/netns"
	"github.com/canhub-go/canhub/transport/multicast"
)

// A notice is a stderr on which a word is waited for.
type notice struct {
	word string
	seen chan struct{} // closed by Write

	mu   sync.Mutex
	text strings.Builder
}

func (n *notice) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := strings.Contains(n.text.String(), n.word)
	n.text.Write(p)
	if !before && strings.Contains(n.text.String(), n.word) {
		close(n.seen)
	}
	return len(p), nil
}

func TestBridgeForwardsUntilInterrupted(t *testing.T) {
	if !netns.Isolated(t) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a, err := multicast.Open("239.74.163.2", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := multicast.Open("239.74.163.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	stderr := &notice{word: "side b is", seen: make(chan struct{})}
	code := make(chan int)
	go func() {
		code <- run(strings.Fields("bridge --map-ab 123=321 multicast://239.74.163.2 multicast://239.74.163.3"),
			&app{strings.NewReader(""), io.Discard, stderr})
	}()
	select {
	case <-stderr.seen:
	case c := <-code:
		t.Fatalf("code %d: %s", c, stderr.text.String())
	case <-ctx.Done():
		t.Fatal("the bridge does not begin")
	}
	for i, way := range []struct {
		from, to hub.Bus
		m, want  hub.Message
	}{{a, b, hub.Std(0x123, 1), hub.Std(0x321, 1)}, {b, a, hub.Std(0x123, 2), hub.Std(0x123, 2)}} {
		if err := way.from.Send(ctx, way.m); err != nil {
			t.Fatal(err)
		}
		if m, err := way.to.Recv(ctx); err != nil || !m.Equal(way.want) {
			t.Errorf("way %d: %v, %v, want %v", i, m, err, way.want)
		}
	}
	syscall.Kill(syscall.Getpid(), syscall.SIGINT)
	if c := <-code; c != 0 {
		t.Errorf("code %d, want 0", c)
	}
	if got := fmt.Sprint(stderr.text.String()); !strings.Contains(got, "a to b: 1 frame, 1 forwarded; b to a: 1 frame, 1 forwarded\n") {
		t.Errorf("said %q", got)
	}
}

func TestPlayIsReceivedByOthers(t *testing.T) {
	if !netns.Isolated(t) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	a, err := multicast.Open("239.74.163.2", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	log := t.TempDir() + "/x.log"
	write(t, log, "(1.0) can0 001#\n(1.01) can1 002#AA\n(3600.0) can1 003#\n")
	stderr := &notice{word: "never", seen: make(chan struct{})}
	code := make(chan int)
	go func() {
		code <- run([]string{"play", log, "multicast://239.74.163.2"}, &app{strings.NewReader(""), io.Discard, stderr})
	}()
	for _, want := range []hub.Message{hub.Std(1), hub.Std(2, 0xAA)} {
		if m, err := a.Recv(ctx); err != nil || !m.Equal(want) {
			t.Fatalf("%v, %v, want %v", m, err, want)
		}
	}
	syscall.Kill(syscall.Getpid(), syscall.SIGINT) // it waits for an hour
	if c := <-code; c != 0 {
		t.Errorf("code %d, want 0", c)
	}
	if !strings.HasPrefix(stderr.text.String(), "canhub: 2 frames sent in ") {
		t.Errorf("said %q", stderr.text.String())
	}
}
