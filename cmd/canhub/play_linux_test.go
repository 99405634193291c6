package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// openTerminal returns the two ends of a pseudo-terminal.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return keyboard, terminal
}

func TestRawTerminalGivesKeysAndIsRestored(t *testing.T) {
	keyboard, terminal := openTerminal(t)
	state := func() unix.Termios {
		s, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return *s
	}
	before := state()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	raw, err := (&app{terminal, terminal, io.Discard}).raw(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(before, state()) {
		t.Error("the terminal is not raw")
	}
	if _, err := keyboard.WriteString(" q\x03"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []byte(" q\x03") {
		if got := <-raw.keys; got != want {
			t.Errorf("key %q, want %q", got, want)
		}
	}
	fmt.Fprint(raw.out, "line\n")
	var text [6]byte
	if _, err := io.ReadFull(keyboard, text[:]); err != nil || string(text[:]) != "line\r\n" {
		t.Errorf("on the terminal: %q, %v", text, err)
	}
	raw.restore()
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("the terminal is another one, -before +after:\n%s", diff)
	}
}

func TestOnTerminal(t *testing.T) {
	_, terminal := openTerminal(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if !onTerminal(terminal) || onTerminal(null) || onTerminal(io.Discard) {
		t.Error("wrong")
	}
}
