package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A talker writes lines on stderr and, below them, one that shows how far the
// work is and is drawn anew again and again.
type talker struct {
	out io.Writer

	mu    sync.Mutex // of what is written
	drawn int        // length of the line that is on the terminal
}

// say writes a line "canhub: ...".
func (t *talker) say(format string, args ...any) {
	fmt.Fprintf(t, "canhub: "+format+"\n", args...)
}

// Write writes whole lines where the drawn line was, which comes back when it is
// drawn next.
func (t *talker) Write(lines []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	return t.out.Write(lines)
}

func (t *talker) draw(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pad := max(0, t.drawn-len(line)) // every terminal has blanks
	t.drawn = len(line)
	fmt.Fprintf(t.out, "\r%s%s", line, strings.Repeat(" ", pad))
}

func (t *talker) clear() {
	if t.drawn > 0 {
		fmt.Fprintf(t.out, "\r%s\r", strings.Repeat(" ", t.drawn))
		t.drawn = 0
	}
}

// follow draws the line ten times a second until the function that it returns
// is called, which waits for the last time and takes the line away.
func (t *talker) follow(line func(width int) string) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{}) // closed by stop and by the goroutine
	go func() {
		defer close(done)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				t.draw(line(width(t.out)))
			case <-quit:
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		t.mu.Lock()
		defer t.mu.Unlock()
		t.clear()
	}
}

// progressLine shows which part of a file is done, the time, and what was done
// in it: " 42% [####......]  1m2s  41230 frames  3350/s".
func progressLine(width int, read, size int64, begin time.Time, count uint64, what string) string {
	took := time.Since(begin)
	text := fmt.Sprintf("  %v  %d %s  %.0f/s", took.Round(time.Second), count, what, float64(count)/took.Seconds())
	if size > 0 {
		part := min(float64(read)/float64(size), 1)
		const width = 24
		text = fmt.Sprintf("%3.0f%% %s%s", 100*part, bar(int(part*width), width), text)
	}
	return text[:min(len(text), max(0, width-1))]
}
