package hubtest_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// wantHang fails the test unless the recorded one tells within ten seconds what
// hangs, and where: in the function called block.
func wantHang(t *testing.T, r *recorder, what string) {
	t.Helper()
	wantReport(t, r, what, " hangs: it has not returned", "hubtest_test.block(")
	if r.took > 10*time.Second {
		t.Errorf("it took %v to tell", r.took)
	}
}

// block is where something hangs until the test is over.
func block(release <-chan struct{}) { <-release }

// hangingRecv is a bus whose Recv does not look at its context.
type hangingRecv struct {
	hub.Bus
	release chan struct{}
}

func (b hangingRecv) Recv(context.Context) (hub.Message, error) {
	block(b.release)
	return hub.Message{}, hub.ErrClosed
}

func TestWantAndWantNoneTellThatRecvHangs(t *testing.T) {
	for name, f := range map[string]func(t testing.TB, b hub.Bus){
		"Want":     func(t testing.TB, b hub.Bus) { hubtest.Want(t, b, hub.Std(1)) },
		"WantNone": func(t testing.TB, b hub.Bus) { hubtest.WantNone(t, b) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := hangingRecv{release: make(chan struct{})}
				r := record(func(t testing.TB) {
					f(t, b)
					t.Errorf("it goes on")
				})
				close(b.release)
				wantHang(t, r, "Recv")
				if strings.Contains(r.report(), "goes on") {
					t.Error("the test goes on")
				}
			})
		})
	}
}

func TestBusTellsThatMakePairHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := record(func(t testing.TB) {
			hubtest.RunCheck(t, "OrderIsKept", func(t testing.TB) (a, b hub.Bus) {
				block(release)
				return nil, nil
			}, hubtest.BusOptions{})
		})
		close(release)
		wantHang(t, r, "makePair")
	})
}

func TestBusTellsThatACleanupFunctionHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cleaned := false
		r := record(func(t testing.TB) {
			hubtest.RunCheck(t, "OrderIsKept", func(t testing.TB) (a, b hub.Bus) {
				t.Cleanup(func() { cleaned = true })
				t.Cleanup(func() { block(release) })
				return subscribers(nil)(t) // whose search for leaks is in a cleanup function too
			}, hubtest.BusOptions{})
		})
		close(release)
		wantHang(t, r, "")
		wantReport(t, r, "a cleanup function of makePair, "+
			"github.com/canhub-go/canhub/hub/hubtest_test.TestBusTellsThatACleanupFunctionHangs.")
		if !cleaned {
			t.Error("the other cleanup function has not run")
		}
	})
}

func TestMakePairMayEndTheTest(t *testing.T) {
	for name, end := range map[string]func(t testing.TB){
		"no network":  func(t testing.TB) { t.Fatal("no network") },
		"":            func(t testing.TB) { t.Skip("no network") },
		"other words": func(t testing.TB) { t.Errorf("other words"); t.FailNow() },
	} {
		r := runCheck(t, "OrderIsKept", func(t testing.TB) (a, b hub.Bus) {
			end(t)
			panic("makePair goes on")
		}, hubtest.BusOptions{})
		if report := r.report(); report != name {
			t.Errorf("the report is %q, want %q", report, name)
		}
		if wantSkip := name == ""; r.skipped != wantSkip {
			t.Errorf("skipped is %v, want %v", r.skipped, wantSkip)
		}
	}
}

// A bubble stands for the real world here: in it time passes while f blocks.
func TestABubbleThatStandsStillIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		start := time.Now()
		r := record(func(t testing.TB) {
			hubtest.Watched(t, 8*time.Second, func(begin func(string) func()) {
				begin("A.Close")()
				begin("A.Send")
				begin("B.Recv")
				time.Sleep(time.Second / 2)
				begin("B.Send")()
				block(release)
			})
			t.Errorf("it goes on")
		})
		close(release)
		wantReport(t, r, "A.Send, B.Recv in a bubble whose clock stands still, hangs")
		if took := time.Since(start); took > 10*time.Second || took < 8*time.Second {
			t.Errorf("it took %v to tell, want 8 to 10 s", took)
		}
		if strings.Contains(r.report(), "goes on") {
			t.Error("the test goes on")
		}
	})
}

func TestABubbleThatGoesOnIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wantNoReport(t, record(func(t testing.TB) {
			hubtest.Watched(t, 8*time.Second, func(begin func(string) func()) {
				for range 10 {
					end := begin("A.Send")
					time.Sleep(7 * time.Second)
					end()
				}
			})
		}))
	})
}

func TestADeadlockInABubbleIsTold(t *testing.T) {
	r := record(func(t testing.TB) {
		hubtest.Watched(t, time.Minute, func(func(string) func()) { panic("deadlock: blocked goroutines remain") })
		t.Errorf("it goes on")
	})
	wantReport(t, r, "deadlock: blocked goroutines remain")
	if strings.Contains(r.report(), "goes on") {
		t.Error("the test goes on")
	}
}
