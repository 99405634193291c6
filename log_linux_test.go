package canhub

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

func TestCloseEndsAPlayThatWaitsForAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drive.log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b, err := Open(t.Context(), "log:"+path)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(w, "(1700000000.000000) can0 123#01")
	if m, err := b.Recv(t.Context()); err != nil || m.ID != 0x123 {
		t.Fatalf("received %v, %v", m, err)
	}
	closed := make(chan error)
	go func() { closed <- b.Close() }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("Close has not returned after 10 seconds")
	}
	if _, err := b.Recv(t.Context()); err != hub.ErrClosed {
		t.Errorf("Recv after Close: %v, want ErrClosed", err)
	}
}
