package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// In a bubble time is exact, and so are the numbers.
func TestRunPrintsExactlyThis(t *testing.T) {
	const want = `175 frames from can0, 150 of them passed on, 20 from can1
350 frames from can0, 300 of them passed on, 40 from can1
525 frames from can0, 450 of them passed on, 60 from can1
the end: 612 from can0, 525 passed on, 0 lost, 70 from can1
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

// Both channels have more for the service than its queues hold, and so wait for it,
// while it has much to pass on. It loses nothing and does not stand still.
func TestABusyServiceDoesNotStandStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		const each = 5000
		for _, channel := range []string{"can0", "can1"} {
			node, err := h.Open(channel, &hub.SubscriberOptions{SendOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				time.Sleep(time.Millisecond) // the service listens
				for i := range uint32(each) {
					id := 0x100 | i&0xFF
					if channel == "can1" {
						id = 0x400
					}
					if err := node.Send(t.Context(), hub.Std(id)); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		var out strings.Builder
		if err := serve(ctx, h, &out); err != nil {
			t.Fatal(err)
		}
		if want := "the end: 5000 from can0, 5000 passed on, 0 lost, 5000 from can1\n"; out.String() != want {
			t.Errorf("printed %q, want %q", out.String(), want)
		}
	})
}
