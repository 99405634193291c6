package hub_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// hangAfter is how long a test may take in real time. None takes a second.
const hangAfter = 10 * time.Second

// inTime runs f, and fails at once if it hangs: what says what has not
// happened then. Where f is left hanging, so is its goroutine.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	timer := time.NewTimer(hangAfter)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		t.Fatalf("%s: not within %v\n%s", what, hangAfter, stacks())
	}
}

// noSpin ends the tests with the name of the one that hangs. It is for bubbles above
// all, which may run and not get anywhere. What merely waits for ever a bubble
// reports by itself. Call it outside the bubble.
func noSpin(t *testing.T) {
	t.Helper()
	timer := time.AfterFunc(hangAfter, func() {
		panic(fmt.Sprintf("%s has not ended within %v: its goroutines run and get nowhere\n%s", t.Name(), hangAfter, stacks()))
	})
	t.Cleanup(func() { timer.Stop() })
}

func stacks() []byte {
	b := make([]byte, 1<<16)
	return b[:runtime.Stack(b, true)]
}
