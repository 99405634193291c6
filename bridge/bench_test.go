package bridge_test

import (
	"context"
	"testing"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
)

// One channel alone, and two with a bridge between them.
func BenchmarkMessages(b *testing.B) {
	for _, to := range []string{"a", "b"} {
		name := map[string]string{"a": "channel", "b": "bridge"}[to]
		b.Run(name, func(b *testing.B) {
			h := hub.New(nil)
			defer h.Close()
			x, _ := h.Open("a", nil)
			y, _ := h.Open(to, nil)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan struct{})
			if to == "a" {
				close(done)
			} else {
				s, _ := h.Open("a", nil)
				d, _ := h.Open("b", nil)
				go func() { defer close(done); bridge.Run(ctx, s, d, nil) }()
			}
			n := b.N
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				for range n {
					x.Send(ctx, hub.Std(1))
				}
			}()
			for range n {
				y.Recv(ctx)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msgs/s")
			cancel()
			<-done
		})
	}
}
