package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// stallSends are the sends that ErrStalled can end.
var stallSends = []struct {
	name string
	send func(ctx context.Context, s *hub.Subscriber) error
}{
	{"Send", func(ctx context.Context, s *hub.Subscriber) error { return s.Send(ctx, hub.Std(9)) }},
	{"SendBatch", func(ctx context.Context, s *hub.Subscriber) error { return s.SendBatch(ctx, make([]hub.Message, 3)) }},
	{"SendWait", func(ctx context.Context, s *hub.Subscriber) error { return s.SendWait(ctx, hub.Std(9)) }},
}

// A subscriber that has stalled the channel for long, and sent nothing then, has
// made room since. A send of it that waits later, for somebody else, is not ended
// by what is over.
func TestAStallThatIsOverEndsNoLaterSend(t *testing.T) {
	over := map[string]func(t *testing.T, s *hub.Subscriber){
		"Recv": func(t *testing.T, s *hub.Subscriber) {
			for range 8 {
				recvNext(t, s)
			}
		},
		"RecvBatch": func(t *testing.T, s *hub.Subscriber) {
			for n := 0; n < 8; {
				msgs, err := s.RecvBatch(soon(t))
				if err != nil {
					t.Fatal(err)
				}
				n += len(msgs)
			}
		},
		"slowly": func(t *testing.T, s *hub.Subscriber) {
			for range 8 {
				time.Sleep(1700 * time.Millisecond)
				recvNext(t, s)
			}
		},
		"C": func(_ *testing.T, s *hub.Subscriber) {
			for range 8 {
				<-s.C()
			}
		},
		"SetFilters": func(t *testing.T, s *hub.Subscriber) {
			s.SetFilters(only(0x7FF))
			if m, err := s.Recv(doneCtx()); err != context.Canceled {
				t.Fatalf("received %v, %v", m, err)
			}
		},
	}
	for how, end := range over {
		for _, c := range stallSends {
			for _, stalled := range []time.Duration{1100 * time.Millisecond, 3500 * time.Millisecond} {
				t.Run(fmt.Sprintf("%s/%s/%v", how, c.name, stalled), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						createOn(t, h, "can0", 1)
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2})
						if err := tx.SendBatch(soon(t), make([]hub.Message, 8)); err != nil {
							t.Fatal(err)
						}
						time.Sleep(stalled)
						end(t, s)
						synctest.Wait()
						s.SetFilters(only(0x7FF))

						// Now another one holds up the channel, for less than a second each time.
						other := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
						if err := tx.SendBatch(soon(t), make([]hub.Message, 4)); err != nil {
							t.Fatal(err)
						}
						sendIDs(t, tx, 1) // fills the inbox
						ended := make(chan error, 1)
						go func() { ended <- c.send(soon(t), s) }()
						for range 6 {
							time.Sleep(700 * time.Millisecond)
							recvNext(t, other)
						}
						go func() {
							for {
								if _, err := other.Recv(context.Background()); err != nil {
									return
								}
							}
						}()
						if err := <-ended; err != nil {
							t.Errorf("%s, long after the stall: %v", c.name, err)
						}
					})
				})
			}
		}
	}
}

// Each stall is timed from the last message taken, also one that follows on
// another, and the log hears of each once.
func TestEachStallIsTimedFromTheLastMessageTaken(t *testing.T) {
	for _, first := range []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond, 2500 * time.Millisecond, 4200 * time.Millisecond} {
		for _, queue := range []int{1, 2, 64} {
			t.Run(fmt.Sprintf("%v/queue %d", first, queue), func(t *testing.T) {
				noSpin(t)
				synctest.Test(t, func(t *testing.T) {
					logged := make(chan time.Time, 100)
					h := hub.New(&hub.Options{Logger: slog.New(stuckHandler{slog.DiscardHandler, func() { logged <- time.Now() }})})
					defer h.Close()
					s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue, OwnMessages: true})
					if err := s.SendBatch(soon(t), make([]hub.Message, 3*queue+10)); err != nil {
						t.Fatal(err)
					}
					logs := 0
					if time.Sleep(first); first > time.Second {
						logs++
					}
					for range 3 {
						recvNext(t, s)
						start := time.Now()
						if err := s.SendWait(soon(t), hub.Std(1)); err != hub.ErrStalled {
							t.Errorf("SendWait: %v, want ErrStalled", err)
						}
						if d := time.Since(start); d < time.Second || d > 1100*time.Millisecond {
							t.Errorf("ErrStalled %v after a message was taken, want 1s to 1.1s", d)
						}
						logs++
						synctest.Wait()
						if len(logged) != logs {
							t.Errorf("the log has heard of %d stalls, want %d", len(logged), logs)
						}
						time.Sleep(1400 * time.Millisecond) // the same stall
					}
				})
			})
		}
	}
}

// The hub's Close waits for log handlers that run, each of them, but a second at
// most for all.
func TestHubCloseWaitsForLogHandlersForASecondAtMost(t *testing.T) {
	for _, takes := range []time.Duration{0, 200 * time.Millisecond, 900 * time.Millisecond, 5 * time.Second} {
		for _, n := range []int{1, 3} {
			t.Run(fmt.Sprintf("%d handlers that take %v", n, takes), func(t *testing.T) {
				noSpin(t)
				synctest.Test(t, func(t *testing.T) {
					closing := make(chan struct{})
					var called atomic.Int32
					ended := make(chan struct{}, 10)
					h := hub.New(&hub.Options{Logger: slog.New(stuckHandler{slog.DiscardHandler, func() {
						mine := time.Duration(called.Add(1)) * takes / time.Duration(n) // the last takes longest
						<-closing
						time.Sleep(mine)
						ended <- struct{}{}
					}})})
					tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
					if err := tx.SendBatch(soon(t), make([]hub.Message, 10)); err != nil {
						t.Fatal(err)
					}
					for range n {
						time.Sleep(1500 * time.Millisecond)
						synctest.Wait()
						recvNext(t, s)
					}
					if got := int(called.Load()); got != n {
						t.Fatalf("the log was called %d times, want %d", got, n)
					}
					start := time.Now()
					close(closing)
					h.Close()
					if d, want := time.Since(start), min(takes, time.Second); d != want {
						t.Errorf("Close took %v, want %v", d, want)
					}
					if takes <= time.Second && len(ended) != n {
						t.Errorf("%d of %d handlers had ended when Close returned", len(ended), n)
					}
					time.Sleep(takes)
				})
			})
		}
	}
}

// A channel that waits for a reader who never comes sets no timer for ever, so a
// bubble in which nothing else happens is told to be dead, and does not run on.
func TestABubbleWithAForgottenReaderIsSeenToBeDead(t *testing.T) {
	const inside = "CANHUB_TEST_DEAD_BUBBLE"
	if os.Getenv(inside) == "" { // in a process of its own, for it leaves goroutines behind
		ctx, cancel := context.WithTimeout(context.Background(), hangAfter)
		defer cancel()
		test := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$")
		test.Env = append(os.Environ(), inside+"=1")
		out, err := test.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "deadlock") {
			t.Errorf("the bubble ended with %v, %v, want a deadlock:\n%s", err, ctx.Err(), out)
		}
		return
	}
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		openOn(t, h, "can0", nil) // never receives
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		for range 3000 {
			if err := tx.Send(context.Background(), hub.Std(1)); err != nil {
				t.Error(err)
			}
		}
	})
}

// One send that was told so does not take the next one's end from it.
func TestEachSendOfAStalledSubscriberEndsAfterASecond(t *testing.T) {
	noSpin(t)
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		createOn(t, h, "can0", 1)
		stuck := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		for range 3 {
			sendIDs(t, tx, 1)
			synctest.Wait()
		}
		time.Sleep(time.Hour) // long since told
		for n := range 4 {
			began := time.Now()
			var err error
			if n%2 == 0 {
				err = stuck.Send(context.Background(), hub.Std(2))
			} else {
				err = stuck.SendWait(context.Background(), hub.Std(2))
			}
			if d := time.Since(began); err != hub.ErrStalled || d > time.Second || n > 0 && d == 0 {
				t.Errorf("send %d: %v after %v, want ErrStalled after a second at most", n, err, d)
			}
		}
	})
}

// A send that begins when the channel has waited for its subscriber for a second
// already is ended at once.
func TestASendThatBeginsLateInAStallIsEndedAtOnce(t *testing.T) {
	for _, c := range stallSends {
		t.Run(c.name, func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				createOn(t, h, "can0", 1)
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2})
				if err := tx.SendBatch(soon(t), make([]hub.Message, 8)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				sendIDs(t, tx, 1) // fills the inbox
				time.Sleep(1300 * time.Millisecond)
				start := time.Now()
				if err := c.send(soon(t), s); err != hub.ErrStalled {
					t.Errorf("%s: %v, want ErrStalled", c.name, err)
				}
				if d := time.Since(start); d != 0 {
					t.Errorf("%s ended after %v, want at once", c.name, d)
				}
			})
		})
	}
}
