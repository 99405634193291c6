package hubtest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// subscribers returns a function that makes two nodes of a hub.
func subscribers(o *hub.SubscriberOptions) func(t testing.TB) (a, b hub.Bus) {
	return (&place{opts: o}).pair
}

// A place makes pairs on a hub of their own, and knows the latest.
type place struct {
	opts *hub.SubscriberOptions
	c    bool // they receive through C
	hub  *hub.Hub
}

func (p *place) pair(t testing.TB) (a, b hub.Bus) {
	p.hub = hubtest.New(t)
	return p.join(t), p.join(t)
}

func (p *place) join(t testing.TB) hub.Bus {
	s := hubtest.Open(t, p.hub, "can0", p.opts)
	if p.c {
		s.C()
	}
	return s
}

func (p *place) test(t *testing.T, o hubtest.BusOptions) {
	o.Join = p.join
	o.EndBus = func() { p.hub.Close() }
	hubtest.TestBus(t, p.pair, &o)
}

func TestSubscriberIsABus(t *testing.T) {
	small := &hub.SubscriberOptions{Queue: 16}
	drops := &hub.SubscriberOptions{Queue: 32, Policy: hub.DropNewest}
	for _, synctest := range []bool{false, true} {
		name := "Outside"
		if synctest {
			name = "InABubble"
		}
		t.Run(name, func(t *testing.T) {
			t.Run("Plain", func(t *testing.T) {
				(&place{}).test(t, hubtest.BusOptions{Synctest: synctest})
			})
			// The channel has to wait as often as it can.
			t.Run("SmallQueue", func(t *testing.T) {
				(&place{opts: small}).test(t, hubtest.BusOptions{Synctest: synctest})
			})
			t.Run("ThroughC", func(t *testing.T) {
				(&place{opts: small, c: true}).test(t, hubtest.BusOptions{Synctest: synctest})
			})
			// With filters C has no buffer, so that more has to wait before it.
			t.Run("ThroughCWithFilters", func(t *testing.T) {
				all := &hub.SubscriberOptions{Queue: 16, Filters: []hub.Filter{{}}}
				(&place{opts: all, c: true}).test(t, hubtest.BusOptions{Synctest: synctest})
			})
			// If the suite did not keep to the window, messages would be lost.
			t.Run("Drops", func(t *testing.T) {
				(&place{opts: drops}).test(t, hubtest.BusOptions{Synctest: synctest, Window: 16})
			})
		})
	}
}

// TestNilBusOptionsAreReadyToUse also takes the two nodes in the other order.
func TestNilBusOptionsAreReadyToUse(t *testing.T) {
	hubtest.TestBus(t, func(t testing.TB) (a, b hub.Bus) {
		b, a = subscribers(nil)(t)
		return a, b
	}, nil)
}

// A classic is a bus that carries data frames only, and that ends for both when
// one closes.
type classic struct {
	hub.Bus
	whole *hub.Hub
}

func (c *classic) Send(ctx context.Context, m hub.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	if m.Flags&(hub.Remote|hub.FDF|hub.Error) != 0 {
		return errors.New("only classic data frames")
	}
	return c.Bus.Send(ctx, m)
}

func (c *classic) Close() error {
	c.Bus.Close()
	return c.whole.Close()
}

var classicOptions = hubtest.BusOptions{NoRemote: true, NoFD: true, NoError: true, PointToPoint: true}

func classics(t testing.TB) (a, b hub.Bus) {
	h := hubtest.New(t)
	return &classic{hubtest.Open(t, h, "can0", nil), h}, &classic{hubtest.Open(t, h, "can0", nil), h}
}

func TestBusOptionsExcuseWhatABusCannotDo(t *testing.T) {
	hubtest.TestBus(t, classics, &classicOptions)
}

func TestWithoutBusOptionsNothingIsExcused(t *testing.T) {
	for _, name := range []string{"EveryKindOfFrameArrivesEqual", "CloseLeavesTheOtherNodeAlone"} {
		if r := runCheck(t, name, classics, hubtest.BusOptions{}); !r.Failed() {
			t.Errorf("%s does not fail", name)
		}
	}
}
