package hub_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/canhub-go/canhub/hub"
)

// Sends in a row share places in the inbox, up to a quarter of it each. A send
// that waits for room has none yet, and if it is given up, nothing that was
// accepted is lost with it.
func TestSendsThatSharePlacesInTheInboxAreBoundedAndKept(t *testing.T) {
	const inbox = 8
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		if err := h.Create("can0", &hub.ChannelOptions{Inbox: inbox}); err != nil {
			t.Fatal(err)
		}
		rx, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := h.Open("can0", &hub.SubscriberOptions{SendOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		for range 2 { // one for the queue, and one that the channel waits with
			if err := tx.Send(ctx, hub.Std(1)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		accepted := make(chan int)
		send := func() {
			n := 0
			for tx.Send(ctx, hub.Std(1)) == nil {
				n++
			}
			accepted <- n
		}
		for range 3 { // one after the other fills the inbox and waits
			go send()
			synctest.Wait()
		}
		cancel()
		total := 2 + <-accepted + <-accepted + <-accepted
		if most := 2 + inbox*inbox/4; total > most {
			t.Errorf("%d messages were accepted, want at most %d", total, most)
		}
		received := 0
		for {
			synctest.Wait()
			if _, err := rx.Recv(ctx); err != nil {
				break
			}
			received++
		}
		if received != total {
			t.Errorf("%d messages were accepted and %d received", total, received)
		}
	})
}
