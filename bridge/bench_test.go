package bridge_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
)

// What stands between two channels: a loop of Recv and Send for each direction,
// the least that one could write, and the bridge with more and more to do.
var pumps = []struct {
	name string
	run  func(ctx context.Context, a, b hub.Bus)
}{
	{"loop", loops},
	{"bridge", pump(bridge.Options{})},
	{"lifespan", pump(bridge.Options{LifeSpan: time.Minute})},
	{"filter", pump(bridge.Options{AToB: bridge.Direction{
		Filters: []hub.Filter{{ID: 1, Mask: 0x7FF}},
		Rewrite: func(id uint32, extended bool) (uint32, bool) { return id + 1, extended },
	}})},
	{"otherbus", func(ctx context.Context, a, b hub.Bus) { bridge.Run(ctx, plain{a}, plain{b}, nil) }},
	{"ring", pump(bridge.Options{Ring: new(bridge.Ring), A: bridge.Side{Name: "a"}, B: bridge.Side{Name: "b"}})},
}

func pump(o bridge.Options) func(ctx context.Context, a, b hub.Bus) {
	return func(ctx context.Context, a, b hub.Bus) { bridge.Run(ctx, a, b, &o) }
}

// plain is any bus: the three methods and no more.
type plain struct{ hub.Bus }

func loops(ctx context.Context, a, b hub.Bus) {
	loop := func(from, to hub.Bus) {
		for {
			m, err := from.Recv(ctx)
			if err != nil {
				return
			}
			if to.Send(ctx, m) != nil {
				return
			}
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { loop(a, b) })
	wg.Go(func() { loop(b, a) })
	wg.Wait()
}

// Many messages in one direction. The metric is messages received per second.
func BenchmarkThroughput(b *testing.B) {
	for _, p := range pumps {
		b.Run(p.name, func(b *testing.B) {
			ctx := context.Background()
			x, y := between(b, p.run)
			b.ReportAllocs()
			b.ResetTimer()
			n := b.N
			go func() {
				for range n {
					x.Send(ctx, hub.Std(1))
				}
			}()
			for range n {
				y.Recv(ctx)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}

// Two channels with busy nodes that read all the time: the messages of one pass
// the bridge, or those of both. The metrics are how many arrive in a second, both
// ways taken together, and how many of all the bridge dropped.
func BenchmarkBusy(b *testing.B) {
	for _, senders := range []int{1, 4} {
		for _, ways := range []int{1, 2} {
			b.Run(fmt.Sprintf("senders=%d/ways=%d", senders, ways), func(b *testing.B) {
				var st bridge.Stats
				nodes := [2]*hub.Subscriber{}
				nodes[0], nodes[1] = between(b, pump(bridge.Options{Stats: &st}))
				each := b.N/ways/senders + 1
				var received atomic.Uint64
				ctx, cancel := context.WithCancel(context.Background())
				var wg sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for i, node := range nodes {
					wg.Go(func() {
						for {
							batch, err := node.RecvBatch(ctx)
							if err != nil {
								return
							}
							received.Add(uint64(len(batch)))
						}
					})
					for id := range senders {
						if i < ways {
							wg.Go(func() {
								for range each {
									node.Send(ctx, hub.Std(uint32(id)))
								}
							})
						}
					}
				}
				all, dropped := uint64(each*senders*ways), uint64(0)
				for received.Load()+dropped < all {
					time.Sleep(100 * time.Microsecond)
					dropped = st.AToB.Stalled.Load() + st.BToA.Stalled.Load()
				}
				b.ReportMetric(float64(received.Load())/b.Elapsed().Seconds(), "msgs/s")
				b.ReportMetric(float64(dropped), "dropped")
				cancel()
				wg.Wait()
			})
		}
	}
}

// One message there and back at a time: two passages.
func BenchmarkRoundTrip(b *testing.B) {
	for _, p := range pumps {
		b.Run(p.name, func(b *testing.B) {
			ctx := context.Background()
			x, y := between(b, p.run)
			go func() {
				for m := range y.All(ctx) {
					y.Send(ctx, m)
				}
			}()
			b.ReportAllocs()
			for b.Loop() {
				x.Send(ctx, hub.Std(1))
				x.Recv(ctx)
			}
		})
	}
}

// between returns nodes on two channels that run connects until b ends.
func between(b *testing.B, run func(ctx context.Context, a, b hub.Bus)) (x, y *hub.Subscriber) {
	h := hub.New(nil)
	open := func(name string) *hub.Subscriber {
		s, err := h.Open(name, nil)
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	x, y = open("a"), open("b")
	from, to := open("a"), open("b")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx, from, to) }()
	b.Cleanup(func() {
		cancel()
		<-done
		h.Close()
	})
	return x, y
}
