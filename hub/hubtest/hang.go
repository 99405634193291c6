package hubtest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// stepTime is how long a step of a check may take, and graceTime how long a
	// call may go on after its context has ended. What hangs is told within ten
	// seconds, with what comes after it.
	stepTime  = 7 * time.Second
	graceTime = time.Second

	// standstill is how long nothing may begin or end in a bubble, in real time.
	standstill = stepTime + graceTime
)

// within runs f in a goroutine of its own and waits for it, for d at most. It
// returns nil when f has ended, be it by runtime.Goexit, or an error that names
// what hangs.
func within(d time.Duration, what string, f func()) error {
	done := make(chan struct{}) // closed by f's goroutine, whose waiter this is, if anybody is
	go func() {
		defer close(done)
		f()
	}()
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case <-done:
		return nil
	case <-late.C:
		return hangs(what, d)
	}
}

// hangs returns the error for something that has not returned after d. It shows
// where everything is that this package waits for.
func hangs(what string, d time.Duration) error {
	return fmt.Errorf("%s hangs: it has not returned after %v%s", what, d, whereabouts())
}

// whereabouts returns the stacks of the goroutines that this package has started,
// of which the latest is the most likely to be asked for.
func whereabouts() string {
	var stacks strings.Builder
	for _, stack := range slices.Backward(goroutines()) {
		if _, starter, _ := strings.Cut(stack, "\ncreated by "); startedHere(starter) {
			stacks.WriteString("\n\n" + stack)
		}
		if stacks.Len() > 16<<10 {
			break
		}
	}
	return stacks.String()
}

// goroutines returns the stacks of all goroutines, that of the caller first.
func goroutines() []string {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	return strings.Split(string(all), "\n\n")
}

// inBubble returns the stacks of the other goroutines of the caller's bubble, by
// their numbers.
func inBubble() map[string]string {
	found := make(map[string]string)
	all := goroutines()
	_, bubble, _ := strings.Cut(firstLine(all[0]), "synctest bubble ")
	for _, stack := range all[1:] {
		head := firstLine(stack)
		if _, b, ok := strings.Cut(head, "synctest bubble "); ok && b == bubble {
			number, _, _ := strings.Cut(head, " [")
			found[number] = stack
		}
	}
	return found
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func startedHere(starter string) bool {
	const here = "github.com/canhub-go/canhub/hub/hubtest."
	return strings.HasPrefix(starter, here+"within ") || strings.HasPrefix(starter, here+"(*pair).start ")
}

// A progress tells from outside a bubble what is going on in it. Nil is nobody
// who wants to know.
type progress struct {
	mu      sync.Mutex // for what follows; held for no call
	changes int
	doing   []string // what has begun and not ended, in this order
}

// begin notes what begins, and end that it has ended.
func (p *progress) begin(what string) (end func()) {
	if p == nil {
		return func() {}
	}
	p.change(func() { p.doing = append(p.doing, what) })
	return func() {
		p.change(func() {
			i := slices.Index(p.doing, what)
			p.doing = slices.Delete(p.doing, i, i+1)
		})
	}
}

func (p *progress) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changes++
	f()
}

// look returns how often something has begun or ended, and what is going on.
func (p *progress) look() (changes int, doing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.doing) == 0 {
		return p.changes, "the check"
	}
	return p.changes, strings.Join(p.doing, ", ")
}

// watched runs bubble, which is to run a bubble and to note in the progress what
// it does, and ends the test if that makes none for so long in real time. A
// goroutine that waits for a mutex or for the system stops the clock of its
// bubble, and with it every timer that could tell of it there.
//
// The bubble then stays as it is: nothing can end it but the end of the program.
func watched(t testing.TB, limit time.Duration, bubble func(p *progress)) {
	t.Helper()
	p := &progress{}
	over := make(chan any, 1) // has what the bubble has panicked with, or nil; room for it
	go func() {
		defer func() { over <- recover() }()
		bubble(p)
	}()
	tick := time.NewTicker(limit / 8)
	defer tick.Stop()
	before, still := 0, 0
	for {
		select {
		case deadlock := <-over:
			if deadlock != nil { // only blocked goroutines are left in it
				t.Fatalf("%v%s", deadlock, whereabouts())
			}
			return
		case <-tick.C:
		}
		changes, doing := p.look()
		if changes != before {
			before, still = changes, 0
		}
		if still++; still > 8 { // one more than the limit has: ticks may come late, two at once
			t.Fatal(hangs(doing+" in a bubble whose clock stands still,", limit))
		}
	}
}
