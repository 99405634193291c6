package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

func TestOpenNamesTheOptionThatIsWrong(t *testing.T) {
	type options = hub.SubscriberOptions
	tests := []struct {
		name string
		o    options
		want []string // in the error
	}{
		{"Queue negative", options{Queue: -1}, []string{"Queue", "-1"}},
		{"Queue too large", options{Queue: 1048577}, []string{"Queue", "1048577", "1048576"}},
		{"Policy negative", options{Policy: -1}, []string{"Policy", "-1"}},
		{"Policy unknown", options{Policy: 3}, []string{"Policy", "3"}},
		{"BlockFor negative", options{BlockFor: -time.Second}, []string{"BlockFor", "-1s"}},
		{"BlockFor with DropOldest", options{BlockFor: time.Second, Policy: hub.DropOldest}, []string{"BlockFor", "1s", "DropOldest"}},
		{"BlockFor with DropNewest", options{BlockFor: time.Second, Policy: hub.DropNewest}, []string{"BlockFor", "1s", "DropNewest"}},
		{"ListenOnly with KeepTimestamps", options{ListenOnly: true, KeepTimestamps: true}, []string{"ListenOnly", "KeepTimestamps"}},
		{"ListenOnly with OwnMessages", options{ListenOnly: true, OwnMessages: true}, []string{"ListenOnly", "OwnMessages"}},
		{"SendOnly with ListenOnly", options{SendOnly: true, ListenOnly: true}, []string{"SendOnly", "ListenOnly"}},
		{"SendOnly with OwnMessages", options{SendOnly: true, OwnMessages: true}, []string{"SendOnly", "OwnMessages"}},
		{"SendOnly with ErrorFrames", options{SendOnly: true, ErrorFrames: true}, []string{"SendOnly", "ErrorFrames"}},
		{"SendOnly with Filters", options{SendOnly: true, Filters: []hub.Filter{{}}}, []string{"SendOnly", "Filters"}},
		{"SendOnly with a Policy", options{SendOnly: true, Policy: hub.DropOldest}, []string{"SendOnly", "Policy"}},
		{"a filter for nothing", options{Filters: []hub.Filter{{}, {StandardOnly: true, ExtendedOnly: true}}}, []string{"Filters[1]", "StandardOnly", "ExtendedOnly"}},
		{"several", options{Queue: -7, Policy: 9}, []string{"-7"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := hub.New(nil)
			defer h.Close()
			s, err := h.Open("can0", &tt.o)
			if err == nil {
				t.Fatalf("Open took %+v", tt.o)
			}
			if s != nil {
				t.Error("Open returned a subscriber with the error")
			}
			if !strings.HasPrefix(err.Error(), "hub: ") {
				t.Errorf("Open: %q, want it to begin with hub:", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Open: %q, want %q in it", err, want)
				}
			}
			if got := h.Channels(); len(got) != 0 {
				t.Errorf("the failed Open left channels %v", got)
			}
		})
	}
}

func TestCreateNamesTheOptionThatIsWrong(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	for _, inbox := range []int{-1, 65537} {
		err := h.Create("can0", &hub.ChannelOptions{Inbox: inbox})
		if err == nil || !strings.Contains(err.Error(), "Inbox") || !strings.Contains(err.Error(), fmt.Sprint(inbox)) {
			t.Errorf("Create with Inbox %d: %v, want an error with both in it", inbox, err)
		}
	}
	if got := h.Channels(); len(got) != 0 {
		t.Errorf("the failed Create left channels %v", got)
	}
	for _, inbox := range []int{0, 1, 65536} {
		if err := h.Create(fmt.Sprint("can", inbox), &hub.ChannelOptions{Inbox: inbox}); err != nil {
			t.Errorf("Create with Inbox %d: %v", inbox, err)
		}
	}
}

func TestTheLimitsOfQueueAreAllowed(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	for _, queue := range []int{1, 1048576} {
		s := attach(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
		if got := s.Stats().Capacity; got != queue {
			t.Errorf("Capacity = %d, want %d", got, queue)
		}
	}
}

func TestAChannelNeedsAName(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	if _, err := h.Open("", nil); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("Open without a name: %v, want an error that says so", err)
	}
	if err := h.Create("", nil); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("Create without a name: %v, want an error that says so", err)
	}
	if got := h.Channels(); len(got) != 0 {
		t.Errorf("channels %v, want none", got)
	}
}

func TestCreateOfAChannelThatExistsIsAnError(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	if err := h.Create("can0", nil); err != nil {
		t.Fatal(err)
	}
	attach(t, h, "can1", nil)
	for _, name := range []string{"can0", "can1"} {
		if err := h.Create(name, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Create(%q) again: %v, want an error that names it", name, err)
		}
	}
	want := []hub.ChannelInfo{{Name: "can0", Standing: true}, {Name: "can1", Subscribers: 1}}
	if got := h.Channels(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("Channels = %+v, want %+v", got, want)
	}
}

func TestNoOptionsMeansTheDefaults(t *testing.T) {
	for name, o := range map[string]*hub.SubscriberOptions{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				rx, tx := attach(t, h, "can0", o), attach(t, h, "can0", o)
				if rx.Name() != "can0/1" || tx.Name() != "can0/2" || rx.Channel() != "can0" {
					t.Errorf("names %q and %q on %q, want can0/1 and can0/2 on can0", rx.Name(), tx.Name(), rx.Channel())
				}
				if got := rx.Stats(); got != (hub.Stats{Capacity: 256}) {
					t.Errorf("Stats = %+v, want a capacity of 256 and nothing else", got)
				}
				// Block: the channel waits with the message that does not fit.
				transmitBatch(t, tx, numbered(0, 299))
				time.Sleep(time.Hour)
				if got := rx.Stats(); got.Queued != 256 || got.Dropped != 0 {
					t.Errorf("Stats = %+v, want 256 queued and none dropped", got)
				}
				var got []hub.Message
				for range 300 {
					m, err := recvWithin(rx, time.Second)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, m)
				}
				if !sameFrames(got, numbered(0, 299)) {
					t.Errorf("received %v", got)
				}
				// Its own messages a subscriber does not receive.
				if got := drain(t, tx); len(got) != 0 {
					t.Errorf("the sender received %v, want nothing", got)
				}
			})
		})
	}
}

func TestANameIsGivenOrMadeOfTheChannelsName(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	a := attach(t, h, "can0", nil)
	b := attach(t, h, "can0", &hub.SubscriberOptions{Name: "gateway"})
	b.Close()
	c := attach(t, h, "can0", nil)
	if a.Name() != "can0/1" || b.Name() != "gateway" || c.Name() != "can0/3" {
		t.Errorf("names %q, %q, %q, want can0/1, gateway, can0/3", a.Name(), b.Name(), c.Name())
	}
}

func TestPolicyStringIsTheConstantsName(t *testing.T) {
	for p, want := range map[hub.Policy]string{
		hub.Block: "Block", hub.DropOldest: "DropOldest", hub.DropNewest: "DropNewest",
		-1: "Policy(-1)", 3: "Policy(3)",
	} {
		if got := p.String(); got != want {
			t.Errorf("Policy(%d).String() = %q, want %q", int(p), got, want)
		}
	}
}

func TestOptionsAreNotChanged(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	o := hub.SubscriberOptions{Filters: []hub.Filter{only(1)}}
	c := hub.ChannelOptions{}
	if err := h.Create("can0", &c); err != nil {
		t.Fatal(err)
	}
	attach(t, h, "can0", &o)
	if o.Name != "" || o.Queue != 0 || len(o.Filters) != 1 || c != (hub.ChannelOptions{}) {
		t.Errorf("options became %+v and %+v", o, c)
	}
}

func TestAListenOnlySubscriberReceivesAndDoesNotSend(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", &hub.SubscriberOptions{ListenOnly: true})
		ctx := context.Background()
		_, periodic := rx.SendPeriodic(&hub.Periodic{Messages: numbered(1, 1), Period: time.Second})
		for name, err := range map[string]error{
			"Send":            rx.Send(ctx, hub.Std(1)),
			"SendBatch":       rx.SendBatch(ctx, numbered(1, 3)),
			"SendBatch, none": rx.SendBatch(ctx, nil),
			"SendWait":        rx.SendWait(ctx, hub.Std(1)),
			"SendPeriodic":    periodic,
		} {
			if err != hub.ErrListenOnly {
				t.Errorf("%s = %v, want ErrListenOnly", name, err)
			}
		}
		transmit(t, tx, hub.Std(2))
		synctest.Wait()
		if got := drain(t, rx); !sameFrames(got, numbered(2, 2)) {
			t.Errorf("received %v, want 002#", got)
		}
		if got := drain(t, tx); len(got) != 0 {
			t.Errorf("the other received %v, want nothing", got)
		}
	})
}

func TestASendOnlySubscriberSendsAndHoldsUpNobody(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", &hub.SubscriberOptions{SendOnly: true}), attach(t, h, "can0", nil)
		transmit(t, tx, hub.Std(1))
		transmit(t, rx, numbered(0, 999)...)
		transmitBatch(t, rx, numbered(0, 999))
		if err := rx.SendWait(context.Background(), hub.Std(2)); err != nil {
			t.Errorf("SendWait = %v", err)
		}
		if got := drain(t, rx); !sameFrames(got, numbered(1, 1)) {
			t.Errorf("the other received %v, want 001#", got)
		}
		if m, err := recvWithin(tx, time.Second); err != context.DeadlineExceeded {
			t.Errorf("Recv = %v, %v, want DeadlineExceeded", m, err)
		}
		if got := tx.Stats(); got.Queued != 0 || got.Dropped != 0 || got.Sent != 1 {
			t.Errorf("Stats = %+v, want 1 sent and nothing else", got)
		}
	})
}

// closedCalls is every call of a subscriber that can fail.
var closedCalls = map[string]func(s *hub.Subscriber) error{
	"Send":            func(s *hub.Subscriber) error { return s.Send(context.Background(), hub.Std(1)) },
	"Send, invalid":   func(s *hub.Subscriber) error { return s.Send(context.Background(), hub.Std(0x800)) },
	"SendBatch":       func(s *hub.Subscriber) error { return s.SendBatch(context.Background(), numbered(1, 3)) },
	"SendBatch, none": func(s *hub.Subscriber) error { return s.SendBatch(context.Background(), nil) },
	"SendWait":        func(s *hub.Subscriber) error { return s.SendWait(context.Background(), hub.Std(1)) },
	"SendPeriodic": func(s *hub.Subscriber) error {
		_, err := s.SendPeriodic(&hub.Periodic{Messages: numbered(1, 1), Period: time.Second})
		return err
	},
	"Recv": func(s *hub.Subscriber) error {
		_, err := s.Recv(context.Background())
		return err
	},
	"Recv with a done ctx": func(s *hub.Subscriber) error {
		_, err := s.Recv(canceled())
		return err
	},
	"RecvBatch": func(s *hub.Subscriber) error {
		_, err := s.RecvBatch(context.Background())
		return err
	},
	"C": func(s *hub.Subscriber) error {
		if m, ok := <-s.C(); ok {
			return fmt.Errorf("C gave %v", m)
		}
		return hub.ErrClosed
	},
	"All": func(s *hub.Subscriber) error {
		for m := range s.All(context.Background()) {
			return fmt.Errorf("All gave %v", m)
		}
		return hub.ErrClosed
	},
	"Recv behind C": func(s *hub.Subscriber) error {
		s.C()
		_, err := s.Recv(context.Background())
		return err
	},
	"RecvBatch behind C": func(s *hub.Subscriber) error {
		s.C()
		_, err := s.RecvBatch(context.Background())
		return err
	},
}

func TestAfterCloseEveryCallReturnsErrClosed(t *testing.T) {
	ends := map[string]func(h *hub.Hub, s *hub.Subscriber) error{
		"subscriber":     func(_ *hub.Hub, s *hub.Subscriber) error { return s.Close() },
		"hub":            func(h *hub.Hub, _ *hub.Subscriber) error { return h.Close() },
		"subscriber/hub": func(h *hub.Hub, s *hub.Subscriber) error { return errors.Join(s.Close(), h.Close()) },
		"hub/subscriber": func(h *hub.Hub, s *hub.Subscriber) error { return errors.Join(h.Close(), s.Close()) },
	}
	for end, close := range ends {
		for name, call := range closedCalls {
			for _, usedC := range []bool{false, true} {
				t.Run(end+"/"+name, func(t *testing.T) {
					bubble(t, func(t *testing.T, h *hub.Hub) {
						s := attach(t, h, "can0", nil)
						if usedC {
							s.C()
						}
						for range 2 { // and again
							if err := close(h, s); err != nil {
								t.Errorf("Close = %v", err)
							}
							if err := call(s); err != hub.ErrClosed {
								t.Errorf("%s = %v, want ErrClosed", name, err)
							}
						}
						if s.Name() != "can0/1" || s.Channel() != "can0" || s.Stats().Queued != 0 {
							t.Errorf("afterwards %q on %q, %+v", s.Name(), s.Channel(), s.Stats())
						}
					})
				})
			}
		}
	}
}

func TestAfterCloseEveryCallOfATaskIsHarmless(t *testing.T) {
	for _, closeHub := range []bool{false, true} {
		for _, paused := range []bool{false, true} {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				s := attach(t, h, "can0", nil)
				task, err := s.SendPeriodic(&hub.Periodic{Messages: numbered(1, 1), Period: time.Second})
				if err != nil {
					t.Fatal(err)
				}
				if paused {
					task.Pause()
				}
				synctest.Wait()
				if closeHub {
					h.Close()
				} else {
					s.Close()
				}
				select {
				case <-task.Done():
				default:
					t.Fatal("the task has not ended when Close returns")
				}
				for range 2 {
					task.Pause()
					task.Resume()
					task.Stop()
					if err := task.Update(hub.Std(1, 1)); err != hub.ErrClosed {
						t.Errorf("Update = %v, want ErrClosed", err)
					}
					if err := task.Err(); err != hub.ErrClosed {
						t.Errorf("Err = %v, want ErrClosed", err)
					}
				}
			})
		}
	}
}

func TestAfterCloseTheHubTakesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		if err := h.Create("can1", nil); err != nil {
			t.Fatal(err)
		}
		attach(t, h, "can0", nil)
		for range 3 {
			if err := h.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
			if s, err := h.Open("can0", nil); err != hub.ErrClosed || s != nil {
				t.Errorf("Open = %v, %v, want ErrClosed", s, err)
			}
			if err := h.Create("can2", nil); err != hub.ErrClosed {
				t.Errorf("Create = %v, want ErrClosed", err)
			}
			if got := h.Channels(); len(got) != 0 {
				t.Errorf("Channels = %v, want none", got)
			}
			if got := h.FreeName(); got == "" {
				t.Error("FreeName = \"\"")
			}
		}
	})
}

func TestCloseOfAHubThatWasNotUsedReturns(t *testing.T) {
	h := hub.New(&hub.Options{})
	if err := errors.Join(h.Close(), h.Close()); err != nil {
		t.Error(err)
	}
}

// What was queued for a subscriber that closes is gone, and that holds for what
// C had ready too.
func TestAfterSubscriberCloseNothingComesOut(t *testing.T) {
	for _, queue := range []int{1, 8, 256} {
		t.Run(fmt.Sprint("queue=", queue), func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
				c := rx.C()
				transmitBatch(t, tx, numbered(1, uint32(queue)))
				synctest.Wait()
				rx.Close()
				n := 0
				for range c {
					n++
				}
				if n > 0 {
					t.Errorf("%d messages came out of C after Close", n)
				}
			})
		})
	}
}
