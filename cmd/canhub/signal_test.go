//go:build unix

package main

import (
	"bufio"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestAnInterruptIsTheRegularEnd(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		r, w := io.Pipe()
		ended := make(chan int, 1)
		go func() {
			defer w.Close()
			ended <- run([]string{"demo", "--alone", "--all"}, &app{strings.NewReader(""), w, io.Discard})
		}()
		lines := bufio.NewScanner(r)
		if !lines.Scan() {
			t.Fatalf("%v: it shows nothing", lines.Err())
		}
		if err := syscall.Kill(os.Getpid(), sig); err != nil { // run listens for it by now
			t.Fatal(err)
		}
		for lines.Scan() {
		}
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d after %v, want 0", code, sig)
		}
	}
}
