// Selectloop is a service the way Go services are written: one goroutine, one
// select, and so no locks. It listens to two channels and a ticker, passes the
// engine's frames on from can0 to can1, and ends with its context.
//
//	go run ./examples/selectloop
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
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
	second := time.NewTicker(time.Second)
	defer second.Stop()

	var from0, from1, passed int
	for {
		select {
		case m, open := <-can0.C():
			if !open {
				return hub.ErrClosed
			}
			from0++
			if m.ID>>8 != 1 {
				continue
			}
			if err := can1.Send(ctx, m); err == nil {
				passed++
			} else if ctx.Err() == nil {
				return err
			}
		case _, open := <-can1.C():
			if !open {
				return hub.ErrClosed
			}
			from1++
		case <-second.C:
			fmt.Fprintf(w, "%d frames from can0, %d of them passed on, %d from can1\n", from0, passed, from1)
		case <-ctx.Done():
			fmt.Fprintf(w, "the end: %d from can0, %d passed on, %d from can1\n", from0, passed, from1)
			return nil
		}
	}
}
