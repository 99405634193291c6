package hub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A gateway between two channels, written by hand.
func Example_gateway() {
	ctx, cancel := context.WithCancel(context.Background())
	h := hub.New(nil)
	defer h.Close()
	engine, body := must(h.Open("engine", nil)), must(h.Open("body", nil))

	// Under Block, the default, both channels could wait for the gateway to receive
	// while it waits to send: a circle. A second subscriber for the sends does not
	// open it, and if that is SendOnly not even ErrStalled comes. No channel waits for
	// one that drops, so here each Send ends. What a burst beyond Queue loses (2 to
	// show it here; leave it out) is counted, and an error frame on the other channel
	// tells where. Package bridge loses nothing: use that if you can.
	side := &hub.SubscriberOptions{Queue: 2, Policy: hub.DropOldest, ErrorFrames: true}
	a, b := must(h.Open("engine", side)), must(h.Open("body", side))

	for i := range byte(5) { // a burst, and the gateway has not begun
		engine.SendWait(ctx, hub.Std(0x100, i))
	}
	forward := func(from, to *hub.Subscriber) {
		for m := range from.All(ctx) {
			if to.Send(ctx, m) != nil {
				return
			}
		}
	}
	var loops sync.WaitGroup
	loops.Go(func() { forward(a, b) })
	loops.Go(func() { forward(b, a) })

	for range 3 {
		fmt.Println("body:", must(body.Recv(ctx)))
	}
	body.Send(ctx, hub.Std(0x200))
	fmt.Println("engine:", must(engine.Recv(ctx)))
	fmt.Println(a.Stats().Dropped, "lost")
	cancel()
	loops.Wait()
	// Output:
	// body: 20000004#0001000000000000
	// body: 100#03
	// body: 100#04
	// engine: 200#
	// 3 lost
}

// The time of a bubble passes only while everybody in it waits. The same with
// Block stands still.
func TestTheGatewayOfTheExampleNeverStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		h := hub.New(nil)
		defer h.Close()
		side := &hub.SubscriberOptions{Queue: 2, Policy: hub.DropOldest, ErrorFrames: true}
		sides := []*hub.Subscriber{must(h.Open("engine", side)), must(h.Open("body", side))}
		began := time.Now()
		var loops, senders sync.WaitGroup
		for i, from := range sides {
			node := must(h.Open(from.Channel(), nil))
			loops.Go(func() {
				for m := range from.All(ctx) {
					if sides[1-i].Send(ctx, m) != nil {
						return
					}
				}
			})
			loops.Go(func() {
				for range node.All(ctx) {
				}
			})
			senders.Go(func() {
				for range 20_000 {
					if err := node.Send(ctx, hub.Std(1)); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		senders.Wait()
		synctest.Wait()
		if d := time.Since(began); d != 0 {
			t.Errorf("all stood still for %v", d)
		}
		cancel()
		loops.Wait()
	})
}
