// Selectloop is a service the way Go services are written: one goroutine, one
// select, and so no locks. It listens to two channels and a ticker, passes the
// engine's frames on from can0 to can1, and ends with its context.
//
// The loop itself never waits to send: while it did, nobody would receive for it, and
// in time the channels would wait for it, and it for them. It keeps what is to be sent,
// and another goroutine takes it from there when the channel has room.
//
//	go run ./examples/selectloop
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "selectloop: %v\n", err)
		os.Exit(1)
	}
}

// run lets some nodes send, and the service work between them for a while.
func run(ctx context.Context, w io.Writer) error {
	h := hub.New(nil)
	defer h.Close()

	for _, n := range []struct {
		channel string
		m       hub.Message
		period  time.Duration
	}{
		{"can0", hub.Std(0x100, 0x0B, 0xB8), 10 * time.Millisecond}, // engine
		{"can0", hub.Std(0x110, 0x5A), 20 * time.Millisecond},       // engine
		{"can0", hub.Std(0x210, 0x00), 40 * time.Millisecond},       // steering
		{"can1", hub.Std(0x400, 0x01), 50 * time.Millisecond},       // doors
	} {
		// Nobody receives for this node, so nothing may wait for it.
		node, err := h.Open(n.channel, &hub.SubscriberOptions{SendOnly: true})
		if err != nil {
			return err
		}
		_, err = node.SendPeriodic(&hub.Periodic{Messages: []hub.Message{n.m}, Period: n.period})
		if err != nil {
			return err
		}
	}

	time.Sleep(5 * time.Millisecond) // or frames would come at the very instant of a tick
	ctx, cancel := context.WithTimeout(ctx, 3500*time.Millisecond)
	defer cancel()
	return serve(ctx, h, w)
}

// serve is the service. It returns nil when ctx is done.
func serve(ctx context.Context, h *hub.Hub, w io.Writer) error {
	can0, err := h.Open("can0", &hub.SubscriberOptions{Name: "gateway"})
	if err != nil {
		return err
	}
	defer can0.Close() // who leaves must close: the channel waits for its subscribers
	can1, err := h.Open("can1", &hub.SubscriberOptions{Name: "gateway"})
	if err != nil {
		return err
	}
	defer can1.Close()
	out, err := h.Open("can1", &hub.SubscriberOptions{Name: "gateway, sends", SendOnly: true})
	if err != nil {
		return err
	}
	defer out.Close()
	toSend := make(chan hub.Message) // closed below: the sender ends
	var sender sync.WaitGroup
	sender.Go(func() {
		for m := range toSend {
			out.Send(ctx, m) // it fails only when all ends
		}
	})
	defer sender.Wait()
	defer close(toSend)
	second := time.NewTicker(time.Second)
	defer second.Stop()

	const mostKept = 10_000 // bounded, as everything is
	var kept []hub.Message
	var from0, from1, passed, lost int
	for {
		var ready chan<- hub.Message // nil while there is nothing to send: that case is off
		var next hub.Message
		if len(kept) > 0 {
			ready, next = toSend, kept[0]
		}
		select {
		case m, open := <-can0.C():
			if !open {
				return hub.ErrClosed
			}
			from0++
			switch {
			case m.ID>>8 != 1:
			case len(kept) == mostKept:
				lost++
			default:
				kept = append(kept, m)
			}
		case ready <- next:
			kept = kept[1:]
			passed++
		case m, open := <-can1.C():
			if !open {
				return hub.ErrClosed
			}
			if m.ID>>8 != 1 { // or it is what we have sent
				from1++
			}
		case <-second.C:
			fmt.Fprintf(w, "%d frames from can0, %d of them passed on, %d from can1\n", from0, passed, from1)
		case <-ctx.Done():
			fmt.Fprintf(w, "the end: %d from can0, %d passed on, %d lost, %d from can1\n", from0, passed, lost, from1)
			return nil
		}
	}
}
