package hub_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/canhub-go/canhub/hub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Helpers. They work inside a bubble and outside.

// patience bounds every wait of these tests. Inside a bubble it costs nothing.
const patience = 30 * time.Second

// inBubble runs f in a bubble of its own, with a hub that is closed at the end.
func inBubble(t *testing.T, f func(t *testing.T, h *hub.Hub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		f(t, h)
	})
}

// bothWays runs f in a bubble, and outside where goroutines run in parallel.
func bothWays(t *testing.T, f func(t *testing.T, h *hub.Hub)) {
	t.Run("bubble", func(t *testing.T) { inBubble(t, f) })
	t.Run("parallel", func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		f(t, h)
	})
}

func openOn(t *testing.T, h *hub.Hub, channel string, o *hub.SubscriberOptions) *hub.Subscriber {
	t.Helper()
	s, err := h.Open(channel, o)
	if err != nil {
		t.Fatalf("Open(%q): %v", channel, err)
	}
	return s
}

func createOn(t *testing.T, h *hub.Hub, channel string, inbox int) {
	t.Helper()
	if err := h.Create(channel, &hub.ChannelOptions{Inbox: inbox}); err != nil {
		t.Fatalf("Create(%q): %v", channel, err)
	}
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func doneCtx() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// sendIDs sends a standard frame for each identifier.
func sendIDs(t *testing.T, s *hub.Subscriber, ids ...uint32) {
	t.Helper()
	for _, id := range ids {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := s.Send(ctx, hub.Std(id))
		cancel()
		if err != nil {
			t.Fatalf("Send(%03X): %v", id, err)
		}
	}
}

// recvNext receives one message.
func recvNext(t *testing.T, s *hub.Subscriber) hub.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := s.Recv(ctx)
	if err != nil {
		t.Fatalf("Recv: %v", err)
	}
	return m
}

// pollAll receives everything that is queued, without waiting, and returns the
// error that ended it.
func pollAll(s *hub.Subscriber) ([]hub.Message, error) {
	ctx := doneCtx()
	var all []hub.Message
	for {
		m, err := s.Recv(ctx)
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
}

// frames writes messages down in one line: "1:100 2:101 !" has messages 1 and
// 2, then the hub's own overflow frame.
func frames(msgs []hub.Message) string {
	var words []string
	for _, m := range msgs {
		switch {
		case m.String() == "20000004#0001000000000000" && m.Seq == 0:
			words = append(words, "!")
		case m.Flags&hub.Own != 0:
			words = append(words, fmt.Sprintf("%d:%X(own)", m.Seq, m.ID))
		default:
			words = append(words, fmt.Sprintf("%d:%X", m.Seq, m.ID))
		}
	}
	return strings.Join(words, " ")
}

// wantPolled checks what is queued, in the notation of frames.
func wantPolled(t *testing.T, s *hub.Subscriber, want string) {
	t.Helper()
	got, err := pollAll(s)
	if err != context.Canceled {
		t.Errorf("%s: Recv under a canceled ctx ended with %v, want context.Canceled", s.Name(), err)
	}
	if frames(got) != want {
		t.Errorf("%s received %q, want %q", s.Name(), frames(got), want)
	}
}

// wantRest checks what a subscriber of a closed hub can still receive.
func wantRest(t *testing.T, s *hub.Subscriber, want string) {
	t.Helper()
	got, err := pollAll(s)
	if err != hub.ErrClosed {
		t.Errorf("%s: Recv ended with %v, want ErrClosed", s.Name(), err)
	}
	if frames(got) != want {
		t.Errorf("%s received %q, want %q", s.Name(), frames(got), want)
	}
}

// deaf is for subscribers that only send.
func deaf() *hub.SubscriberOptions {
	return &hub.SubscriberOptions{Filters: []hub.Filter{{ID: 0x7FF, Mask: 0x7FF, StandardOnly: true}}}
}

// msgOf is message n of sender k.
func msgOf(k, n int) hub.Message {
	return hub.Ext(uint32(k), byte(n>>16), byte(n>>8), byte(n))
}

func numberOf(m hub.Message) (k, n int) {
	return int(m.ID), int(m.Data[0])<<16 | int(m.Data[1])<<8 | int(m.Data[2])
}

// collectors are the ways to receive n messages.
var collectors = []struct {
	name    string
	collect func(ctx context.Context, s *hub.Subscriber, n int) ([]hub.Message, error)
}{
	{"Recv", func(ctx context.Context, s *hub.Subscriber, n int) (all []hub.Message, err error) {
		for len(all) < n {
			m, err := s.Recv(ctx)
			if err != nil {
				return all, err
			}
			all = append(all, m)
		}
		return all, nil
	}},
	{"RecvBatch", func(ctx context.Context, s *hub.Subscriber, n int) (all []hub.Message, err error) {
		for len(all) < n {
			batch, err := s.RecvBatch(ctx)
			if err != nil {
				return all, err
			}
			all = append(all, batch...)
		}
		return all, nil
	}},
	{"C", func(ctx context.Context, s *hub.Subscriber, n int) (all []hub.Message, err error) {
		for len(all) < n {
			select {
			case m, ok := <-s.C():
				if !ok {
					return all, hub.ErrClosed
				}
				all = append(all, m)
			case <-ctx.Done():
				return all, ctx.Err()
			}
		}
		return all, nil
	}},
	{"All", func(ctx context.Context, s *hub.Subscriber, n int) (all []hub.Message, err error) {
		for m := range s.All(ctx) {
			if all = append(all, m); len(all) == n {
				return all, nil
			}
		}
		return all, fmt.Errorf("All ended after %d of %d messages", len(all), n)
	}},
}

// 1. One order.

func TestAllSubscribersSeeOneOrder(t *testing.T) {
	const senders, each, receivers = 20, 500, 10
	bothWays(t, func(t *testing.T, h *hub.Hub) {
		ctx := soon(t)
		got := make([][]hub.Message, receivers)
		var wg sync.WaitGroup
		for i := range receivers {
			s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 << (i % 9)})
			wg.Go(func() {
				c := collectors[i%len(collectors)]
				var err error
				if got[i], err = c.collect(ctx, s, senders*each); err != nil {
					t.Errorf("receiver %d, %s: %v", i, c.name, err)
				}
			})
		}
		for k := range senders {
			s := openOn(t, h, "can0", deaf())
			wg.Go(func() {
				for n := 0; n < each; {
					var err error
					switch k % 4 {
					case 0, 1:
						err = s.Send(ctx, msgOf(k, n))
						n++
					case 2:
						err = s.SendWait(ctx, msgOf(k, n))
						n++
					case 3: // batches of 1, 2 ... 30
						var batch []hub.Message
						for range min(1+n%30, each-n) {
							batch = append(batch, msgOf(k, n))
							n++
						}
						err = s.SendBatch(ctx, batch)
					}
					if err != nil {
						t.Errorf("sender %d, message %d: %v", k, n, err)
						return
					}
				}
			})
		}
		wg.Wait()

		next := make([]int, senders)
		for i, m := range got[0] {
			if m.Seq != uint64(i+1) {
				t.Fatalf("message %d has Seq %d: a hole, or not from 1", i+1, m.Seq)
			}
			k, n := numberOf(m)
			if n != next[k] {
				t.Fatalf("message %d is number %d of sender %d, want %d: not in the sender's order", i+1, n, k, next[k])
			}
			next[k]++
		}
		for i := range got {
			if !slices.Equal(got[i], got[0]) {
				t.Errorf("receiver %d saw another sequence than receiver 0 (%d and %d messages)", i, len(got[i]), len(got[0]))
			}
		}
	})
}

// Whoever sends also receives here, everybody with their own messages or
// without.
func TestSendersSeeTheSameOrderAsTheOthers(t *testing.T) {
	const nodes, each = 8, 300
	bothWays(t, func(t *testing.T, h *hub.Hub) {
		ctx := soon(t)
		subs := make([]*hub.Subscriber, nodes)
		got := make([][]hub.Message, nodes)
		for i := range subs {
			subs[i] = openOn(t, h, "can0", &hub.SubscriberOptions{OwnMessages: i%2 == 0, Queue: 4096})
		}
		watch := openOn(t, h, "can0", nil)
		var order []hub.Message
		var wg sync.WaitGroup
		wg.Go(func() { order, _ = collectors[0].collect(ctx, watch, nodes*each) })
		for i, s := range subs {
			wg.Go(func() {
				for n := range each {
					if err := s.Send(ctx, msgOf(i, n)); err != nil {
						t.Errorf("node %d: %v", i, err)
						return
					}
				}
			})
			wg.Go(func() {
				n := nodes * each
				if i%2 != 0 {
					n -= each
				}
				var err error
				if got[i], err = collectors[i%len(collectors)].collect(ctx, s, n); err != nil {
					t.Errorf("node %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		for i := range subs {
			var want []hub.Message
			for _, m := range order {
				if int(m.ID) == i {
					if i%2 != 0 {
						continue
					}
					m.Flags |= hub.Own
				}
				want = append(want, m)
			}
			if !slices.Equal(got[i], want) {
				t.Errorf("node %d saw another order", i)
			}
		}
	})
}

func TestManyGoroutinesMaySendForOneSubscriber(t *testing.T) {
	const senders, each = 8, 400
	bothWays(t, func(t *testing.T, h *hub.Hub) {
		ctx := soon(t)
		tx, rx := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		var wg sync.WaitGroup
		for k := range senders {
			wg.Go(func() {
				for n := range each {
					if err := tx.Send(ctx, msgOf(k, n)); err != nil {
						t.Errorf("goroutine %d: %v", k, err)
						return
					}
				}
			})
		}
		got, err := collectors[0].collect(ctx, rx, senders*each)
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		next := make([]int, senders)
		for i, m := range got {
			if k, n := numberOf(m); m.Seq != uint64(i+1) || n != next[k] {
				t.Fatalf("message %d: Seq %d, number %d of goroutine %d, want Seq %d and number %d", i, m.Seq, n, k, i+1, next[k])
			} else {
				next[k]++
			}
		}
		if sent := tx.Stats().Sent; sent != senders*each {
			t.Errorf("Sent %d, want %d", sent, senders*each)
		}
	})
}

func TestSeqRestartsWithANewChannel(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		for range 2 {
			a, b := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
			sendIDs(t, a, 1, 2)
			synctest.Wait()
			wantPolled(t, b, "1:1 2:2")
			a.Close()
			b.Close()
		}
	})
}

func TestSeqGoesOnWhileTheChannelStands(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		createOn(t, h, "can0", 0)
		a := openOn(t, h, "can0", nil)
		sendIDs(t, a, 1, 2)
		a.Close()
		b, c := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		sendIDs(t, b, 3)
		synctest.Wait()
		wantPolled(t, c, "3:3")
	})
}

func TestOpenSeesEveryMessageSentAfterIt(t *testing.T) {
	t.Run("idle channel", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *hub.Hub) {
			tx := openOn(t, h, "can0", nil)
			sendIDs(t, tx, 1, 2)
			rx := openOn(t, h, "can0", nil)
			sendIDs(t, tx, 3, 4)
			synctest.Wait()
			wantPolled(t, rx, "3:3 4:4")
		})
	})
	t.Run("channel that waits for a slow subscriber", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *hub.Hub) {
			createOn(t, h, "can0", 8)
			tx := openOn(t, h, "can0", deaf())
			slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
			sendIDs(t, tx, 1)
			synctest.Wait()
			sendIDs(t, tx, 2)
			synctest.Wait() // 1 is in the queue, 2 in the owner's hand
			sendIDs(t, tx, 3, 4)
			rx := openOn(t, h, "can0", nil)
			sendIDs(t, tx, 5)
			for want := range uint32(5) {
				if m := recvNext(t, slow); m.ID != want+1 {
					t.Errorf("slow received %v, want %d", m, want+1)
				}
			}
			synctest.Wait()
			wantPolled(t, rx, "5:5")
		})
	})
	t.Run("channel whose inbox is full", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *hub.Hub) {
			createOn(t, h, "can0", 2)
			tx := openOn(t, h, "can0", deaf())
			slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
			sendIDs(t, tx, 1)
			synctest.Wait()
			sendIDs(t, tx, 2)
			synctest.Wait()
			sendIDs(t, tx, 3, 4)
			rx := openOn(t, h, "can0", nil) // does not wait for slow
			var wg sync.WaitGroup
			wg.Go(func() { sendIDs(t, tx, 5) })
			for range 5 {
				recvNext(t, slow)
			}
			wg.Wait()
			synctest.Wait()
			// The join found no room in the inbox, and Open does not wait: it
			// has its place before what was there.
			wantPolled(t, rx, "3:3 4:4 5:5")
		})
	})
	t.Run("parallel", func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		ctx := soon(t)
		tx := openOn(t, h, "can0", nil)
		for n := range 2000 {
			before, after := msgOf(0, n), msgOf(1, n)
			if err := tx.Send(ctx, before); err != nil {
				t.Fatal(err)
			}
			rx := openOn(t, h, "can0", nil)
			if err := tx.Send(ctx, after); err != nil {
				t.Fatal(err)
			}
			if m := recvNext(t, rx); !m.Equal(after) {
				t.Fatalf("round %d: first received %v, want %v", n, m, after)
			}
			rx.Close()
		}
	})
}

// 2. No silent loss.

func TestBlockLosesNothingAndLetsTheBusWait(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		createOn(t, h, "can0", 2)
		tx := openOn(t, h, "can0", deaf())
		rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 3})
		var wg sync.WaitGroup
		wg.Go(func() {
			for id := range uint32(20) {
				sendIDs(t, tx, id)
				synctest.Wait()
			}
		})
		time.Sleep(time.Second / 2)
		// 3 in the queue, 1 with the owner, 2 in the inbox.
		if st := tx.Stats(); st.Sent != 6 {
			t.Errorf("Sent %d while nobody receives, want 6", st.Sent)
		}
		if st := rx.Stats(); st.Queued != 3 || st.Capacity != 3 || st.Dropped != 0 {
			t.Errorf("Stats %+v, want 3 of 3 queued and none dropped", st)
		}
		for id := range uint32(20) {
			if m := recvNext(t, rx); m.ID != id || m.Seq != uint64(id+1) {
				t.Errorf("received %d:%v, want %d", m.Seq, m, id)
			}
		}
		wg.Wait()
		if st := rx.Stats(); st.Received != 20 || st.Dropped != 0 || st.Queued != 0 {
			t.Errorf("Stats %+v, want 20 received, none dropped, none queued", st)
		}
	})
}

func TestTheDropPoliciesLoseMessagesOfThatOneSubscriberAndCountThem(t *testing.T) {
	tests := []struct {
		policy hub.Policy
		want   string
	}{
		{hub.DropNewest, "1:1 2:2 3:3"},
		{hub.DropOldest, "8:8 9:9 10:A"},
	}
	for _, tt := range tests {
		for _, how := range []string{"Send", "SendBatch"} {
			t.Run(tt.policy.String()+"/"+how, func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *hub.Hub) {
					tx := openOn(t, h, "can0", nil)
					quick := openOn(t, h, "can0", nil)
					slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 3, Policy: tt.policy})
					var all []hub.Message
					for id := range uint32(10) {
						all = append(all, hub.Std(id+1))
					}
					if how == "SendBatch" {
						if err := tx.SendBatch(t.Context(), all); err != nil {
							t.Fatal(err)
						}
					} else {
						for _, m := range all {
							sendIDs(t, tx, m.ID)
						}
					}
					synctest.Wait()
					if st := slow.Stats(); st.Dropped != 7 || st.Queued != 3 || st.Received != 0 {
						t.Errorf("slow: %+v, want 7 dropped and 3 queued", st)
					}
					if st := quick.Stats(); st.Dropped != 0 || st.Queued != 10 {
						t.Errorf("quick: %+v, want none dropped and 10 queued", st)
					}
					wantPolled(t, slow, tt.want)
					wantPolled(t, quick, "1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:8 9:9 10:A")
					if st := slow.Stats(); st.Dropped != 7 || st.Queued != 0 || st.Received != 3 {
						t.Errorf("slow: %+v, want 7 dropped and 3 received", st)
					}
				})
			})
		}
	}
}

func TestTheOverflowFrameStandsExactlyWhereTheLossIs(t *testing.T) {
	newest := hub.SubscriberOptions{Queue: 2, Policy: hub.DropNewest, ErrorFrames: true}
	oldest := hub.SubscriberOptions{Queue: 2, Policy: hub.DropOldest, ErrorFrames: true}
	blockFor := hub.SubscriberOptions{Queue: 2, BlockFor: time.Second / 2, ErrorFrames: true}
	tests := []struct {
		name   string
		o      hub.SubscriberOptions
		groups [][]uint32 // after each of them everything is received
		want   []string
	}{
		{"DropNewest, no loss", newest, [][]uint32{{1, 2}, {3}}, []string{"1:1 2:2", "3:3"}},
		{"DropNewest, at the end", newest, [][]uint32{{1, 2, 3}}, []string{"1:1 2:2 !"}},
		{"DropNewest, told once", newest, [][]uint32{{1, 2, 3}, {}, {4}}, []string{"1:1 2:2 !", "", "4:4"}},
		{"DropNewest, twice", newest, [][]uint32{{1, 2, 3, 4}, {5, 6, 7}}, []string{"1:1 2:2 !", "5:5 6:6 !"}},
		{"DropOldest, at the start", oldest, [][]uint32{{1, 2, 3}, {4}}, []string{"! 2:2 3:3", "4:4"}},
		{"DropOldest, in the middle", oldest, [][]uint32{{1}, {2, 3, 4, 5}}, []string{"1:1", "! 4:4 5:5"}},
		{"BlockFor, at the end", blockFor, [][]uint32{{1, 2, 3}, {4}}, []string{"1:1 2:2 !", "4:4"}},
		{"not asked for", hub.SubscriberOptions{Queue: 2, Policy: hub.DropNewest}, [][]uint32{{1, 2, 3}, {4}}, []string{"1:1 2:2", "4:4"}},
	}
	for _, tt := range tests {
		for _, c := range []string{"Recv", "RecvBatch", "C"} {
			if c == "C" && tt.o.Policy == hub.DropOldest {
				continue // the message on offer is taken already
			}
			for _, how := range []string{"Send", "SendBatch"} {
				t.Run(tt.name+"/"+c+"/"+how, func(t *testing.T) {
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", deaf())
						rx := openOn(t, h, "can0", &tt.o)
						for i, group := range tt.groups {
							if how == "SendBatch" {
								var batch []hub.Message
								for _, id := range group {
									batch = append(batch, hub.Std(id))
								}
								if err := tx.SendBatch(t.Context(), batch); err != nil {
									t.Fatal(err)
								}
							} else {
								sendIDs(t, tx, group...)
							}
							time.Sleep(time.Second) // BlockFor is over
							synctest.Wait()
							var got []hub.Message
							switch c {
							case "Recv":
								got, _ = pollAll(rx)
							case "RecvBatch":
								for {
									batch, err := rx.RecvBatch(doneCtx())
									if err != nil {
										break
									}
									got = append(got, batch...)
								}
							case "C": // first called when the queue is full
								for more := true; more; {
									synctest.Wait()
									out := rx.C()
									synctest.Wait()
									select {
									case m := <-out:
										got = append(got, m)
									default:
										more = false
									}
								}
							}
							if i > 0 && c == "C" && len(group) > 2 {
								continue // one more was on offer: less is lost
							}
							if frames(got) != tt.want[i] {
								t.Errorf("after group %d received %q, want %q", i, frames(got), tt.want[i])
							}
						}
					})
				})
			}
		}
	}
}

func TestTheOverflowFrameStandsInTheMiddleOfTheQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", nil)
		rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 3, Policy: hub.DropNewest, ErrorFrames: true})
		sendIDs(t, tx, 1, 2, 3, 4, 5) // 4 and 5 are lost
		synctest.Wait()
		recvNext(t, rx)
		recvNext(t, rx)
		sendIDs(t, tx, 6, 7, 8) // 8 is lost
		synctest.Wait()
		wantPolled(t, rx, "3:3 ! 6:6 7:7 !")
		sendIDs(t, tx, 9)
		synctest.Wait()
		wantPolled(t, rx, "9:9")
	})
}

func TestTheOverflowFrameTakesNoRoomInTheQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", nil)
		rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2, Policy: hub.DropNewest, ErrorFrames: true})
		sendIDs(t, tx, 1, 2, 3)
		synctest.Wait()
		recvNext(t, rx)
		recvNext(t, rx)
		// The frame for 3 has not been received, and the queue still takes two.
		sendIDs(t, tx, 4, 5)
		synctest.Wait()
		if st := rx.Stats(); st.Queued != 2 || st.Dropped != 1 {
			t.Errorf("Stats %+v, want 2 queued and 1 dropped", st)
		}
		wantPolled(t, rx, "! 4:4 5:5")
		if st := rx.Stats(); st.Received != 4 || st.Queued != 0 {
			t.Errorf("Stats %+v, want 4 received: the frame counts as no message", st)
		}
	})
}

func TestTheOverflowFrameAtTheEndIsToldAfterTheHubWasClosed(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", nil)
		rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2, Policy: hub.DropNewest, ErrorFrames: true})
		sendIDs(t, tx, 1, 2, 3)
		h.Close()
		wantRest(t, rx, "1:1 2:2 !")
	})
}

func TestErrorFramesThatSomebodySentAreMessagesLikeOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		sent := hub.Message{ID: 0x4, Flags: hub.Error, Len: 8, Data: [64]byte{1: 1}}
		if err := tx.Send(t.Context(), sent); err != nil {
			t.Fatal(err)
		}
		if m := recvNext(t, rx); !m.Equal(sent) || m.Seq != 1 {
			t.Errorf("received %d:%v, want 1:%v", m.Seq, m, sent)
		}
	})
}

// 3. Every blocking call takes a ctx.

func TestRecvHandsOutWhatIsQueuedUnderADoneCtx(t *testing.T) {
	receive := map[string]func(*hub.Subscriber) []hub.Message{
		"Recv": func(s *hub.Subscriber) []hub.Message {
			all, _ := pollAll(s)
			return all
		},
		"RecvBatch": func(s *hub.Subscriber) (all []hub.Message) {
			for {
				batch, err := s.RecvBatch(doneCtx())
				if err != nil {
					return all
				}
				all = append(all, batch...)
			}
		},
		"All": func(s *hub.Subscriber) []hub.Message { return slices.Collect(s.All(doneCtx())) },
		"Recv after C": func(s *hub.Subscriber) []hub.Message {
			s.C()
			synctest.Wait()
			all, _ := pollAll(s)
			return all
		},
	}
	for name, f := range receive {
		for _, queue := range []int{3, 256} {
			for _, policy := range []hub.Policy{hub.Block, hub.DropOldest, hub.DropNewest} {
				t.Run(fmt.Sprintf("%s/%v/%d", name, policy, queue), func(t *testing.T) {
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", nil)
						rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue, Policy: policy})
						if got := f(rx); len(got) != 0 {
							t.Errorf("received %q, want nothing", frames(got))
						}
						sendIDs(t, tx, 1, 2, 3)
						synctest.Wait()
						if got := f(rx); frames(got) != "1:1 2:2 3:3" {
							t.Errorf("received %q, want %q", frames(got), "1:1 2:2 3:3")
						}
					})
				})
			}
		}
	}
}

func TestSendChecksTheCtxFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		closed := openOn(t, h, "can0", nil)
		closed.Close()
		ctx, invalid := doneCtx(), hub.Std(0x800)
		for name, err := range map[string]error{
			"Send":                  tx.Send(ctx, hub.Std(1)),
			"Send, invalid":         tx.Send(ctx, invalid),
			"Send after Close":      closed.Send(ctx, hub.Std(1)),
			"SendBatch":             tx.SendBatch(ctx, []hub.Message{hub.Std(1)}),
			"SendBatch of nothing":  tx.SendBatch(ctx, nil),
			"SendBatch, invalid":    tx.SendBatch(ctx, []hub.Message{invalid}),
			"SendWait":              tx.SendWait(ctx, hub.Std(1)),
			"SendWait after Close":  closed.SendWait(ctx, hub.Std(1)),
			"SendBatch after Close": closed.SendBatch(ctx, nil),
		} {
			if err != context.Canceled {
				t.Errorf("%s under a canceled ctx: %v, want context.Canceled itself", name, err)
			}
		}
		synctest.Wait()
		wantPolled(t, rx, "")
	})
}

func TestContextErrorsComeBackBare(t *testing.T) {
	calls := map[string]func(ctx context.Context, blocked, idle *hub.Subscriber) error{
		"Send": func(ctx context.Context, b, _ *hub.Subscriber) error { return b.Send(ctx, hub.Std(9)) },
		"SendBatch": func(ctx context.Context, b, _ *hub.Subscriber) error {
			return b.SendBatch(ctx, []hub.Message{hub.Std(9), hub.Std(9)})
		},
		"SendWait": func(ctx context.Context, b, _ *hub.Subscriber) error { return b.SendWait(ctx, hub.Std(9)) },
		"Recv": func(ctx context.Context, _, i *hub.Subscriber) error {
			_, err := i.Recv(ctx)
			return err
		},
		"RecvBatch": func(ctx context.Context, _, i *hub.Subscriber) error {
			_, err := i.RecvBatch(ctx)
			return err
		},
		"Recv after C": func(ctx context.Context, _, i *hub.Subscriber) error {
			i.C()
			_, err := i.Recv(ctx)
			return err
		},
		"RecvBatch after C": func(ctx context.Context, _, i *hub.Subscriber) error {
			i.C()
			_, err := i.RecvBatch(ctx)
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				createOn(t, h, "can0", 1)
				tx := openOn(t, h, "can0", deaf())
				slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
				idle := openOn(t, h, "other", nil)
				sendIDs(t, tx, 1)
				synctest.Wait()
				sendIDs(t, tx, 2)
				synctest.Wait()
				sendIDs(t, tx, 3) // the inbox is full

				start := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				if err := call(ctx, tx, idle); err != context.DeadlineExceeded {
					t.Errorf("error %v (%T), want context.DeadlineExceeded itself", err, err)
				}
				if d := time.Since(start); d != 5*time.Second {
					t.Errorf("returned after %v, want 5s", d)
				}
				caused, cancelCause := context.WithCancelCause(context.Background())
				time.AfterFunc(time.Second, func() { cancelCause(errors.New("a cause")) })
				if err := call(caused, tx, idle); err != context.Canceled {
					t.Errorf("error %v (%T), want context.Canceled itself", err, err)
				}
				for id := range uint32(3) {
					if m := recvNext(t, slow); m.ID != id+1 {
						t.Errorf("slow received %v, want %d", m, id+1)
					}
				}
				synctest.Wait()
				wantPolled(t, slow, "") // no send that failed was sent
			})
		})
	}
}

// Sending in batches and with confirmation.

func TestSendBatchIsAllOrNone(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		createOn(t, h, "can0", 1)
		tx := openOn(t, h, "can0", deaf())
		slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		bad := []hub.Message{hub.Std(1), hub.Std(0x800), hub.Std(2)}
		if err := tx.SendBatch(t.Context(), bad); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("SendBatch with an invalid message: %v, want ErrInvalid", err)
		}
		synctest.Wait()
		wantPolled(t, slow, "")
		if err := tx.SendBatch(t.Context(), nil); err != nil {
			t.Errorf("SendBatch of nothing: %v", err)
		}

		sendIDs(t, tx, 1)
		synctest.Wait()
		sendIDs(t, tx, 2)
		synctest.Wait()
		sendIDs(t, tx, 3) // the inbox is full
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := tx.SendBatch(ctx, []hub.Message{hub.Std(4), hub.Std(5)}); err != context.DeadlineExceeded {
			t.Errorf("SendBatch into a full inbox: %v, want context.DeadlineExceeded", err)
		}
		for range 3 {
			recvNext(t, slow)
		}
		synctest.Wait()
		wantPolled(t, slow, "")
		if sent := tx.Stats().Sent; sent != 3 {
			t.Errorf("Sent %d, want 3", sent)
		}
	})
}

func TestSendBatchIsContiguous(t *testing.T) {
	const senders, batches = 6, 60
	bothWays(t, func(t *testing.T, h *hub.Hub) {
		ctx := soon(t)
		rx := openOn(t, h, "can0", nil)
		small := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 5}) // less than a batch
		var wg sync.WaitGroup
		total := 0
		for k := range senders {
			size := 3 + 7*k*k // 3 to 178: more than fits a slab
			total += size * batches
			tx := openOn(t, h, "can0", deaf())
			wg.Go(func() {
				for n := range batches {
					batch := make([]hub.Message, size)
					for i := range batch {
						batch[i] = msgOf(k, n*size+i)
					}
					if err := tx.SendBatch(ctx, batch); err != nil {
						t.Errorf("sender %d: %v", k, err)
						return
					}
					clear(batch) // SendBatch has copied it
				}
			})
		}
		var a, b []hub.Message
		wg.Go(func() { a, _ = collectors[0].collect(ctx, rx, total) })
		wg.Go(func() { b, _ = collectors[1].collect(ctx, small, total) })
		wg.Wait()
		if !slices.Equal(a, b) || len(a) != total {
			t.Fatalf("received %d and %d messages, want %d, the same", len(a), len(b), total)
		}
		for i := 0; i < len(a); {
			k, first := numberOf(a[i])
			size := 3 + 7*k*k
			for j := range size {
				if a[i+j].ID != a[i].ID {
					t.Fatalf("message %d of a batch of sender %d is one of sender %d", j, k, a[i+j].ID)
				}
				if _, n := numberOf(a[i+j]); n != first+j {
					t.Fatalf("message %d of a batch of sender %d has number %d, want %d", j, k, n, first+j)
				}
			}
			i += size
		}
	})
}

func TestSendWaitReturnsWhenEverySubscriberHasItQueued(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx, a := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		deafOne := openOn(t, h, "can0", deaf())
		sendIDs(t, tx, 1)
		synctest.Wait()
		start := time.Now()
		time.AfterFunc(1500*time.Millisecond, func() { recvNext(t, slow) })
		if err := tx.SendWait(soon(t), hub.Std(2)); err != nil {
			t.Fatalf("SendWait: %v", err)
		}
		if d := time.Since(start); d != 1500*time.Millisecond {
			t.Errorf("SendWait took %v, want 1.5s: until there was room", d)
		}
		wantPolled(t, slow, "2:2")
		wantPolled(t, a, "1:1 2:2")
		wantPolled(t, deafOne, "")
	})
}

func TestSendWaitAloneOnTheChannelSucceeds(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", nil)
		if err := tx.SendWait(soon(t), hub.Std(1)); err != nil {
			t.Errorf("SendWait: %v", err)
		}
	})
}

func TestSendWaitNamesWhoDidNotGetTheMessage(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", nil)
		fine := openOn(t, h, "can0", nil)
		newest := openOn(t, h, "can0", &hub.SubscriberOptions{Name: "newest", Queue: 1, Policy: hub.DropNewest})
		oldest := openOn(t, h, "can0", &hub.SubscriberOptions{Name: "oldest", Queue: 1, Policy: hub.DropOldest})
		patient := openOn(t, h, "can0", &hub.SubscriberOptions{Name: "patient", Queue: 1, BlockFor: 3 * time.Second})
		if err := tx.SendWait(soon(t), hub.Std(1)); err != nil {
			t.Fatalf("SendWait: %v", err)
		}
		start := time.Now()
		err := tx.SendWait(soon(t), hub.Std(2))
		var d *hub.DeliveryError
		if !errors.As(err, &d) {
			t.Fatalf("SendWait: %v, want a *DeliveryError", err)
		}
		slices.Sort(d.Missed)
		if !slices.Equal(d.Missed, []string{"newest", "patient"}) {
			t.Errorf("missed %q, want newest and patient", d.Missed)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("SendWait took %v, want 3s, the BlockFor", d)
		}
		wantPolled(t, fine, "1:1 2:2")
		wantPolled(t, newest, "1:1")
		wantPolled(t, oldest, "2:2")
		wantPolled(t, patient, "1:1")
		if err := tx.SendWait(soon(t), hub.Std(3)); err != nil {
			t.Errorf("SendWait when there is room again: %v", err)
		}
	})
}

func TestSendWaitEndsWithItsCtxAndTheMessageIsStillDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", nil)
		slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		sendIDs(t, tx, 1)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := tx.SendWait(ctx, hub.Std(2)); err != context.DeadlineExceeded {
			t.Errorf("SendWait: %v, want context.DeadlineExceeded", err)
		}
		recvNext(t, slow)
		synctest.Wait()
		wantPolled(t, slow, "2:2")
	})
}

func TestErrStalledIsTimedFromTheLastMessageTaken(t *testing.T) {
	for _, takes := range []time.Duration{0, 30 * time.Millisecond, 370 * time.Millisecond, 990 * time.Millisecond} {
		inBubble(t, func(t *testing.T, h *hub.Hub) {
			// Far behind: one message taken is not the room that the channel waits for.
			s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 64, OwnMessages: true})
			if err := s.SendBatch(soon(t), make([]hub.Message, 128)); err != nil {
				t.Fatalf("SendBatch: %v", err)
			}
			ended := make(chan error, 1)
			start := time.Now()
			go func() { ended <- s.SendWait(soon(t), hub.Std(1)) }()
			time.Sleep(takes)
			synctest.Wait()
			recvNext(t, s)
			if err := <-ended; err != hub.ErrStalled {
				t.Errorf("SendWait: %v, want ErrStalled", err)
			}
			if d := time.Since(start) - takes; d < time.Second || d > 1100*time.Millisecond {
				t.Errorf("one taken after %v: ErrStalled %v later, want 1s to 1.1s", takes, d)
			}
		})
	}
}

func TestSendWaitForItselfEndsWithErrStalled(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1, OwnMessages: true})
		if err := s.SendWait(soon(t), hub.Std(1)); err != nil {
			t.Fatalf("SendWait: %v", err)
		}
		start := time.Now()
		if err := s.SendWait(soon(t), hub.Std(2)); err != hub.ErrStalled {
			t.Errorf("SendWait: %v, want ErrStalled", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("ErrStalled after %v, want 1s", d)
		}
		if m := recvNext(t, s); m.ID != 1 {
			t.Errorf("received %v, want 1", m)
		}
		if m := recvNext(t, s); m.ID != 2 {
			t.Errorf("received %v, want 2", m)
		}
		if err := s.SendWait(soon(t), hub.Std(3)); err != nil {
			t.Errorf("SendWait when there is room again: %v", err)
		}
	})
}

func TestSendWaitEndsWithErrClosed(t *testing.T) {
	for _, who := range []string{"subscriber", "hub"} {
		t.Run(who, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx := openOn(t, h, "can0", nil)
				slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
				sendIDs(t, tx, 1)
				synctest.Wait()
				failed := make(chan error, 1)
				go func() { failed <- tx.SendWait(soon(t), hub.Std(2)) }()
				synctest.Wait()
				if who == "hub" {
					h.Close()
				} else {
					tx.Close()
				}
				err := <-failed
				// When the hub closes, the message may be delivered first.
				if err != hub.ErrClosed && (who != "hub" || err != nil) {
					t.Errorf("SendWait: %v, want ErrClosed", err)
				}
				if m := recvNext(t, slow); m.ID != 1 {
					t.Errorf("slow received %v, want 1", m)
				}
				if m := recvNext(t, slow); m.ID != 2 {
					t.Errorf("slow received %v, want 2", m)
				}
			})
		})
	}
}

func TestSendWaitIsNotFailedByASubscriberThatLeaves(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", nil)
		slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		sendIDs(t, tx, 1)
		time.AfterFunc(time.Second/2, func() { slow.Close() })
		if err := tx.SendWait(soon(t), hub.Std(2)); err != nil {
			t.Errorf("SendWait: %v", err)
		}
	})
}

// Names, hubs and channels.

func TestChannelsListsWhatIsInUse(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		check := func(want ...hub.ChannelInfo) {
			t.Helper()
			if got := h.Channels(); !slices.Equal(got, want) {
				t.Errorf("Channels() = %+v, want %+v", got, want)
			}
		}
		check()
		createOn(t, h, "standing", 0)
		b := openOn(t, h, "b", nil)
		a1, a2 := openOn(t, h, "a", nil), openOn(t, h, "a", nil)
		sendIDs(t, a1, 1, 2, 3)
		synctest.Wait()
		check(
			hub.ChannelInfo{Name: "a", Subscribers: 2, Messages: 3},
			hub.ChannelInfo{Name: "b", Subscribers: 1},
			hub.ChannelInfo{Name: "standing", Standing: true},
		)
		b.Close()
		a1.Close()
		check(
			hub.ChannelInfo{Name: "a", Subscribers: 1, Messages: 3},
			hub.ChannelInfo{Name: "standing", Standing: true},
		)
		a2.Close()
		s := openOn(t, h, "standing", nil)
		s.Close()
		check(hub.ChannelInfo{Name: "standing", Standing: true})
		h.Close()
		check()
	})
}

func TestFreeNameIsNotInUse(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		for i := range 5 {
			want := fmt.Sprintf("channel-%d", i)
			if got := h.FreeName(); got != want {
				t.Fatalf("FreeName() = %q, want %q", got, want)
			}
			s := openOn(t, h, want, nil)
			if s.Channel() != want {
				t.Errorf("Channel() = %q, want %q", s.Channel(), want)
			}
			if i == 2 {
				defer s.Close()
				s.Close()
				if got := h.FreeName(); got != want {
					t.Errorf("FreeName() after Close = %q, want %q", got, want)
				}
				openOn(t, h, want, nil)
			}
		}
	})
}

func TestANameIsGivenOnceToAStandingChannel(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		createOn(t, h, "can0", 0)
		if err := h.Create("can0", nil); err == nil {
			t.Error("Create of a channel that exists succeeded")
		}
		openOn(t, h, "can1", nil)
		if err := h.Create("can1", nil); err == nil {
			t.Error("Create of a channel that was opened succeeded")
		}
	})
}

func TestHubsAndChannelsAreIndependent(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		other := hub.New(nil)
		defer other.Close()
		a0, b0 := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		a1, b1 := openOn(t, h, "can1", nil), openOn(t, h, "can1", nil)
		c0, d0 := openOn(t, other, "can0", nil), openOn(t, other, "can0", nil)
		sendIDs(t, a0, 1)
		sendIDs(t, a1, 2)
		sendIDs(t, c0, 3)
		synctest.Wait()
		wantPolled(t, b0, "1:1")
		wantPolled(t, b1, "1:2")
		wantPolled(t, d0, "1:3")
		h.Close()
		sendIDs(t, d0, 4)
		if m := recvNext(t, c0); m.ID != 4 {
			t.Errorf("received %v, want 4", m)
		}
	})
}

func TestAChannelThatIsBlockedHoldsUpNoOther(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		stuck := openOn(t, h, "stuck", nil)
		openOn(t, h, "stuck", &hub.SubscriberOptions{Queue: 1})
		sendIDs(t, stuck, 1, 2, 3)
		synctest.Wait()
		a, b := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		sendIDs(t, a, 1)
		synctest.Wait()
		wantPolled(t, b, "1:1")
		if n := len(h.Channels()); n != 2 {
			t.Errorf("%d channels, want 2", n)
		}
	})
}

// Options of a subscriber.

func TestTheChannelStampsTheTimeUnlessTheSenderKeepsIts(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		plain := openOn(t, h, "can0", deaf())
		o := deaf()
		o.KeepTimestamps = true
		keeps := openOn(t, h, "can0", o)
		rx := openOn(t, h, "can0", nil)
		m := hub.Std(1)
		m.Timestamp = 42
		time.Sleep(time.Hour)
		now := time.Now().UnixNano()
		for _, s := range []*hub.Subscriber{plain, keeps} {
			if err := s.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if err := s.SendBatch(t.Context(), []hub.Message{m, m}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Hour)
		for i := range 6 {
			want := now
			if i >= 3 {
				want = 42
			}
			if got := recvNext(t, rx); got.Timestamp != want {
				t.Errorf("message %d has time %d, want %d", i, got.Timestamp, want)
			}
		}
	})
}

func TestOwnMessagesAreCopiesMarkedOwn(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		own := openOn(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		other := openOn(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		plain := openOn(t, h, "can0", nil)
		fakes := hub.Std(2)
		fakes.Flags |= hub.Own // it is the hub that says so
		sendIDs(t, own, 1)
		if err := other.Send(t.Context(), fakes); err != nil {
			t.Fatal(err)
		}
		sendIDs(t, plain, 3)
		var batch []hub.Message
		for id := range uint32(20) {
			batch = append(batch, hub.Std(0x10+id))
		}
		if err := own.SendBatch(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for s, senders := range map[*hub.Subscriber][]*hub.Subscriber{
			own: {own, other, plain}, other: {own, other, plain}, plain: {own, other},
		} {
			got, _ := pollAll(s)
			want := 22
			if s != plain {
				want = 23
			}
			if len(got) != want {
				t.Errorf("%s received %d messages, want %d", s.Name(), len(got), want)
			}
			for _, m := range got {
				sender := own
				switch m.ID {
				case 2:
					sender = other
				case 3:
					sender = plain
				}
				if !slices.Contains(senders, sender) {
					t.Errorf("%s received %v, which it sent", s.Name(), m)
				}
				if isOwn := m.Flags&hub.Own != 0; isOwn != (s == sender) {
					t.Errorf("%s received %v with Own %v", s.Name(), m, isOwn)
				}
			}
		}
	})
}

func TestListenOnlyReceivesAndSendsNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", nil)
		s := openOn(t, h, "can0", &hub.SubscriberOptions{ListenOnly: true})
		_, periodic := s.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(1)}, Period: time.Second})
		for name, err := range map[string]error{
			"Send":         s.Send(t.Context(), hub.Std(1)),
			"SendBatch":    s.SendBatch(t.Context(), []hub.Message{hub.Std(1)}),
			"SendWait":     s.SendWait(t.Context(), hub.Std(1)),
			"SendPeriodic": periodic,
		} {
			if err != hub.ErrListenOnly {
				t.Errorf("%s: %v, want ErrListenOnly", name, err)
			}
		}
		sendIDs(t, tx, 2)
		synctest.Wait()
		wantPolled(t, s, "1:2")
		wantPolled(t, tx, "")
		s.Close()
		if err := s.Send(t.Context(), hub.Std(1)); err != hub.ErrClosed {
			t.Errorf("Send after Close: %v, want ErrClosed", err)
		}
	})
}

// Ways to receive.

func TestEveryWayToReceiveGivesTheSame(t *testing.T) {
	for _, c := range collectors {
		for _, queue := range []int{1, 2, 7, 256} {
			t.Run(fmt.Sprintf("%s/queue %d", c.name, queue), func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *hub.Hub) {
					tx := openOn(t, h, "can0", nil)
					rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
					var wg sync.WaitGroup
					wg.Go(func() {
						for n := range 100 {
							sendIDs(t, tx, uint32(n))
						}
						for n := range 10 {
							var batch []hub.Message
							for i := range 20 {
								batch = append(batch, hub.Std(uint32(100+20*n+i)))
							}
							if err := tx.SendBatch(soon(t), batch); err != nil {
								t.Error(err)
							}
						}
					})
					got, err := c.collect(soon(t), rx, 300)
					wg.Wait()
					if err != nil || len(got) != 300 {
						t.Fatalf("received %d messages, %v, want 300", len(got), err)
					}
					for i, m := range got {
						if m.ID != uint32(i) || m.Seq != uint64(i+1) {
							t.Fatalf("message %d is %d:%v", i, m.Seq, m)
						}
					}
					synctest.Wait()
					if st := rx.Stats(); st.Received != 300 || st.Queued != 0 || st.Dropped != 0 {
						t.Errorf("Stats %+v, want 300 received and nothing queued or dropped", st)
					}
				})
			})
		}
	}
}

func TestRecvAndRecvBatchTakeTurns(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		if err := tx.SendBatch(t.Context(), []hub.Message{hub.Std(1), hub.Std(2), hub.Std(3)}); err != nil {
			t.Fatal(err)
		}
		if m := recvNext(t, rx); m.ID != 1 {
			t.Errorf("received %v, want 1", m)
		}
		batch, err := rx.RecvBatch(soon(t))
		if err != nil || frames(batch) != "2:2 3:3" {
			t.Errorf("RecvBatch: %q, %v, want the other two", frames(batch), err)
		}
		wantPolled(t, rx, "")
	})
}

// What RecvBatch returns is shared, and its memory used again, but not before the
// next receive call: not while others are ahead, and not when one appends to it.
func TestARecvBatchStaysAsItIsUntilTheNextReceiveCall(t *testing.T) {
	for _, policy := range []hub.Policy{hub.Block, hub.DropOldest, hub.DropNewest} {
		t.Run(policy.String(), func(t *testing.T) {
			h := hub.New(nil)
			defer h.Close()
			ctx := soon(t)
			const total = 20_000
			var wg sync.WaitGroup
			for range 3 {
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Policy: policy})
				wg.Go(func() {
					for last := uint64(0); last < total; {
						batch, err := rx.RecvBatch(ctx)
						if err != nil {
							t.Error(err)
							return
						}
						was := slices.Clone(batch)
						_ = append(batch, hub.Std(0x666)) // must not write into what follows
						runtime.Gosched()                 // others go on
						if !slices.Equal(batch, was) {
							t.Errorf("the batch from number %d has changed", was[0].Seq)
							return
						}
						last = batch[len(batch)-1].Seq
					}
				})
			}
			tx := openOn(t, h, "can0", deaf())
			for n := range total {
				if err := tx.Send(ctx, msgOf(0, n)); err != nil {
					t.Fatal(err)
				}
			}
			synced := make(chan struct{})
			go func() { wg.Wait(); close(synced) }()
			for { // who drops may still wait for the last one
				select {
				case <-synced:
					return
				case <-time.After(time.Millisecond):
					if err := tx.Send(ctx, hub.Std(1)); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func TestAllEndsWithItsCtxOrTheSubscriberOrTheLoop(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		sendIDs(t, tx, 1, 2, 3)
		synctest.Wait()
		for range rx.All(soon(t)) {
			break // only the first is taken
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if got := slices.Collect(rx.All(ctx)); frames(got) != "2:2 3:3" || ctx.Err() == nil {
			t.Errorf("All gave %q with ctx error %v, want the rest and the deadline", frames(got), ctx.Err())
		}
		time.AfterFunc(time.Second, func() { rx.Close() })
		ctx = soon(t)
		if got := slices.Collect(rx.All(ctx)); len(got) != 0 || ctx.Err() != nil {
			t.Errorf("All gave %q with ctx error %v, want its end by Close", frames(got), ctx.Err())
		}
	})
}

func TestCIsAlwaysTheSameChan(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		first := rx.C()
		sendIDs(t, tx, 1)
		if m := <-first; m.ID != 1 {
			t.Errorf("received %v, want 1", m)
		}
		if rx.C() != first {
			t.Error("the second call gave another chan")
		}
		rx.Close()
		if _, ok := <-first; ok || rx.C() != first {
			t.Error("C is not closed, or another chan, after Close")
		}
	})
}

func TestRecvAndCMayTakeTurns(t *testing.T) {
	bothWays(t, func(t *testing.T, h *hub.Hub) {
		const total = 2000
		ctx := soon(t)
		tx, rx := openOn(t, h, "can0", nil), openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 8})
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := range total {
				if err := tx.Send(ctx, msgOf(0, n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
		defer wg.Wait()
		defer h.Close()
		for seq := uint64(1); seq <= total; {
			var batch []hub.Message
			switch seq % 3 {
			case 0:
				batch = append(batch, <-rx.C())
			case 1:
				m, err := rx.Recv(ctx)
				if err != nil {
					t.Fatal(err)
				}
				batch = append(batch, m)
			case 2:
				var err error
				if batch, err = rx.RecvBatch(ctx); err != nil {
					t.Fatal(err)
				}
			}
			for _, m := range batch {
				if m.Seq != seq {
					t.Fatalf("received Seq %d, want %d", m.Seq, seq)
				}
				seq++
			}
		}
	})
}

// A reader of C and SetFilters do not get in each other's way: what passes all
// filters arrives in order and without a hole.
func TestCKeepsTheOrderWhileFiltersChange(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	ctx := soon(t)
	const total = 20000
	tx, rx := openOn(t, h, "can0", deaf()), openOn(t, h, "can0", nil)
	out := rx.C()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for n := range total {
			if err := tx.Send(ctx, msgOf(1, n)); err != nil {
				return
			}
		}
	})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				rx.SetFilters(hub.Filter{ID: 1, Mask: 0x7FF}, hub.Filter{ID: uint32(i) & 0x7FF, Mask: 0x7FF})
			}
		}
	})
	defer wg.Wait()
	defer h.Close()
	defer close(stop)
	for seq := uint64(1); seq <= total; seq++ {
		select {
		case m := <-out:
			if m.Seq != seq {
				t.Fatalf("received Seq %d, want %d", m.Seq, seq)
			}
		case <-ctx.Done():
			t.Fatalf("Seq %d did not come", seq)
		}
	}
}

// After SetFilters has returned nothing comes out that does not match, not even
// what the channel had in its hand for a full queue.
func TestSetFiltersHoldsForAMessageThatWaitsForRoom(t *testing.T) {
	for _, inbox := range []int{1, 64} {
		t.Run(fmt.Sprintf("inbox %d", inbox), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				createOn(t, h, "can0", inbox)
				tx := openOn(t, h, "can0", deaf())
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
				sendIDs(t, tx, 1)
				synctest.Wait()
				sendIDs(t, tx, 2)
				synctest.Wait()
				sendIDs(t, tx, 3) // an inbox of 1 is full
				rx.SetFilters(hub.Filter{ID: 4, Mask: 0x7FF})
				synctest.Wait()
				var wg sync.WaitGroup
				wg.Go(func() { sendIDs(t, tx, 4, 5) })
				m, err := rx.Recv(soon(t))
				if err != nil || m.ID != 4 {
					t.Errorf("received %v, %v, want 4", m, err)
				}
				wg.Wait()
				synctest.Wait()
				wantPolled(t, rx, "")
			})
		})
	}
}

// 6. No state outside a hub.

func TestFakeTimeHasNoJitter(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		const period, total = 10 * time.Millisecond, 10 * 60 * 100 // ten minutes
		tx, rx := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		start := time.Now().UnixNano()
		if _, err := tx.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(1)}, Period: period}); err != nil {
			t.Fatal(err)
		}
		for n := range total {
			m := recvNext(t, rx)
			if want := start + int64(n)*int64(period); m.Timestamp != want {
				t.Fatalf("message %d came %v off its time", n, time.Duration(m.Timestamp-want))
			}
		}
	})
}

// Locks and package state are what a bubble cannot see through.
func TestThePackageHasNoLocksAndNoStateOfItsOwn(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			ast.Inspect(g, func(n ast.Node) bool {
				if _, ok := n.(*ast.ChanType); ok {
					t.Errorf("%s: a chan of the package", name)
				}
				return true
			})
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "sync" &&
					slices.Contains([]string{"Mutex", "RWMutex", "Cond", "NewCond", "Once", "OnceFunc", "OnceValue", "OnceValues", "Map"}, s.Sel.Name) {
					t.Errorf("%s: sync.%s", name, s.Sel.Name)
				}
			}
			return true
		})
	}
}

// 7. Values, not pointers.

func TestChangingAReceivedMessageChangesNobodyElses(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		a, b := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
		sent := hub.Std(1, 1, 2, 3)
		batch := []hub.Message{sent, sent}
		if err := tx.SendBatch(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		clear(batch) // the hub has its own
		m := recvNext(t, a)
		m.Bytes()[0] = 0xFF
		m.ID = 7
		for _, s := range []*hub.Subscriber{b, tx} {
			if got := recvNext(t, s); !got.Equal(sent) {
				t.Errorf("%s received %v, want %v", s.Name(), got, sent)
			}
		}
		if got := recvNext(t, a); !got.Equal(sent) {
			t.Errorf("received %v, want %v", got, sent)
		}
	})
}

func TestATagTravelsWithItsMessage(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		from := openOn(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		plain, latest := openOn(t, h, "can0", nil), openOn(t, h, "can0", &hub.SubscriberOptions{Policy: hub.DropOldest})
		filtered := openOn(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{{ID: 1, Mask: 1}}})
		m := hub.Std(1, 2, 3)
		m.Tag = 0xA1B2C3D4E5F60718
		if err := from.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		other := hub.Std(2)
		other.Tag = 9
		if err := from.SendBatch(t.Context(), []hub.Message{other, m}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for name, s := range map[string]*hub.Subscriber{"own": from, "plain": plain, "DropOldest": latest, "filtered": filtered} {
			all, _ := pollAll(s)
			if len(all) < 2 {
				t.Fatalf("%s: received %v", name, all)
			}
			for _, got := range all {
				if want := map[uint32]uint64{1: m.Tag, 2: 9}[got.ID]; got.Tag != want {
					t.Errorf("%s: %v has the tag %#x, want %#x", name, got, got.Tag, want)
				}
			}
		}
	})
}

// A batch that is longer than what travels in one piece arrives whole and in a row,
// also where receivers have little room and others send at the same time.
func TestLongBatchesArriveInARowBetweenOthers(t *testing.T) {
	const senders, rounds, long = 3, 40, 700
	bothWays(t, func(t *testing.T, h *hub.Hub) {
		ctx := soon(t)
		const total = senders * rounds * (long + 1)
		var wg sync.WaitGroup
		for i := range 4 {
			s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: []int{1, 7, 256, 1000}[i]})
			wg.Go(func() {
				for n := uint64(1); n <= total; {
					msgs, err := s.RecvBatch(ctx)
					if err != nil {
						t.Errorf("receiver %d, behind message %d of %d: %v", i, n-1, total, err)
						return
					}
					for _, m := range msgs {
						if m.Seq != n {
							t.Errorf("receiver %d: message %d, want %d", i, m.Seq, n)
							return
						}
						n++
					}
				}
			})
		}
		watch := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 50})
		wg.Go(func() {
			var next [senders]int
			inRow := 0 // of a batch, still to come
			last := 0
			for range total {
				m, err := watch.Recv(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				k, n := numberOf(m)
				if n != next[k] {
					t.Errorf("message %d of sender %d, want %d", n, k, next[k])
					return
				}
				next[k]++
				if inRow > 0 && k != last {
					t.Errorf("a message of sender %d in a batch of sender %d", k, last)
					return
				}
				if last = k; n%(long+1) == 0 { // alone, and then the batch
					inRow = 0
				} else if inRow == 0 {
					inRow = long - 1
				} else {
					inRow--
				}
			}
		})
		for k := range senders {
			s := openOn(t, h, "can0", deaf())
			wg.Go(func() {
				for r := range rounds {
					first := r * (long + 1)
					if err := s.Send(ctx, msgOf(k, first)); err != nil {
						t.Error(err)
						return
					}
					var batch []hub.Message
					for i := range long {
						batch = append(batch, msgOf(k, first+1+i))
					}
					if err := s.SendBatch(ctx, batch); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}
