package hub_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/canhub-go/canhub/hub"
)

// Sends in a row share places in the inbox, up to 64 each. A send
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
		if most := 2 + inbox*64; total > most {
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

// Whoever sends may add to what waits in the inbox, and memory is used again all
// the while. Nothing that was accepted is lost, doubled or overtaken by what the
// same sender sent after it, also when sends are given up while they wait.
func TestManySendersAreReceivedInTheirOrder(t *testing.T) {
	const senders, each = 64, 4000
	for _, inbox := range []int{8, 128} {
		t.Run(fmt.Sprintf("inbox=%d", inbox), func(t *testing.T) {
			h := hub.New(nil)
			defer h.Close()
			if err := h.Create("can0", &hub.ChannelOptions{Inbox: inbox}); err != nil {
				t.Fatal(err)
			}
			rx, err := h.Open("can0", nil)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			var accepted atomic.Int64
			for id := range uint32(senders) {
				tx, err := h.Open("can0", &hub.SubscriberOptions{SendOnly: true})
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() {
					ctx, giveUp := context.WithCancel(context.Background())
					defer func() { giveUp() }()
					for i := range uint32(each) {
						m := hub.Std(id)
						m.Len = 4
						binary.LittleEndian.PutUint32(m.Data[:], i)
						if id%16 == 5 && i%64 == 0 { // gives up now and then
							giveUp()
							ctx, giveUp = context.WithCancel(context.Background())
							wg.Go(giveUp)
						}
						switch err := tx.Send(ctx, m); err {
						case nil:
							accepted.Add(1)
						case context.Canceled, hub.ErrClosed:
						default:
							t.Error(err)
							return
						}
					}
				})
			}
			var next [senders]uint32
			received := int64(0)
			go func() {
				wg.Wait()
				tx, _ := h.Open("can0", &hub.SubscriberOptions{SendOnly: true})
				tx.Send(context.Background(), hub.Std(0x7FF)) // the last
			}()
			for {
				m, err := rx.Recv(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				if m.ID == 0x7FF {
					break
				}
				received++
				if m.Seq != uint64(received) {
					t.Fatalf("message %d has number %d", received, m.Seq)
				}
				i := binary.LittleEndian.Uint32(m.Data[:])
				if i < next[m.ID] || i > next[m.ID] && m.ID%16 != 5 {
					t.Fatalf("received message %d of sender %d, want %d", i, m.ID, next[m.ID])
				}
				next[m.ID] = i + 1
			}
			if n := accepted.Load(); received != n {
				t.Errorf("received %d messages, %d were accepted", received, n)
			}
		})
	}
}
