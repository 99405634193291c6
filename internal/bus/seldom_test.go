package bus_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/bus"
)

func TestSeldomIsOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s bus.Seldom
		told := 0
		for range 31 { // at 0, 1, 2 and 3 s
			if s.Now() {
				told++
			}
			time.Sleep(time.Second / 10)
		}
		if told != 4 {
			t.Errorf("told %d times, want 4", told)
		}
	})
}

func TestSeldomTellsOneOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			var s bus.Seldom
			told := make(chan bool, 8)
			for range cap(told) {
				go func() { told <- s.Now() }()
			}
			n := 0
			for range cap(told) {
				if <-told {
					n++
				}
			}
			if n != 1 {
				t.Fatalf("%d of %d were told at once, want 1", n, cap(told))
			}
		}
	})
}

// The clock of a bubble begins in the year 2000.
func TestSeldomIsNotSilentWhenTheClockWasSetBack(t *testing.T) {
	var s bus.Seldom
	if !s.Now() {
		t.Fatal("silent from the beginning")
	}
	synctest.Test(t, func(t *testing.T) {
		if !s.Now() {
			t.Error("silent for years")
		}
		if s.Now() {
			t.Error("told twice")
		}
	})
}

func TestPassesAsInPackageHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		h := hubtest.New(t)
		from := hubtest.Open(t, h, "can0", nil)
		for range 200 {
			filters := make([]hub.Filter, r.IntN(3))
			for i := range filters {
				filters[i] = hub.Filter{ID: r.Uint32N(8), Mask: r.Uint32() & 0x80000007, Invert: r.IntN(4) == 0}
				switch r.IntN(4) {
				case 0:
					filters[i].StandardOnly = true
				case 1:
					filters[i].ExtendedOnly = true
				}
			}
			to := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{Filters: filters})
			var want []hub.Message
			for id := range uint32(8) {
				for _, m := range []hub.Message{hub.Std(id), hub.Ext(id), {ID: id, Flags: hub.Error}} {
					if err := from.Send(t.Context(), m); err != nil {
						t.Fatal(err)
					}
					if bus.Passes(filters, &m) {
						want = append(want, m)
					}
				}
			}
			hubtest.Want(t, to, want...)
			hubtest.WantNone(t, to)
			to.Close()
		}
	})
}
