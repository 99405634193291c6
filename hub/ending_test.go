package hub_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// While a hub that closes waits for a slow reader of C, other subscribers close
// at once, and so does the one with the slow reader.
func TestCloseDuringTheHubsCloseWaitsForNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		open := func(o *hub.SubscriberOptions) *hub.Subscriber {
			s, err := h.Open("can0", o)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		tx, idle, slow := open(&hub.SubscriberOptions{SendOnly: true}), open(nil), open(nil)
		out := slow.C()
		for range 200 {
			if err := tx.Send(context.Background(), hub.Std(1)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			h.Close()
			close(closed)
		}()
		time.Sleep(90 * time.Millisecond)
		<-out
		for range 5 {
			time.Sleep(900 * time.Millisecond)
			<-out
		}
		select {
		case <-closed:
			t.Fatal("the hub has closed before its reader had everything")
		default:
		}
		start := time.Now()
		idle.Close()
		slow.Close()
		<-closed
		if d := time.Since(start); d != 0 {
			t.Errorf("closing took %v, want no time", d)
		}
		if _, open := <-out; open {
			t.Error("something comes out of C after Close")
		}
	})
}

// A task is told that its message was forwarded when it was, also if it was
// taken from the inbox together with others.
func TestPeriodicHasOneMessageUnderWayBehindOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		full, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := h.Open("can0", &hub.SubscriberOptions{SendOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		other, err := h.Open("can0", &hub.SubscriberOptions{SendOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		send := func(s *hub.Subscriber, n int) {
			t.Helper()
			if err := s.SendBatch(ctx, make([]hub.Message, n)); err != nil {
				t.Fatal(err)
			}
		}
		for range 200 { // so many that what tx sends next lies together
			send(tx, 1)
			if _, err := full.Recv(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // one for the queue, and one that the channel waits with
			send(tx, 1)
			synctest.Wait()
		}
		send(other, 1)
		send(tx, 20)
		if _, err := tx.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(2)}, Period: 10 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		send(other, 1)
		for range 3 { // the channel goes on to the twenty, and waits again
			if _, err := full.Recv(ctx); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if got := tx.Stats().Sent; got != 223 {
			t.Errorf("%d messages were sent, want 222 and one of the task", got)
		}
	})
}
