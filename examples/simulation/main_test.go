package main

import (
	"context"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/hub"
)

func TestEveryNodeReceivesEverything(t *testing.T) {
	for _, c := range []struct {
		nodes, messages int
		want            string
	}{
		{2, 0, "2 nodes sent 0 messages, of which 0 were delivered"},
		{2, 1, "2 nodes sent 1 messages, of which 1 were delivered"},
		{7, 10_000, "7 nodes sent 10000 messages, of which 60000 were delivered"},
		{50, 2_001, "50 nodes sent 2001 messages, of which 98049 were delivered"},
	} {
		var out strings.Builder
		if err := run(t.Context(), c.nodes, c.messages, &out); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if !strings.HasPrefix(out.String(), c.want) || !strings.HasSuffix(out.String(), "none lost, all in order\n") {
			t.Errorf("%+v: printed:\n%s", c, out.String())
		}
	}
}

func TestInterruptedItStillLosesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out strings.Builder
	if err := run(ctx, 3, 1000, &out); err != nil {
		t.Error(err)
	}
	if !strings.HasPrefix(out.String(), "3 nodes sent 0 messages") {
		t.Errorf("printed:\n%s", out.String())
	}
}

// The check would notice a message that is lost: here one has a queue of one
// and drops.
func TestALostMessageIsNoticed(t *testing.T) {
	h := hub.New(nil)
	s, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1, Policy: hub.DropOldest})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	sender, receiver := node{Subscriber: tx}, node{Subscriber: s}
	sender.send(t.Context(), 10)
	h.Close()
	receiver.receive()
	if receiver.err == nil || receiver.received != 1 {
		t.Errorf("received %d messages of 10 through a queue of 1, error %v", receiver.received, receiver.err)
	}
}
