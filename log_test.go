package canhub

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

func openPlayer(t *testing.T, log, query string) *player {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drive.log")
	if err := os.WriteFile(path, []byte(log), 0o666); err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), "log:"+path+query)
	if err != nil {
		t.Fatal(err)
	}
	return b.(*player)
}

// endless is a log that has no end.
type endless struct{}

func (endless) Read(p []byte) (n int, err error) {
	const line = "(1700000000.000000) can0 123#01\n"
	for len(p)-n >= len(line) {
		n += copy(p[n:], line)
	}
	return n, nil
}

func TestCloseEndsAPlayThatReadsWhatIsNotWanted(t *testing.T) {
	p := openPlayer(t, "", "?channel=can7")
	p.first.Close()
	p.first = canlog.NewReader(io.Reader(endless{}), "endless.log")
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if m, err := p.Recv(soon); err != context.DeadlineExceeded {
		t.Errorf("received %v, %v", m, err)
	}
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("Close has not returned after 10 seconds")
	}
}

func TestAPlayThatEndsBeforeItBeginsClosesItsFile(t *testing.T) {
	p := openPlayer(t, "(1700000000.000000) can0 123#01\n", "")
	p.start.Do(func() { p.stop(); p.run() }) // Recv and Close at the same time
	p.Close()
	for e, err := range p.first.Entries() {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("the file is open: %v, %v", e, err)
		}
	}
}

func TestALogOfBadLinesIsNotPlayedForEver(t *testing.T) {
	p := openPlayer(t, "nothing\n", "?loop=forever&speed=max")
	defer p.Close()
	if _, err := p.Recv(t.Context()); err == nil || err == hub.ErrClosed {
		t.Errorf("the first: %v, want an error of the line", err)
	}
	if _, err := p.Recv(t.Context()); err != hub.ErrClosed {
		t.Errorf("behind it: %v, want ErrClosed", err)
	}
}
