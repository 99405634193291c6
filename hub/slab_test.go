package hub_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"weak"

	"github.com/canhub-go/canhub/hub"
)

// Memory that has come back is given to senders again. Nobody sees it change under
// a message that it has not received yet: not who is slow, not who receives by
// Recv, C or RecvBatch, not under DropOldest, which throws messages away.
func TestMemoryThatCameBackHoldsNothingThatIsStillToCome(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	open := func(o *hub.SubscriberOptions) *hub.Subscriber {
		s, err := h.Open("can0", o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const senders, each = 3, 20_000
	const total = senders*each + 1 // and one that all get
	ctx := context.Background()
	// What a sender sends tells who it is, and which of its messages it is, twice.
	good := func(m *hub.Message) bool {
		return m.Len == 8 && [4]byte(m.Data[:4]) == [4]byte(m.Data[4:8]) && m.ID == uint32(m.Data[0])
	}
	var wg, sending sync.WaitGroup
	watch := func(name string, drops bool, receive func() ([]hub.Message, error)) {
		wg.Go(func() {
			for last := uint64(0); last < total; {
				msgs, err := receive()
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				for i := range msgs {
					m := &msgs[i]
					if !good(m) || m.Seq <= last || !drops && m.Seq != last+1 {
						t.Errorf("%s: number %d, %v, after number %d", name, m.Seq, m, last)
						return
					}
					last = m.Seq
				}
			}
		})
	}
	one := func(s *hub.Subscriber) func() ([]hub.Message, error) {
		return func() ([]hub.Message, error) {
			m, err := s.Recv(ctx)
			return []hub.Message{m}, err
		}
	}
	batches := func(s *hub.Subscriber) func() ([]hub.Message, error) {
		return func() ([]hub.Message, error) { return s.RecvBatch(ctx) }
	}
	viaC := open(nil).C()
	watch("Recv", false, one(open(nil)))
	watch("RecvBatch", false, batches(open(nil)))
	watch("C", false, func() ([]hub.Message, error) { return []hub.Message{<-viaC}, nil })
	inBatches := open(nil).Batches()
	watch("Batches", false, func() ([]hub.Message, error) { return <-inBatches, nil })
	watch("Recv with filters", true, one(open(&hub.SubscriberOptions{Filters: []hub.Filter{{ID: 2, Mask: 2}, {ID: 1, Mask: 3}}})))
	watch("Recv under DropOldest", true, one(open(&hub.SubscriberOptions{Policy: hub.DropOldest, Queue: 8})))
	watch("RecvBatch under DropOldest", true, batches(open(&hub.SubscriberOptions{Policy: hub.DropOldest, Queue: 300})))
	open(&hub.SubscriberOptions{Policy: hub.DropOldest}) // never receives
	for id := range uint32(senders) {
		tx := open(&hub.SubscriberOptions{SendOnly: true})
		sending.Go(func() {
			var batch []hub.Message
			for i := range each {
				m := hub.Std(id, byte(id), byte(i), byte(i>>8), byte(i>>16), byte(id), byte(i), byte(i>>8), byte(i>>16))
				var err error
				switch {
				case id > 0:
					err = tx.Send(ctx, m)
				default:
					if batch = append(batch, m); len(batch) == 25 {
						err, batch = tx.SendBatch(ctx, batch), nil
					}
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	tx := open(&hub.SubscriberOptions{SendOnly: true})
	sending.Wait()
	if err := tx.Send(ctx, hub.Std(2, 2, 0, 0, 0, 2, 0, 0, 0)); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// In the long run nothing is allocated for a message, however it is sent and
// received: the memory of those before it is used again.
func TestMessagesMakeNoGarbage(t *testing.T) {
	ctx := context.Background()
	one := func(t *testing.T, tx []*hub.Subscriber) {
		for i := range 64 {
			if err := tx[i%len(tx)].Send(ctx, hub.Std(1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := make([]hub.Message, 64)
	batches := func(lengths ...int) func(t *testing.T, tx []*hub.Subscriber) {
		return func(t *testing.T, tx []*hub.Subscriber) {
			for _, n := range lengths {
				if err := tx[0].SendBatch(ctx, all[:n]); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	many := batches(64)
	recv := func(t *testing.T, rx *hub.Subscriber) {
		for range 64 {
			if _, err := rx.Recv(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	recvBatch := func(t *testing.T, rx *hub.Subscriber) {
		for n := rx.Stats().Queued; n > 0; {
			msgs, err := rx.RecvBatch(ctx)
			if err != nil {
				t.Fatal(err)
			}
			n -= len(msgs)
		}
	}
	fromBatches := func(t *testing.T, rx *hub.Subscriber) {
		in := rx.Batches()
		for n := rx.Stats().Queued; n > 0; {
			n -= len(<-in)
		}
	}
	odd := []hub.Filter{{ID: 1, Mask: 1}}
	for _, c := range []struct {
		name    string
		senders int
		send    func(*testing.T, []*hub.Subscriber)
		opts    hub.SubscriberOptions
		receive func(*testing.T, *hub.Subscriber)
	}{
		{"Send, Recv", 1, one, hub.SubscriberOptions{}, recv},
		{"Send of several, Recv", 3, one, hub.SubscriberOptions{}, recv},
		{"SendBatch, RecvBatch", 1, many, hub.SubscriberOptions{}, recvBatch},
		{"SendBatch, Batches", 1, many, hub.SubscriberOptions{}, fromBatches},
		{"SendBatch that does not fit at the end of a slab, RecvBatch", 1, batches(30, 30, 30), hub.SubscriberOptions{}, recvBatch},
		{"Send, Recv under DropOldest", 1, one, hub.SubscriberOptions{Policy: hub.DropOldest}, recv},
		{"Send, Recv with filters", 2, one, hub.SubscriberOptions{Filters: odd}, recv},
		{"Send, nobody receives under DropOldest", 1, one, hub.SubscriberOptions{Policy: hub.DropOldest}, nil},
		{"SendBatch, nobody receives under DropNewest", 1, many, hub.SubscriberOptions{Policy: hub.DropNewest}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub.New(nil)
				defer h.Close()
				var tx []*hub.Subscriber
				for range c.senders {
					s, err := h.Open("can0", &hub.SubscriberOptions{SendOnly: true})
					if err != nil {
						t.Fatal(err)
					}
					tx = append(tx, s)
				}
				rx, err := h.Open("can0", &c.opts)
				if err != nil {
					t.Fatal(err)
				}
				const rounds = 64
				thousand := func() {
					for range rounds {
						c.send(t, tx)
						synctest.Wait()
						if c.receive != nil {
							c.receive(t, rx)
						}
					}
				}
				thousand() // slabs have their full size after this
				if n := testing.AllocsPerRun(10, thousand); n > 8 {
					t.Errorf("%v allocations for %d messages, want next to none", n, 64*rounds)
				}
			})
		})
	}
}

// A few messages that a filter lets through do not keep the memory of the many
// that it does not.
func TestMessagesInAQueueKeepLittleMemory(t *testing.T) {
	ctx := context.Background()
	for _, policy := range []hub.Policy{hub.DropOldest, hub.DropNewest} {
		h := hub.New(nil)
		defer h.Close()
		rx, err := h.Open("can0", &hub.SubscriberOptions{Policy: policy, Filters: []hub.Filter{{ID: 7, Mask: 0x7FF}}})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := h.Open("can0", &hub.SubscriberOptions{SendOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		before := inUse()
		batch := make([]hub.Message, 256)
		batch[0].ID = 7
		for range 256 {
			if err := tx.SendBatch(ctx, batch); err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.SendWait(ctx, hub.Std(1)); err != nil {
			t.Fatal(err)
		}
		if used := inUse() - before; used > 1<<20 {
			t.Errorf("%v: %d queued messages keep %d KiB", policy, rx.Stats().Queued, used>>10)
		}
		runtime.KeepAlive(rx)
	}
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Nothing of a subscriber that has closed is kept by another one that was late
// beside it.
func TestAClosedSubscriberIsLetGo(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	ctx := context.Background()
	open := func(o *hub.SubscriberOptions) *hub.Subscriber {
		s, err := h.Open("can0", o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tx, keep := open(&hub.SubscriberOptions{SendOnly: true}), open(&hub.SubscriberOptions{Queue: 2})
	var others []weak.Pointer[hub.Subscriber]
	for range 20 {
		other := open(&hub.SubscriberOptions{Queue: 2})
		others = append(others, weak.Make(other))
		for range 50 { // both are late, and make room one after the other
			if err := tx.SendBatch(ctx, make([]hub.Message, 6)); err != nil {
				t.Fatal(err)
			}
			for range 6 {
				other.Recv(ctx)
				keep.Recv(ctx)
			}
		}
		other.Close()
	}
	for range 600 { // until all slabs are others
		tx.Send(ctx, hub.Std(1))
		keep.Recv(ctx)
	}
	runtime.GC()
	runtime.GC()
	for i, other := range others {
		if other.Value() != nil {
			t.Errorf("subscriber %d of %d is still in memory", i+1, len(others))
		}
	}
	runtime.KeepAlive(keep)
}
