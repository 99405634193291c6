package hubtest

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leakPatience is how long goroutines may take to end.
const leakPatience = 2 * time.Second

// tests has a *test for each [testing.TB] that has a hub or a subscriber here,
// until it ends. Only what outlives the calls of New can tell that two hubs have
// one test, and a count of all hubs blames a parent for what its subtest leaves.
var tests sync.Map

// A test is what this package knows of one.
type test struct {
	leaks func() error // nil until it has a hub
}

// ofTest returns what is known of t. The first call for t sets up its last act:
// the search for leaks, behind the end of every hub and subscriber that it has
// here.
func ofTest(t testing.TB) *test {
	t.Helper()
	if known, ok := tests.Load(t); ok {
		return known.(*test)
	}
	k := &test{}
	tests.Store(t, k)
	t.Cleanup(func() {
		tests.Delete(t)
		// A test that has failed did not come to its end, or one of its subtests
		// has told of the leak.
		if k.leaks == nil || t.Failed() {
			return
		}
		if err := k.leaks(); err != nil {
			t.Errorf("the hub is closed, but the test has left goroutines behind: %v", err)
		}
	})
	return k
}

// watchLeaks returns a function that returns an error if goroutines are there
// that were not there when watchLeaks was called, and that do not end in time.
//
// In a synctest bubble it sleeps in fake time, so what is about to end has ended
// when it looks again, and a leak is found at once. The goroutine that looks, one
// that waits for it, those of package testing and, by way of IgnoreCurrent, the
// bubble's own are not counted.
func watchLeaks(patience time.Duration) func() error {
	before := goleak.IgnoreCurrent()
	waiter := goleak.IgnoreTopFunction("github.com/canhub-go/canhub/hub/hubtest.(*step).end")
	return func() error {
		for start := time.Now(); ; { // one Find takes less than half a second
			err := goleak.Find(before, waiter)
			if err == nil || time.Since(start) >= patience {
				return err
			}
		}
	}
}
