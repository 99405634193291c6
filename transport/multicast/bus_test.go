package multicast_test

import (
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/transport/multicast"
)

// groups are one of each family.
var groups = map[string]string{
	"IPv4": multicast.DefaultGroupIPv4,
	"IPv6": multicast.DefaultGroup,
}

func open(t testing.TB, group string, o *multicast.Options) *multicast.Bus {
	t.Helper()
	b, err := multicast.Open(group, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func send(t testing.TB, b hub.Bus, msgs ...hub.Message) {
	t.Helper()
	for _, m := range msgs {
		if err := b.Send(t.Context(), m); err != nil {
			t.Fatalf("Send(%v): %v", m, err)
		}
	}
}

// window is how many messages the socket's buffer holds in any case.
const window = 100

func TestConformance(t *testing.T) {
	if !isolated(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			join := func(t testing.TB) hub.Bus { return open(t, group, nil) }
			hubtest.TestBus(t, func(t testing.TB) (a, b hub.Bus) {
				return join(t), join(t)
			}, &hubtest.BusOptions{Window: window, Join: join})
		})
	}
}

func TestConformanceWithoutFD(t *testing.T) {
	if !isolated(t) {
		return
	}
	o := &multicast.Options{NoFD: true, Interface: "lo", Port: 5000, HopLimit: 255}
	join := func(t testing.TB) hub.Bus { return open(t, "239.1.2.3", o) }
	hubtest.TestBus(t, func(t testing.TB) (a, b hub.Bus) {
		return join(t), join(t)
	}, &hubtest.BusOptions{Window: window, NoFD: true, Join: join})
}
