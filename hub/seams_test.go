package hub_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// flood sends until the returned function is called.
func flood(t *testing.T, h *hub.Hub) (stop func()) {
	t.Helper()
	tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for tx.Send(ctx, hub.Std(2)) == nil {
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// The channel itself hands batches to a reader that waits: never to one that has left.
func TestASubscriberWithBatchesClosesUnderTraffic(t *testing.T) {
	inTime(t, "closing under traffic", func() {
		h := hub.New(nil)
		defer h.Close()
		defer flood(t, h)()
		for n := range 300 {
			rx := openOn(t, h, "can0", nil)
			in := rx.Batches()
			closed := make(chan struct{})
			go func() {
				defer close(closed)
				time.Sleep(time.Duration(n%200) * time.Microsecond) // at another moment each time
				rx.Close()
			}()
			last := uint64(0)
			for batch := range in {
				for _, m := range batch {
					if last != 0 && m.Seq != last+1 {
						t.Errorf("message %d after %d", m.Seq, last)
					}
					last = m.Seq
				}
			}
			<-closed
		}
	})
}

// New filters while another goroutine receives what a closed hub has left change
// nothing of the order.
func TestFiltersAfterTheHubsCloseDoNotReorder(t *testing.T) {
	ctx := context.Background()
	for round := range 20 {
		h := hub.New(nil)
		rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 10_000})
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		for range 5000 {
			sendIDs(t, tx, 1)
		}
		h.Close()
		rx.C()
		done := make(chan struct{})
		go func() {
			defer close(done)
			rx.SetFilters()
		}()
		last := uint64(0)
		for {
			m, err := rx.Recv(ctx)
			if err != nil {
				break
			}
			if m.Seq != last+1 {
				t.Fatalf("round %d: message %d after %d", round, m.Seq, last)
			}
			last = m.Seq
		}
		if <-done; last != 5000 {
			t.Fatalf("round %d: %d messages received, want 5000", round, last)
		}
	}
}

func TestNothingComesOutOfCAfterCloseWhateverCameFirst(t *testing.T) {
	for range 300 {
		h := hub.New(nil)
		rx := openOn(t, h, "can0", nil)
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		for range 200 {
			sendIDs(t, tx, 1)
		}
		h.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			rx.Close()
		}()
		in := rx.C()
		<-done
		for range in {
			t.Fatal("a message came out after Close")
		}
	}
}

// What C of a closed hub holds is queued and not received, frames of gaps not counted.
func TestStatsOfCOfAClosedHub(t *testing.T) {
	h := hub.New(nil)
	rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 4, Policy: hub.DropNewest, ErrorFrames: true})
	tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
	for range 6 { // two are lost behind the fourth
		sendIDs(t, tx, 1)
	}
	h.Close()
	want := func(received uint64, queued int) {
		t.Helper()
		if st := rx.Stats(); st.Received != received || st.Queued != queued || st.Dropped != 2 {
			t.Errorf("stats %+v, want %d received, %d queued and 2 dropped", st, received, queued)
		}
	}
	in := rx.C()
	<-in
	rx.SetFilters() // what is left goes to Recv
	want(1, 3)
	for range 2 {
		if _, err := rx.Recv(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	want(3, 1)
	rx.Close()
	want(3, 0)
}

// The little that still fits of each burst does not keep the memory of the burst.
func TestAFullQueueThatDropsKeepsLittleMemory(t *testing.T) {
	const queue = 2048
	for _, o := range []hub.SubscriberOptions{
		{Queue: queue, Policy: hub.DropNewest},
		{Queue: queue, BlockFor: time.Nanosecond},
		{Queue: queue, Policy: hub.DropNewest, Filters: []hub.Filter{{ID: 1, Mask: 1}}},
	} {
		h := hub.New(nil)
		defer h.Close()
		rx := openOn(t, h, "can0", &o)
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		burst := make([]hub.Message, 250)
		for i := range burst {
			burst[i].ID = uint32(i / 8 % 16 / 15) // two pieces of eight pass the filter
		}
		before := inUse()
		for range queue + 100 {
			if err := tx.SendBatch(context.Background(), burst); err != nil {
				t.Fatal(err)
			}
			if err := tx.SendWait(context.Background(), hub.Std(2)); err != nil && rx.Stats().Dropped == 0 {
				t.Fatal(err)
			}
			if rx.Stats().Queued == queue {
				if _, err := rx.Recv(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if used := (inUse() - before) >> 10; used > 8192 {
			t.Errorf("%v, %d filters: %d queued messages keep %d KiB", o.Policy, len(o.Filters), rx.Stats().Queued, used)
		}
		runtime.KeepAlive(rx)
	}
}

// However many pieces wait when a hub closes, they are left to the receiver in one go.
func TestTheHubsCloseLeavesManyPiecesAtOnce(t *testing.T) {
	h := hub.New(nil)
	rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1, Filters: []hub.Filter{{ID: 1, Mask: 1}}})
	tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
	const pieces = 4096
	batch := make([]hub.Message, 16*pieces)
	for i := range batch {
		batch[i].ID = uint32(i / 8 & 1)
	}
	if err := tx.SendBatch(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h.Close()
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > pieces/2 {
		t.Errorf("Close allocated %d times for %d pieces", n, pieces)
	}
	got := 0
	for range rx.All(context.Background()) {
		got++
	}
	if got != 8*pieces {
		t.Errorf("%d messages received, want %d", got, 8*pieces)
	}
}

// A Modify that ends its goroutine, as t.Fatal does, ends the task with an error.
func TestModifyThatDoesNotReturnEndsTheTaskWithAnError(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attachSender(t, h, "can0")
		task, err := tx.SendPeriodic(&hub.Periodic{
			Messages: []hub.Message{hub.Std(1)},
			Period:   time.Second,
			Modify:   func(*hub.Message) { runtime.Goexit() },
		})
		if err != nil {
			t.Fatal(err)
		}
		<-task.Done()
		if task.Err() == nil {
			t.Error("Err is nil")
		}
	})
}
