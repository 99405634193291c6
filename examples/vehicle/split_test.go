package vehicle_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/examples/vehicle"
	"github.com/canhub-go/canhub/hub"
)

// drives runs a car with two channels while do works, in fake time.
func drives(t *testing.T, do func(t *testing.T, h *hub.Hub)) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- vehicle.RunSplit(ctx, h, "can0", "can1", 1) }()
		do(t, h)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("RunSplit: %v", err)
		}
	})
}

func join(t *testing.T, h *hub.Hub, channel string) *hub.Subscriber {
	t.Helper()
	s, err := h.Open(channel, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// within returns how often each identifier was seen on s for a while.
func within(t *testing.T, s *hub.Subscriber, d time.Duration) map[uint32]int {
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	seen := make(map[uint32]int)
	for m := range s.All(ctx) {
		seen[m.ID]++
	}
	return seen
}

func TestTheGatewayTellsTheSecondChannelOfWheelsAndEngine(t *testing.T) {
	drives(t, func(t *testing.T, h *hub.Hub) {
		first, second := join(t, h, "can0"), join(t, h, "can1")
		ch := make(chan map[uint32]int)
		go func() { ch <- within(t, first, 10*time.Second) }()
		two := within(t, second, 10*time.Second)
		one := <-ch
		if one[0x0C0] != 1000 || one[0x0D0] != 500 || one[0x2C0] != 0 || one[0x6F0] != 0 {
			t.Errorf("the first has %v", one)
		}
		if two[0x0C0] != 200 || two[0x0D0] != 100 || two[0x2C0] != 100 || two[0x6F0] != 10 || two[0x464] != 0 {
			t.Errorf("the second has %v", two)
		}
	})
}

func TestDiagnosisAnswersWhatItIsAsked(t *testing.T) {
	drives(t, func(t *testing.T, h *hub.Hub) {
		tester, err := h.Open("can0", &hub.SubscriberOptions{Filters: []hub.Filter{{ID: 0x7E8, Mask: 0x7FF}}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5500 * time.Millisecond) // top speed, 51.2 km/h
		for _, tt := range []struct{ ask, want string }{
			{"7DF#020100", "7E8#0641000818800000"},
			{"7E0#02010D", "7E8#03410D3300000000"},
			{"7DF#02010D0000000000", "7E8#03410D3300000000"},
			{"7DF#02010C", "7E8#04410C1AA0000000"},
			{"7DF#020105", "7E8#0341057E00000000"},
			{"7DF#020111", "7E8#0341117000000000"},
			{"7DF#0201FF", ""},
			{"7DF#02090D", ""},
			{"7DF#01", ""},
			{"7DF#R3", ""},
		} {
			m, err := hub.Parse(tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			if err := tester.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			soon, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond+1)
			got, err := tester.Recv(soon)
			cancel()
			switch {
			case tt.want == "" && err == nil:
				t.Errorf("%s is answered: %v", tt.ask, got)
			case tt.want != "" && (err != nil || got.String() != tt.want):
				t.Errorf("%s: %v, %v; want %s", tt.ask, got, err, tt.want)
			}
		}
	})
}

// Nodes that cannot keep up miss requests, and hold up neither bus.
func TestAFloodOfRequestsDoesNotStopTheCar(t *testing.T) {
	drives(t, func(t *testing.T, h *hub.Hub) {
		time.Sleep(time.Second)
		for channel, ask := range map[string]hub.Message{"can0": hub.Std(0x7DF, 2, 1, 0x0C), "can1": hub.RTR(0x6F0, 4)} {
			flood, err := h.Open(channel, &hub.SubscriberOptions{SendOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for range 100_000 {
				if err := flood.Send(t.Context(), ask); err != nil {
					t.Fatal(err)
				}
			}
			if d := time.Since(began); d > 0 {
				t.Errorf("%v: the bus took %v for what it takes at once", ask, d)
			}
		}
		for _, channel := range []string{"can0", "can1"} {
			if seen := within(t, join(t, h, channel), time.Second); seen[0x0C0] == 0 {
				t.Errorf("%s: nothing of the engine in a second", channel)
			}
		}
	})
}

func TestTheBatteryIsEmptyInTheEnd(t *testing.T) {
	drives(t, func(t *testing.T, h *hub.Hub) {
		s, err := h.Open("can1", &hub.SubscriberOptions{Filters: []hub.Filter{{ID: 0x6F0, Mask: 0x7FF}}})
		if err != nil {
			t.Fatal(err)
		}
		last := byte(255)
		for range 300 {
			if err := s.Send(t.Context(), hub.RTR(0x6F0, 4)); err != nil {
				t.Fatal(err)
			}
			m, err := s.Recv(t.Context())
			for ; err == nil && m.Flags&hub.Remote != 0; m, err = s.Recv(t.Context()) {
			}
			if err != nil || m.Data[0] > last {
				t.Fatalf("%v, %v behind a charge of %d", m, err, last)
			}
			last = m.Data[0]
		}
		if last != 0 {
			t.Errorf("a charge of %d in the end, want 0", last)
		}
	})
}
