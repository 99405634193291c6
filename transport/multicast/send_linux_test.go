package multicast_test

import (
	"context"
	"sync"
	"testing"

	"github.com/canhub-go/canhub/hub"
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
	a, b := open(t, "", nil), open(t, "", nil)
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
	s := a.Stats()
	send(t, a, marker)
	var got uint64
	for {
		m, err := b.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m.Equal(marker) {
			break
		}
		got++
	}
	if got+b.Stats().Dropped != s.Sent {
		t.Errorf("%d messages received, Sent is %d", got, s.Sent)
	}
}
