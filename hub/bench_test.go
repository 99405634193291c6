package hub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/canhub-go/canhub/hub"
)

// The benchmarks deliver b.N messages to every subscriber, none lost, and
// report deliveries per second. BenchmarkBare is what a program without a hub
// would do: one goroutine sends each message to one chan per subscriber.

func benchSubscribers(b *testing.B, run func(b *testing.B, subscribers int)) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			run(b, n)
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

func BenchmarkBare(b *testing.B) {
	benchSubscribers(b, func(b *testing.B, subscribers int) {
		var wg sync.WaitGroup
		chans := make([]chan hub.Message, subscribers)
		for i := range chans {
			chans[i] = make(chan hub.Message, 256)
			wg.Go(func() {
				for range b.N {
					<-chans[i]
				}
			})
		}
		m := hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8)
		b.ResetTimer()
		for range b.N {
			for _, out := range chans {
				out <- m
			}
		}
		wg.Wait()
	})
}

// receiveAll has every subscriber receive n messages with receive, which
// returns how many it got and the last one's Seq.
func receiveAll(b *testing.B, h *hub.Hub, subscribers, n int, receive func(*hub.Subscriber) (int, uint64)) *sync.WaitGroup {
	var wg sync.WaitGroup
	for range subscribers {
		s, err := h.Open("can0", nil)
		if err != nil {
			b.Fatal(err)
		}
		wg.Go(func() {
			got, last := 0, uint64(0)
			for got < n {
				k, seq := receive(s)
				if seq != last+uint64(k) {
					b.Errorf("message %d follows message %d", seq, last)
					return
				}
				got, last = got+k, seq
			}
		})
	}
	return &wg
}

func recvOne(s *hub.Subscriber) (int, uint64) {
	m, err := s.Recv(context.Background())
	if err != nil {
		panic(err)
	}
	return 1, m.Seq
}

func recvBatch(s *hub.Subscriber) (int, uint64) {
	msgs, err := s.RecvBatch(context.Background())
	if err != nil {
		panic(err)
	}
	return len(msgs), msgs[len(msgs)-1].Seq
}

func recvC(s *hub.Subscriber) (int, uint64) {
	m := <-s.C()
	return 1, m.Seq
}

// selectBatches receives as a select loop does that can be ended.
func selectBatches(s *hub.Subscriber) (int, uint64) {
	select {
	case msgs := <-s.Batches():
		return len(msgs), msgs[len(msgs)-1].Seq
	case <-never:
		panic("never")
	}
}

var never = make(chan struct{})

func benchHub(b *testing.B, subscribers int, receive func(*hub.Subscriber) (int, uint64), send func(*hub.Subscriber, hub.Message)) {
	h := hub.New(nil)
	defer h.Close()
	tx, err := h.Open("can0", nil)
	if err != nil {
		b.Fatal(err)
	}
	wg := receiveAll(b, h, subscribers, b.N, receive)
	m := hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8)
	b.ResetTimer()
	send(tx, m)
	wg.Wait()
}

func BenchmarkSendRecv(b *testing.B) {
	benchSubscribers(b, func(b *testing.B, subscribers int) {
		benchHub(b, subscribers, recvOne, func(tx *hub.Subscriber, m hub.Message) {
			for range b.N {
				if err := tx.Send(context.Background(), m); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkSendC(b *testing.B) {
	benchSubscribers(b, func(b *testing.B, subscribers int) {
		benchHub(b, subscribers, recvC, func(tx *hub.Subscriber, m hub.Message) {
			for range b.N {
				if err := tx.Send(context.Background(), m); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

func BenchmarkSendBatchRecvBatch(b *testing.B) { benchSendBatch(b, recvBatch) }

func BenchmarkSendBatchBatches(b *testing.B) { benchSendBatch(b, selectBatches) }

func benchSendBatch(b *testing.B, receive func(*hub.Subscriber) (int, uint64)) {
	benchSubscribers(b, func(b *testing.B, subscribers int) {
		benchHub(b, subscribers, receive, func(tx *hub.Subscriber, m hub.Message) {
			msgs := make([]hub.Message, 64)
			for i := range msgs {
				msgs[i] = m
			}
			for left := b.N; left > 0; left -= len(msgs) {
				msgs = msgs[:min(left, len(msgs))]
				if err := tx.SendBatch(context.Background(), msgs); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
