package multicast_test

import (
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/netns"
	"github.com/canhub-go/canhub/transport/multicast"
)

// One group on two interfaces is two buses, also on a host that is on both.
func TestBusHearsItsOwnInterfaceOnly(t *testing.T) {
	if !isolated(t) {
		return
	}
	second := netns.Cable(t)
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			on := func(name string) *multicast.Bus { return open(t, group, &multicast.Options{Interface: name}) }
			a, b := on("lo"), on("lo")
			c, d := on(second), on(second)
			send(t, a, hub.Std(1))
			send(t, c, hub.Std(2))
			send(t, a, marker)
			send(t, c, marker)
			hubtest.Want(t, b, hub.Std(1), marker)
			hubtest.Want(t, d, hub.Std(2), marker)
		})
	}
}
