// Package live runs the other programs that tests talk to.
package live

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/canhub-go/canhub/internal/golden"
)

// limit is how long a program may run.
const limit = 2 * time.Minute

// Wanted skips the test unless the environment has CANHUB_INTEROP=1. Then a program
// that is missing is a failure.
func Wanted(t testing.TB) {
	t.Helper()
	if os.Getenv("CANHUB_INTEROP") != "1" {
		t.Skip("set CANHUB_INTEROP=1 to run it against other programs")
	}
}

// Python returns a command for the interpreter that CANHUB_PYTHON names, python3 by
// default, if it is [Wanted]. It is ended with the test.
func Python(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	Wanted(t)
	python := os.Getenv("CANHUB_PYTHON")
	if python == "" {
		python = "python3"
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, python, args...)
}

// A Peer is a program at work, which prints a line when it is ready.
type Peer struct {
	Cmd   *exec.Cmd
	In    io.WriteCloser // its input; nil if the command had one
	Ready string         // the line

	lines  *bufio.Scanner
	errors bytes.Buffer
}

// Start returns when the program is ready.
func Start(t testing.TB, cmd *exec.Cmd) *Peer {
	t.Helper()
	p := &Peer{Cmd: cmd}
	cmd.Stderr = &p.errors
	var err error
	if cmd.Stdin == nil {
		if p.In, err = cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the other program: %v", err)
	}
	p.lines = bufio.NewScanner(out)
	if !p.lines.Scan() {
		errors, err := p.Wait()
		t.Fatalf("the other program is not ready: %v\n%s", err, errors)
	}
	p.Ready = p.lines.Text()
	t.Log(p.Ready)
	return p
}

// Wait waits for the end of the program, and returns what it printed on stderr,
// and an error unless it ended in the regular way.
func (p *Peer) Wait() (errors string, err error) {
	err = p.Cmd.Wait()
	return p.errors.String(), err
}

// Kill ends the program.
func (p *Peer) Kill() {
	p.Cmd.Process.Kill()
	p.Wait() // it was killed: its error says nothing
}

// Lines closes the input, waits for the regular end of the program, and returns
// what it has printed since it was ready.
func (p *Peer) Lines(t testing.TB) (lines []string) {
	t.Helper()
	if p.In != nil {
		p.In.Close()
	}
	for p.lines.Scan() {
		lines = append(lines, p.lines.Text())
	}
	if errors, err := p.Wait(); err != nil {
		t.Fatalf("the other program: %v\n%s", err, errors)
	}
	return lines
}

// Frames is Lines for a program that prints a frame on each.
func (p *Peer) Frames(t testing.TB) (frames []golden.Frame) {
	t.Helper()
	for _, line := range p.Lines(t) {
		var f golden.Frame
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("the other program printed %q: %v", line, err)
		}
		frames = append(frames, f)
	}
	return frames
}
