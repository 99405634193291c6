package main

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ticks returns when the ticks of a schedule of 10 ms came, each followed by
// work that takes as long as given.
func ticks(t *testing.T, work ...time.Duration) (at []time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := newSchedule(10 * time.Millisecond)
		for _, d := range work {
			if err := s.wait(t.Context(), 10*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			at = append(at, time.Since(begin))
			time.Sleep(d)
		}
	})
	return at
}

func TestScheduleDoesNotDependOnTheWork(t *testing.T) {
	const ms = time.Millisecond
	got := ticks(t, 7*ms, 9*ms, 0, 25*ms, 0, 0, 0)
	// The one of 25 ms makes two late; then all is as planned.
	want := []time.Duration{10 * ms, 20 * ms, 30 * ms, 40 * ms, 65 * ms, 65 * ms, 70 * ms}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestScheduleSkipsWhatIsVeryLate(t *testing.T) {
	const ms = time.Millisecond
	got := ticks(t, 1003*ms, 0, 0, 0)
	want := []time.Duration{10 * ms, 1013 * ms, 1020 * ms, 1030 * ms}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = ticks(t, slices.Concat([]time.Duration{slack}, make([]time.Duration, 26))...)
	if last := got[len(got)-1]; last != 27*10*ms {
		t.Errorf("after work that took %v tick 27 came at %v, want 270ms: it was to be made up for", slack, last)
	}
}

func TestScheduleEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		s := newSchedule(time.Hour)
		if err := s.wait(ctx, time.Hour); err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		if err := s.wait(ctx, 0); err != context.DeadlineExceeded {
			t.Errorf("without a wait: got %v", err)
		}
	})
}
