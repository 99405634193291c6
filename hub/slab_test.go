package hub_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/canhub-go/canhub/hub"
)

// What RecvBatch has returned stays as it is, however much is sent after it,
// also while others receive the same messages by Recv and C.
func TestWhatRecvBatchReturnedIsNeverWrittenAgain(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	open := func(o *hub.SubscriberOptions) *hub.Subscriber {
		s, err := h.Open("can0", o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const total = 50_000
	var wg sync.WaitGroup
	one, viaC, keeper := open(nil), open(nil), open(nil)
	for range 2 {
		tx := open(&hub.SubscriberOptions{SendOnly: true})
		wg.Go(func() {
			for i := range uint32(total / 2) {
				if err := tx.Send(context.Background(), hub.Std(i&0x7FF, byte(i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for seq := uint64(1); seq <= total; seq++ {
			if m, err := one.Recv(context.Background()); err != nil || m.Seq != seq {
				t.Errorf("Recv: number %d, %v, want number %d", m.Seq, err, seq)
				return
			}
		}
	})
	wg.Go(func() {
		for seq := uint64(1); seq <= total; seq++ {
			if m := <-viaC.C(); m.Seq != seq {
				t.Errorf("C: number %d, want %d", m.Seq, seq)
				return
			}
		}
	})
	var kept [][]hub.Message
	var copies []hub.Message
	for len(copies) < total {
		msgs, err := keeper.RecvBatch(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, msgs)
		copies = append(copies, msgs...)
	}
	wg.Wait()
	for _, msgs := range kept {
		for i := range msgs {
			if msgs[i] != copies[0] {
				t.Fatalf("message %d has become %v (number %d), it was %v", copies[0].Seq, msgs[i], msgs[i].Seq, copies[0])
			}
			copies = copies[1:]
		}
	}
}

// In the long run nothing is allocated for a message that is received by Recv.
func TestSendAndRecvMakeNoGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		tx, err := h.Open("can0", nil)
		if err != nil {
			t.Fatal(err)
		}
		rx, err := h.Open("can0", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		thousand := func() {
			for range 1000 {
				if err := tx.Send(ctx, hub.Std(1)); err != nil {
					t.Fatal(err)
				}
				if _, err := rx.Recv(ctx); err != nil {
					t.Fatal(err)
				}
			}
		}
		thousand()
		if n := testing.AllocsPerRun(10, thousand); n > 20 {
			t.Errorf("%v allocations for 1000 messages, want next to none", n)
		}
	})
}
