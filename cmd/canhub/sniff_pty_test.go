//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/gdamore/tcell/v3/vt"
)

// A terminalRun is the command at work in a terminal.
type terminalRun struct {
	t    *testing.T
	pty  *os.File
	term vt.MockTerm // shows what the command has written
	cmd  *exec.Cmd

	mu            sync.Mutex
	raw           bytes.Buffer // all that the command has written
	width, height int
	wrote         chan struct{} // has one after new output; closed when that ends
}

// inTerminal starts the command in a terminal of that size.
func inTerminal(t *testing.T, width, height int, args ...string) *terminalRun {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &terminalRun{t: t, width: width, height: height, wrote: make(chan struct{}, 1)}
	// The test binary is the command when it is called so; see TestMain.
	r.cmd = &exec.Cmd{Path: exe, Args: append([]string{"canhub"}, args...)}
	r.cmd.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=", "LINES=", "COLUMNS=")
	r.term = vt.NewMockTerm(vt.MockOptSize{X: vt.Col(width), Y: vt.Row(height)})
	if err := r.term.Start(); err != nil {
		t.Fatal(err)
	}
	r.pty, err = pty.StartWithSize(r.cmd, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(r.show)
	wg.Go(func() { io.Copy(r.pty, r.term) }) // answers to queries
	t.Cleanup(func() {
		r.cmd.Process.Kill() // if it still runs
		r.pty.Close()
		r.term.Stop()
		wg.Wait()
	})
	return r
}

// show brings what the command writes on the terminal, until that ends.
func (r *terminalRun) show() {
	defer close(r.wrote)
	buf := make([]byte, 4096)
	for {
		n, err := r.pty.Read(buf)
		r.mu.Lock()
		r.raw.Write(buf[:n])
		r.mu.Unlock()
		r.term.Write(buf[:n])
		if err != nil {
			return // EIO when the command has ended
		}
		select {
		case r.wrote <- struct{}{}:
		default:
		}
	}
}

func (r *terminalRun) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(terminalText(r.term, r.width, r.height), "\n")
}

// until waits until the screen is as ok says.
func (r *terminalRun) until(what string, ok func(screen string) bool) {
	r.t.Helper()
	deadline := time.After(30 * time.Second)
	for open := true; ; {
		text := r.text()
		if ok(text) {
			return
		}
		if !open {
			r.t.Fatalf("the command ended before: %s\n%s\n%q", what, text, r.raw.String())
		}
		select {
		case _, open = <-r.wrote:
		case <-deadline:
			r.t.Fatalf("waited in vain for: %s\n%s", what, text)
		}
	}
}

func (r *terminalRun) press(keys string) {
	r.t.Helper()
	if _, err := io.WriteString(r.pty, keys); err != nil {
		r.t.Fatal(err)
	}
}

// end waits for the end of the command and returns all that it has written.
func (r *terminalRun) end(code int) string {
	r.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- r.cmd.Wait() }()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) || r.cmd.ProcessState.ExitCode() != code {
			r.t.Errorf("%v, want exit code %d\n%s", err, code, r.text())
		}
	case <-time.After(30 * time.Second):
		r.t.Fatalf("the command does not end\n%s", r.text())
	}
	for range r.wrote {
	}
	return r.raw.String()
}

// restored checks that a full screen was left in order.
func (r *terminalRun) restored(written string) {
	r.t.Helper()
	for _, mode := range []struct{ what, yes, no string }{
		{"the cursor is shown", "\x1b[?25h", "\x1b[?25l"},
		{"the alternate screen is left", "\x1b[?1049l", "\x1b[?1049h"},
	} {
		yes, no := strings.LastIndex(written, mode.yes), strings.LastIndex(written, mode.no)
		if no < 0 || yes < no {
			r.t.Errorf("not so in the end: %s; set at %d, reset at %d", mode.what, no, yes)
		}
	}
}

func writeSniffLog(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drive.log")
	if err := os.WriteFile(path, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

const sniffLog = `(1700000000.000000) can0 123#1122334455667700
(1700000000.010000) can0 123#1122334455667701
(1700000000.010000) can0 18DAF110#CAFE
(1700000000.020000) can0 123#1122334455667702
(1700000000.020000) can0 321#48656C6C6F
`

func shows(what ...string) func(string) bool {
	return func(screen string) bool {
		for _, w := range what {
			if !strings.Contains(screen, w) {
				return false
			}
		}
		return true
	}
}

func TestSniffInATerminal(t *testing.T) {
	r := inTerminal(t, 100, 12, "sniff", "-f", "~7FF", "log:"+writeSniffLog(t, sniffLog)+"?loop=forever&speed=2")
	r.until("rows", shows("COUNT", "11 22 33 44 55 66 77", "18DAF110", "48 65 6C 6C 6F", "Hello", "by id"))
	r.press("?")
	r.until("the help line", shows("q quit"))
	r.press("s")
	r.until("sorted by count", func(screen string) bool {
		return shows("by count")(screen) && strings.Index(screen, " 123 ") < strings.Index(screen, " 321 ")
	})
	r.press("S")
	r.until("sorted by id", shows("by id"))
	r.press(" ")
	r.until("paused", shows("PAUSED"))
	row := func() string {
		_, after, _ := strings.Cut(r.text(), "DATA")
		line, _, _ := strings.Cut(strings.TrimLeft(after[strings.Index(after, "\n")+1:], "\n"), "\n")
		return line
	}
	before, status := row(), r.text()
	r.until("counting on", func(screen string) bool { return screen != status })
	if now := row(); now != before {
		t.Errorf("a paused row went on from %q to %q", before, now)
	}
	r.press(" ")
	r.until("going on", func(string) bool { return row() != before })
	r.press("n")
	r.press("c")
	r.until("rows after clearing", shows("18DAF110"))

	r.mu.Lock()
	r.width, r.height = 60, 5
	r.mu.Unlock()
	r.term.SetSize(vt.Coord{X: 60, Y: 5})
	if err := pty.Setsize(r.pty, &pty.Winsize{Cols: 60, Rows: 5}); err != nil {
		t.Fatal(err)
	}
	r.until("a smaller screen", func(screen string) bool {
		return strings.HasPrefix(strings.Split(screen, "\n")[4], "q quit") && !strings.Contains(screen, "18DAF110")
	})
	r.press("\x1b[B") // down
	r.press("\x1b[6~")
	r.until("the last row", shows("18DAF110"))
	r.press("q")
	r.restored(r.end(0))
}

func TestSniffQuitKeys(t *testing.T) {
	log := writeSniffLog(t, sniffLog)
	for name, keys := range map[string]string{"q": "q", "ESC": "\x1b", "Ctrl-C": "\x03"} {
		t.Run(name, func(t *testing.T) {
			r := inTerminal(t, 80, 10, "sniff", "log:"+log)
			r.until("the end of the log", shows("drive ended"))
			r.press(keys)
			r.restored(r.end(0))
		})
	}
	t.Run("SIGTERM", func(t *testing.T) {
		r := inTerminal(t, 80, 10, "sniff", "log:"+log)
		r.until("rows", shows("18DAF110"))
		if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		r.restored(r.end(0))
	})
}

func TestSniffTellsAtTheEndWhatWentWrong(t *testing.T) {
	r := inTerminal(t, 80, 10, "sniff", "log:"+writeSniffLog(t, "(1.0) can0 123#00\n(1.1) can0 xyz\n(1.2) can0 124#00\n"))
	r.until("the end of the log", shows("drive ended", " 124 "))
	r.press("q")
	written := r.end(1)
	r.restored(written)
	if said := written[strings.LastIndex(written, "\x1b[?1049l"):]; !strings.Contains(said, "canhub: drive: ") {
		t.Errorf("behind the screen it says %q", said)
	}
}

func TestLoadInATerminalIsDrawnInPlace(t *testing.T) {
	log := writeSniffLog(t, sniffLog)
	r := inTerminal(t, 60, 10, "load", "-i", "10ms", "a=log:"+log+"?speed=max", "b=log:"+log+"?speed=max")
	written := r.end(0)
	if strings.Count(written, "\x1b[2A") < 3 {
		t.Errorf("it is not drawn in place: %q", written)
	}
	lines := strings.Split(strings.TrimRight(r.text(), "\n"), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "a ") || !strings.HasPrefix(lines[1], "b ") ||
		!strings.HasPrefix(lines[2], "a min ") || !strings.HasPrefix(lines[3], "b min ") {
		t.Errorf("in the end the screen has\n%s", r.text())
	}
}
