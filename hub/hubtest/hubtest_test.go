package hubtest_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

func TestNewClosesTheHub(t *testing.T) {
	both(t, func(t *testing.T) {
		var h *hub.Hub
		var s *hub.Subscriber
		r := record(func(t testing.TB) {
			h = hubtest.New(t)
			s = hubtest.Open(t, h, "can0", nil)
			s.C() // has a goroutine
			if err := s.Send(context.Background(), hub.Std(1)); err != nil {
				t.Fatal(err)
			}
		})
		wantNoReport(t, r)
		if _, err := h.Open("can0", nil); err != hub.ErrClosed {
			t.Errorf("Open after the test = %v, want hub.ErrClosed", err)
		}
	})
}

func TestNewReportsALeak(t *testing.T) {
	both(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		r := record(func(t testing.TB) {
			hubtest.NewHasty(t)
			go stubborn(release)
		})
		wantReport(t, r, "left goroutines behind", "hubtest_test.stubborn")
	})
}

// stubborn is a goroutine that outlives its test.
func stubborn(release chan struct{}) { <-release }

func TestNewDoesNotBlameWhatWasThereBefore(t *testing.T) {
	both(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		go stubborn(release)
		wantNoReport(t, record(func(t testing.TB) { hubtest.New(t) }))
	})
}

func TestNewWaitsForGoroutinesThatAreAboutToEnd(t *testing.T) {
	both(t, func(t *testing.T) {
		r := record(func(t testing.TB) {
			s := hubtest.Open(t, hubtest.New(t), "can0", nil)
			go func() {
				for range s.C() {
				}
				time.Sleep(20 * time.Millisecond)
			}()
		})
		wantNoReport(t, r)
	})
}

func TestSeveralHubsInOneTest(t *testing.T) {
	both(t, func(t *testing.T) {
		wantNoReport(t, record(func(t testing.TB) {
			first, second := hubtest.New(t), hubtest.New(t)
			for _, h := range []*hub.Hub{first, second} {
				if err := h.Create("can1", nil); err != nil { // ends with the hub
					t.Fatalf("create: %v", err)
				}
				s := hubtest.Open(t, h, "can0", nil)
				go func() {
					for range s.C() {
					}
				}()
			}
		}))

		release := make(chan struct{})
		defer close(release)
		r := record(func(t testing.TB) {
			hubtest.NewHasty(t)
			hubtest.NewHasty(t)
			go stubborn(release)
		})
		wantReport(t, r, "hubtest_test.stubborn")
	})
}

// A test and its subtest each have a hub. Who leaves a goroutine behind is told,
// and nobody else.
func TestALeakIsThatOfTheTestThatHasStartedIt(t *testing.T) {
	for _, guilty := range []string{"nobody", "subtest", "parent"} {
		t.Run(guilty, func(t *testing.T) {
			both(t, func(t *testing.T) {
				release := make(chan struct{})
				defer close(release)
				var sub, next *recorder
				parent := record(func(t testing.TB) {
					s := hubtest.Open(t, hubtest.NewHasty(t), "can0", nil)
					s.C() // lives longer than the subtest
					if guilty == "parent" {
						go stubborn(release)
					}
					sub = t.(*recorder).sub(func(t testing.TB) {
						hubtest.NewHasty(t)
						if guilty == "subtest" {
							go stubborn(release)
						}
					})
					next = t.(*recorder).sub(func(t testing.TB) { hubtest.NewHasty(t) })
				})
				for name, r := range map[string]*recorder{"subtest": sub, "next": next, "parent": parent} {
					if name == guilty {
						wantReport(t, r, "left goroutines behind", "hubtest_test.stubborn")
					} else if report := r.report(); report != "" {
						t.Errorf("%s is blamed:\n%s", name, report)
					}
				}
			})
		})
	}
}

// What a subtest has on its parent's hub goes before its own hub is searched for.
func TestSubscribersOnAnotherHubAreNoLeaks(t *testing.T) {
	both(t, func(t *testing.T) {
		parent := hubtest.New(t)
		wantNoReport(t, record(func(t testing.TB) {
			s := hubtest.Open(t, parent, "can0", nil)
			hubtest.NewHasty(t)
			s.C() // has a goroutine until s is closed
		}))
	})
}

func TestLogOfTheHubIsTheLogOfTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(func(t testing.TB) {
			h := hubtest.New(t)
			tx := hubtest.Open(t, h, "can0", nil)
			hubtest.Open(t, h, "can0", &hub.SubscriberOptions{Name: "sleeper", Queue: 1})
			for range 2 {
				if err := tx.Send(context.Background(), hub.Std(1)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Second) // the channel says so after one
		})
		wantNoReport(t, r)
		if log := r.log.String(); !strings.Contains(log, "subscriber=sleeper") {
			t.Errorf("the log is %q, want the name of the subscriber that does not receive", log)
		}
	})
}

func TestOpenClosesTheSubscriber(t *testing.T) {
	h := hubtest.New(t)
	wantNoReport(t, record(func(t testing.TB) { hubtest.Open(t, h, "can0", nil) }))
	if left := h.Channels(); len(left) != 0 {
		t.Errorf("channels after the test: %v, want none", left)
	}
}

func TestOpenReportsAnError(t *testing.T) {
	r := record(func(t testing.TB) {
		hubtest.Open(t, hubtest.New(t), "can0", &hub.SubscriberOptions{Queue: -1})
		t.Errorf("Open goes on")
	})
	wantReport(t, r, "open can0: hub: Queue -1")
	if strings.Contains(r.report(), "goes on") {
		t.Error("Open goes on after an error")
	}
}

func TestWaitPeersWaitsForComingAndGoing(t *testing.T) {
	both(t, func(t *testing.T) {
		h := hubtest.New(t)
		hubtest.Open(t, h, "can1", nil)
		hubtest.WaitPeers(t, h, "can0", 0)
		left := make(chan struct{})
		go func() {
			defer close(left)
			time.Sleep(20 * time.Millisecond)
			a, err := h.Open("can0", nil)
			if err != nil {
				return
			}
			b, err := h.Open("can0", nil)
			if err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
			a.Close()
			b.Close()
		}()
		hubtest.WaitPeers(t, h, "can0", 2)
		hubtest.WaitPeers(t, h, "can0", 0)
		<-left
	})
}

func TestWaitPeersReportsWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(func(t testing.TB) {
			h := hubtest.New(t)
			hubtest.Open(t, h, "can0", nil)
			hubtest.Open(t, h, "can1", nil)
			hubtest.Open(t, h, "can1", nil)
			hubtest.WaitPeers(t, h, "can0", 2)
			t.Errorf("WaitPeers goes on")
		})
		wantReport(t, r, "1 subscribers on channel can0 after 5s, want 2; open channels: can0 (1), can1 (2)")
		if strings.Contains(r.report(), "goes on") {
			t.Error("WaitPeers goes on after its time is over")
		}
		r = record(func(t testing.TB) { hubtest.WaitPeers(t, hubtest.New(t), "can0", 1) })
		wantReport(t, r, "0 subscribers on channel can0 after 5s, want 1; open channels: none")
	})
}

// A pump answers as the one in the package comment.
func pump(ctx context.Context, h *hub.Hub) {
	s, err := h.Open("can0", nil)
	if err != nil {
		return
	}
	defer s.Close()
	for m := range s.All(ctx) {
		if m.ID == 0x200 {
			s.Send(ctx, hub.Std(0x201, 0x01))
		}
	}
}

func TestPackageComment(t *testing.T) {
	both(t, func(t *testing.T) {
		h := hubtest.New(t)
		node := hubtest.Open(t, h, "can0", nil)
		go pump(t.Context(), h)
		hubtest.WaitPeers(t, h, "can0", 2)

		if err := node.Send(t.Context(), hub.Std(0x200)); err != nil {
			t.Fatal(err)
		}
		hubtest.Want(t, node, hub.Std(0x201, 0x01))
		hubtest.WantNone(t, node)
	})
}
