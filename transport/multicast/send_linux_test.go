package multicast_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/transport/multicast"
)

func TestSendUnderAContextThatEndsLeavesTheBusUsable(t *testing.T) {
	if !isolated(t) {
		return
	}
	for name, prepare := range map[string]func(*multicast.Bus){
		"as it comes":    func(*multicast.Bus) {},
		"as if it waits": multicast.NeverAtOnce,
	} {
		t.Run(name, func(t *testing.T) { sendUnderAContextThatEnds(t, prepare) })
	}
}

func sendUnderAContextThatEnds(t *testing.T, prepare func(*multicast.Bus)) {
	a, b := open(t, "", nil), open(t, "", &multicast.Options{ReadBuffer: 1}) // some may be dropped
	prepare(a)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				ctx, cancel := context.WithCancel(context.Background())
				go cancel() // before, while or after it sends
				if err := a.Send(ctx, hub.Std(1)); err != nil && err != context.Canceled {
					t.Errorf("Send = %v, want nil or context.Canceled", err)
				}
				<-ctx.Done()
			}
		})
	}
	wg.Wait()
	sent, got := a.Stats().Sent, uint64(0)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for got+b.Stats().Dropped < sent {
		if _, err := b.Recv(ctx); err != nil {
			t.Fatalf("%v after %d messages, Sent is %d, %d dropped", err, got, sent, b.Stats().Dropped)
		}
		got++
	}
	send(t, a, marker) // now there is room for it
	hubtest.Want(t, b, marker)
}
