package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// In a bubble time is exact, and so are the numbers.
func TestRunPrintsExactlyThis(t *testing.T) {
	const want = `175 frames from can0, 150 of them passed on, 20 from can1
350 frames from can0, 300 of them passed on, 40 from can1
525 frames from can0, 450 of them passed on, 60 from can1
the end: 612 from can0, 525 passed on, 70 from can1
`
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := run(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("printed:\n%swant:\n%s", out.String(), want)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
		defer cancel()
		begin := time.Now()
		var out strings.Builder
		if err := run(ctx, &out); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 1200*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if !strings.Contains(out.String(), "the end: ") {
			t.Errorf("printed:\n%s", out.String())
		}
	})
}
