package canlog_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// recorded yields entries with these times in ms, and err in place of -1.
func recorded(err error, ms ...int64) iter.Seq2[canlog.Entry, error] {
	return func(yield func(canlog.Entry, error) bool) {
		for _, at := range ms {
			e := canlog.Entry{Channel: "can0", Message: hub.Message{Timestamp: 1700000000e9 + at*1e6}}
			if at == -1 {
				if !yield(canlog.Entry{}, err) {
					return
				}
			} else if !yield(e, nil) {
				return
			}
		}
	}
}

func TestPaceHandsOutEachEntryAtItsTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts *canlog.PaceOptions
		log  []int64
		want []int // ms after the first
	}{
		{"as recorded", nil, []int64{0, 0, 50, 130}, []int{0, 0, 50, 130}},
		{"twice as fast", &canlog.PaceOptions{Speed: 2}, []int64{0, 50, 130}, []int{0, 25, 65}},
		{"half as fast", &canlog.PaceOptions{Speed: 0.5}, []int64{0, 50, 130}, []int{0, 100, 260}},
		{"at once", &canlog.PaceOptions{Speed: math.Inf(1)}, []int64{0, 50, 3600000}, []int{0, 0, 0}},
		{"a backward stamp", nil, []int64{100, 50, 130}, []int{0, 0, 80}},
		{"fixed interval", &canlog.PaceOptions{Interval: 10 * time.Millisecond, Speed: 3}, []int64{0, 0, 500, 20}, []int{0, 10, 20, 30}},
		{"long pauses cut", &canlog.PaceOptions{MaxPause: 40 * time.Millisecond, Speed: 2}, []int64{0, 20, 5000, 5010}, []int{0, 10, 30, 35}},
		{"a bad line between", nil, []int64{0, -1, 50}, []int{0, 0, 50}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				bad := errors.New("bad line")
				var got []int
				for _, err := range canlog.Pace(t.Context(), recorded(bad, tt.log...), tt.opts) {
					if err != nil && err != bad {
						t.Fatal(err)
					}
					got = append(got, int(time.Since(begin).Milliseconds()))
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("handed out at %v ms, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestPaceCatchesUpAfterASlowLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var got []int
		for range canlog.Pace(t.Context(), recorded(nil, 0, 10, 20, 30, 100), nil) {
			got = append(got, int(time.Since(begin).Milliseconds()))
			if len(got) == 1 {
				time.Sleep(25 * time.Millisecond)
			}
		}
		if want := []int{0, 25, 25, 30, 100}; !slices.Equal(got, want) {
			t.Errorf("handed out at %v ms, want %v", got, want)
		}
	})
}

func TestPaceEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin, n := time.Now(), 0
		var last error
		for _, err := range canlog.Pace(ctx, recorded(nil, 0, 3600000), nil) {
			n, last = n+1, err
		}
		if n != 2 || last != context.DeadlineExceeded || time.Since(begin) != time.Second {
			t.Errorf("%d entries, %v after %v; want one and the ctx's error after 1s", n, last, time.Since(begin))
		}
	})
}

func TestPaceRefusesWrongOptions(t *testing.T) {
	for _, o := range []*canlog.PaceOptions{{Speed: -1}, {Speed: math.NaN()}, {Interval: -1}, {MaxPause: -1}} {
		n := 0
		for _, err := range canlog.Pace(t.Context(), recorded(nil, 0, 1), o) {
			if n++; err == nil {
				t.Errorf("%+v: no error", *o)
			}
		}
		if n != 1 {
			t.Errorf("%+v: %d times round the loop, want 1", *o, n)
		}
	}
}
