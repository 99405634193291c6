package multicast_test

import (
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/multicast"
)

var benchmarked = []struct {
	name string
	m    hub.Message
}{
	{"classic", hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8)},
	{"fd64", hub.FD(0x18FEF100, make([]byte, 64)...)},
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range benchmarked {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 256)
			for b.Loop() {
				if _, err := multicast.AppendMessage(buf, &c.m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benchmarked {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			wire := encode(b, c.m)
			var m hub.Message
			for b.Loop() {
				if err := multicast.Decode(&m, wire); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
