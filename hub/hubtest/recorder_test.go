package hubtest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A recorder is a testing.TB that only notes what a test would have been told.
type recorder struct {
	testing.TB // nil: what is not here must not be called
	parent     *recorder
	took       time.Duration
	failed     atomic.Bool // by itself or by what it runs

	mu       sync.Mutex
	failures []string
	skipped  bool
	cleanups []func()
	log      bytes.Buffer
}

// record runs f as a test function, with its cleanup functions, and returns
// what it has reported.
func record(f func(t testing.TB)) *recorder { return (*recorder)(nil).sub(f) }

// sub runs f as t.Run does: with a failure of f, r has failed too.
func (r *recorder) sub(f func(t testing.TB)) *recorder {
	r = &recorder{parent: r}
	start := time.Now()
	defer func() { r.took = time.Since(start) }()
	inTurn(func() { f(r) })
	for len(r.cleanups) > 0 {
		last := r.cleanups[len(r.cleanups)-1]
		r.cleanups = r.cleanups[:len(r.cleanups)-1]
		inTurn(last)
	}
	return r
}

// inTurn runs f in a goroutine that FailNow may end, and waits for it.
func inTurn(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (r *recorder) fail(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, text)
	for p := r; p != nil; p = p.parent {
		p.failed.Store(true)
	}
}

func (r *recorder) Failed() bool { return r.failed.Load() }

// report returns all failures in one text.
func (r *recorder) report() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.failures, "\n")
}

func (r *recorder) Helper()                           {}
func (r *recorder) Name() string                      { return "recorded" }
func (r *recorder) Cleanup(f func())                  { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Context() context.Context          { return context.Background() }
func (r *recorder) Output() io.Writer                 { return &r.log }
func (r *recorder) Errorf(format string, args ...any) { r.fail(fmt.Sprintf(format, args...)) }
func (r *recorder) Error(args ...any)                 { r.fail(fmt.Sprint(args...)) }
func (r *recorder) Skipped() bool                     { return r.skipped }
func (r *recorder) Fatal(args ...any)                 { r.fail(fmt.Sprint(args...)); runtime.Goexit() }

func (r *recorder) Fatalf(format string, args ...any) {
	r.fail(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (r *recorder) FailNow() {
	for p := r; p != nil; p = p.parent {
		p.failed.Store(true)
	}
	runtime.Goexit()
}

func (r *recorder) Skip(...any) { r.SkipNow() }

func (r *recorder) SkipNow() {
	r.skipped = true
	runtime.Goexit()
}

// wantReport fails the test unless the recorded one has failed with a text that
// has all of the parts.
func wantReport(t *testing.T, r *recorder, parts ...string) {
	t.Helper()
	report := r.report()
	if report == "" {
		t.Errorf("no failure was reported, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(report, part) {
			t.Errorf("%q is missing in the report:\n%s", part, report)
		}
	}
}

// wantNoReport fails the test if the recorded one has failed.
func wantNoReport(t *testing.T, r *recorder) {
	t.Helper()
	if report := r.report(); report != "" {
		t.Errorf("unexpected failure:\n%s", report)
	}
}
