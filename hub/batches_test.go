package hub_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// onOffer is what comes out of in without waiting, when everything has settled.
func onOffer(t *testing.T, in <-chan []hub.Message) (batch []hub.Message, open bool) {
	t.Helper()
	synctest.Wait()
	select {
	case batch, open = <-in:
		if open && len(batch) == 0 {
			t.Fatal("an empty batch came out")
		}
		return batch, open
	default:
		return nil, true
	}
}

func TestBatchesHandsOutAllInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attachSender(t, h, "can0")
		rx := attach(t, h, "can0", nil)
		in := rx.Batches()
		if rx.Batches() != in {
			t.Error("the second call returned another chan")
		}
		go func() {
			for i := range 40 {
				transmit(t, tx, numbered(uint32(1+25*i), uint32(25+25*i))...)
			}
			h.Close()
		}()
		next := uint64(1)
		for batch := range in {
			for _, m := range batch {
				if m.Seq != next {
					t.Fatalf("message %d came out, want %d", m.Seq, next)
				}
				next++
			}
		}
		if next != 1001 {
			t.Errorf("%d messages came out, want 1000", next-1)
		}
		if st := rx.Stats(); st.Received != 1000 || st.Queued != 0 {
			t.Errorf("stats %+v, want 1000 received", st)
		}
	})
}

// Whoever selects has a batch for as long as it does not receive the next, however
// far the channel gets meanwhile.
func TestABatchStaysAsItIsUntilTheNextIsReceived(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	tx := attachSender(t, h, "can0")
	rx := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 2000})
	quick := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 2000})
	in := rx.Batches()
	const total = 100_000
	sent := make(chan error, 1)
	go func() {
		for i := range total {
			if err := tx.Send(context.Background(), hub.Ext(uint32(i), byte(i), byte(i>>8), byte(i>>16))); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	got, taken := 0, 0
	for got < total {
		batch := <-in
		was := slices.Clone(batch)
		for taken < min(total, got+len(batch)+1000) { // others use the memory that is free
			msgs, err := quick.RecvBatch(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			taken += len(msgs)
		}
		if !slices.Equal(batch, was) {
			t.Fatalf("the batch from message %d on has changed", was[0].Seq)
		}
		for i, m := range was {
			if m.ID != uint32(got+i) || m.Seq != uint64(got+i+1) {
				t.Fatalf("message %v with Seq %d came out, want number %d", m, m.Seq, got+i+1)
			}
		}
		got += len(batch)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}

func TestNewFiltersReachWhatBatchesHasOnOffer(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attachSender(t, h, "can0")
		rx := attach(t, h, "can0", nil)
		in := rx.Batches()
		transmit(t, tx, hub.Std(1), hub.Std(2), hub.Std(3))
		synctest.Wait() // it is on offer
		rx.SetFilters(hub.Filter{ID: 2, Mask: 0x7FF})
		var ids []uint32
		for batch, _ := onOffer(t, in); batch != nil; batch, _ = onOffer(t, in) {
			for _, m := range batch {
				ids = append(ids, m.ID)
			}
		}
		if !slices.Equal(ids, []uint32{2}) {
			t.Errorf("%v came out, want 2 alone", ids)
		}
		if st := rx.Stats(); st.Received != 1 || st.Queued != 0 {
			t.Errorf("stats %+v, want 1 received and none queued", st)
		}
	})
}

func TestCloseGivesUpWhatBatchesHasOnOffer(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attachSender(t, h, "can0")
		rx := attach(t, h, "can0", nil)
		in := rx.Batches()
		transmit(t, tx, numbered(1, 3)...)
		synctest.Wait()
		rx.Close()
		if batch, open := onOffer(t, in); open {
			t.Errorf("%d messages came out after Close", len(batch))
		}
		if st := rx.Stats(); st.Received != 0 {
			t.Errorf("stats %+v, want none received", st)
		}
	})
}

// What C or Batches hold when the hub has closed, the subscriber's own Close still
// gives up, and later filters still apply to.
func TestAfterTheHubsCloseTheSubscriberStillDecides(t *testing.T) {
	ways := map[string]func(*hub.Subscriber) func() int{
		"C": func(s *hub.Subscriber) func() int {
			in := s.C()
			return func() (n int) {
				for range in {
					n++
				}
				return n
			}
		},
		"Batches": func(s *hub.Subscriber) func() int {
			in := s.Batches()
			return func() (n int) {
				for batch := range in {
					n += len(batch)
				}
				return n
			}
		},
	}
	for name, way := range ways {
		for _, before := range []bool{true, false} { // the chan is asked for
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T, h *hub.Hub) {
					tx := attachSender(t, h, "can0")
					all := []hub.Filter{{}}
					closes, filters := attach(t, h, "can0", &hub.SubscriberOptions{Filters: all}), attach(t, h, "can0", &hub.SubscriberOptions{Filters: all})
					var rest, judged func() int
					if before {
						rest, judged = way(closes), way(filters)
					}
					transmit(t, tx, hub.Std(1), hub.Std(2), hub.Std(2))
					h.Close()
					if !before {
						rest, judged = way(closes), way(filters)
					}
					closes.Close()
					if n := rest(); n > 0 {
						t.Errorf("%d messages came out after Close", n)
					}
					filters.SetFilters(hub.Filter{ID: 2, Mask: 0x7FF})
					n := judged()
					for m := range filters.All(context.Background()) {
						if n++; m.ID != 2 {
							t.Errorf("%v came out, which the filters refuse", m)
						}
					}
					if n != 2 {
						t.Errorf("%d messages came out, want 2", n)
					}
				})
			})
		}
	}
}

func TestBatchesTellsALossBeforeWhatIsBehindIt(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attachSender(t, h, "can0")
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 2, Policy: hub.DropNewest, ErrorFrames: true})
		in := rx.Batches()
		transmit(t, tx, numbered(1, 5)...) // 3 are lost
		var got []string
		take := func() {
			for batch, _ := onOffer(t, in); batch != nil; batch, _ = onOffer(t, in) {
				for _, m := range batch {
					got = append(got, m.String())
				}
			}
		}
		take()
		transmit(t, tx, hub.Std(0x77))
		take()
		want := []string{numbered(1, 1)[0].String(), numbered(2, 2)[0].String(), "20000004#0001000000000000", "077#"}
		if !slices.Equal(got, want) {
			t.Errorf("%q came out, want %q", got, want)
		}
	})
}

// The other receive calls go on with what Batches has on offer, polls too.
func TestReceiveCallsWorkBesideBatches(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attachSender(t, h, "can0")
		rx := attach(t, h, "can0", nil)
		in := rx.Batches()
		ctx, done := context.Background(), canceled()
		transmit(t, tx, numbered(1, 12)...)
		synctest.Wait()
		next := uint64(1)
		want := func(what string, msgs []hub.Message, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			for _, m := range msgs {
				if m.Seq != next {
					t.Fatalf("%s returned message %d, want %d", what, m.Seq, next)
				}
				next++
			}
		}
		for range 3 {
			m, err := rx.Recv(ctx)
			want("Recv", []hub.Message{m}, err)
			m, err = rx.Recv(done)
			want("a poll", []hub.Message{m}, err)
		}
		msgs, err := rx.RecvBatch(done)
		want("a poll by RecvBatch", msgs, err)
		for next <= 12 {
			msgs, err = rx.RecvBatch(ctx)
			want("RecvBatch", msgs, err)
		}
		transmit(t, tx, numbered(13, 14)...)
		for next <= 14 {
			batch, _ := onOffer(t, in)
			want("Batches", batch, nil)
		}
		if _, err := rx.Recv(done); err != context.Canceled {
			t.Errorf("a poll of nothing returned %v", err)
		}
		if _, err := rx.RecvBatch(done); err != context.Canceled {
			t.Errorf("a poll of nothing by RecvBatch returned %v", err)
		}
	})
}

func TestASubscriberHasCOrBatches(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	panics := func(f func()) (p any) {
		defer func() { p = recover() }()
		f()
		return nil
	}
	a, b := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
	a.C()
	b.Batches()
	if panics(func() { a.Batches() }) == nil {
		t.Error("Batches after C does not panic")
	}
	if panics(func() { b.C() }) == nil {
		t.Error("C after Batches does not panic")
	}
}

// A reader that takes something while the hub closes has a second for each further
// batch; one that never does, a tenth of a second.
func TestTheHubsCloseWaitsForAReaderOfBatches(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attachSender(t, h, "can0")
		rx := attach(t, h, "can0", nil)
		in := rx.Batches()
		for i := range 4 { // each a batch of its own
			transmit(t, tx, numbered(uint32(1+i), uint32(1+i))...)
			synctest.Wait()
		}
		closed := make(chan time.Time, 1)
		start := time.Now()
		go func() {
			h.Close()
			closed <- time.Now()
		}()
		time.Sleep(99 * time.Millisecond)
		<-in
		time.Sleep(999 * time.Millisecond)
		<-in
		got := 2
		if d := (<-closed).Sub(start); d != 2098*time.Millisecond {
			t.Errorf("Close took %v, want a second from the last receive on", d)
		}
		for range in {
			t.Error("something came out after it was given up")
		}
		for range rx.All(context.Background()) {
			got++
		}
		if got != 4 {
			t.Errorf("%d messages received, want 4", got)
		}
	})
}
