package hubtest

import (
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// CheckNames returns the names of all checks of TestBus.
func CheckNames() []string {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	return names
}

// NewHasty is New that does not wait long for goroutines to end: one that is
// there to leak would take the whole time.
func NewHasty(t testing.TB) *hub.Hub {
	t.Helper()
	return newHub(t, time.Millisecond)
}

// RunCheck runs one of them on any kind of testing.TB.
func RunCheck(t testing.TB, name string, makePair func(t testing.TB) (a, b hub.Bus), o BusOptions) {
	for _, c := range checks {
		if c.name == name {
			c.on(t, makePair, o, nil)
			return
		}
	}
	t.Fatalf("no check has the name %s", name)
}

// Watched runs f as TestBus runs a check in a bubble. f tells what it begins.
func Watched(t testing.TB, limit time.Duration, f func(begin func(what string) (end func()))) {
	t.Helper()
	watched(t, limit, func(p *progress) { f(p.begin) })
}
