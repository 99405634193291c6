package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
)

// receives are all the ways to receive until the end.
var receives = []struct {
	name string
	all  func(ctx context.Context, s *hub.Subscriber, got func(hub.Message)) error
}{
	{"Recv", func(ctx context.Context, s *hub.Subscriber, got func(hub.Message)) error {
		for {
			m, err := s.Recv(ctx)
			if err != nil {
				return err
			}
			got(m)
		}
	}},
	{"RecvBatch", func(ctx context.Context, s *hub.Subscriber, got func(hub.Message)) error {
		for {
			msgs, err := s.RecvBatch(ctx)
			if err != nil {
				return err
			}
			for _, m := range msgs {
				got(m)
			}
		}
	}},
	{"C", func(_ context.Context, s *hub.Subscriber, got func(hub.Message)) error {
		for m := range s.C() {
			got(m)
		}
		return hub.ErrClosed
	}},
	{"All", func(ctx context.Context, s *hub.Subscriber, got func(hub.Message)) error {
		for m := range s.All(ctx) {
			got(m)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return hub.ErrClosed
	}},
	{"Recv after C", func(ctx context.Context, s *hub.Subscriber, got func(hub.Message)) error {
		s.C()
		for {
			m, err := s.Recv(ctx)
			if err != nil {
				return err
			}
			got(m)
		}
	}},
}

// While one goroutine receives at full speed, another closes the subscriber, or
// the hub. The reader ends with ErrClosed, nothing that it has received is wrong,
// and what it counted is what Stats count.
func TestCloseWhileSomebodyReads(t *testing.T) {
	policies := []hub.SubscriberOptions{
		{Queue: 8}, {Queue: 300}, {Queue: 3, BlockFor: time.Hour},
		{Queue: 8, Policy: hub.DropOldest}, {Queue: 8, Policy: hub.DropNewest},
		{Queue: 20, Filters: []hub.Filter{{ID: 1, Mask: 1}}},
	}
	for _, r := range receives {
		for how, closeIt := range closers {
			t.Run(r.name+"/"+how, func(t *testing.T) {
				inTime(t, "closing while somebody reads", func() {
					for round := range 12 {
						o := policies[round%len(policies)]
						h := hub.New(nil)
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						rx := openOn(t, h, "can0", &o)
						other := openOn(t, h, "can0", &hub.SubscriberOptions{Policy: hub.DropOldest, Queue: 3})
						var wg sync.WaitGroup
						wg.Go(func() {
							for n := uint32(0); ; n++ {
								if tx.Send(context.Background(), hub.Std(n%0x700)) != nil {
									return
								}
							}
						})
						received := make(chan uint64, 1)
						some := make(chan struct{})
						wg.Go(func() {
							n, last := uint64(0), uint64(0)
							err := r.all(context.Background(), rx, func(m hub.Message) {
								if m.Seq <= last || m.ID != uint32((m.Seq-1)%0x700) {
									t.Errorf("received %d:%v behind %d", m.Seq, m, last)
								}
								last = m.Seq
								if n++; n == uint64(10+round) {
									close(some)
								}
							})
							if err != hub.ErrClosed {
								t.Errorf("the reader ended with %v, want ErrClosed", err)
							}
							received <- n
						})
						<-some
						closeIt(h, rx)
						n := <-received
						if m, err := rx.Recv(context.Background()); err != hub.ErrClosed {
							t.Errorf("Recv after Close: %v, %v", m, err)
						}
						if st := rx.Stats(); st.Received != n {
							t.Errorf("received %d messages, and Stats %+v", n, st)
						}
						other.Close()
						h.Close()
						wg.Wait()
					}
				})
			})
		}
	}
}

// Who closes in the loop that it receives in goes on behind the loop.
func TestCloseInTheGoroutineThatReads(t *testing.T) {
	for _, r := range receives {
		for how, closeIt := range closers {
			for _, queue := range []int{1, 3, 100} {
				t.Run(fmt.Sprintf("%s/%s/queue %d", r.name, how, queue), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
						var wg sync.WaitGroup
						wg.Go(func() {
							for range 50 {
								if tx.Send(context.Background(), hub.Std(1)) != nil {
									return
								}
							}
						})
						synctest.Wait()
						var got []uint64
						err := r.all(soon(t), rx, func(m hub.Message) {
							got = append(got, m.Seq)
							if len(got) == 5 {
								closeIt(h, rx)
							}
						})
						if err != hub.ErrClosed {
							t.Errorf("the loop ended with %v, want ErrClosed", err)
						}
						for i, seq := range got {
							if seq != uint64(i+1) {
								t.Fatalf("received %d", got)
							}
						}
						// A batch is the caller's, also behind Close.
						if how == "Subscriber.Close" && r.name != "RecvBatch" && len(got) != 5 {
							t.Errorf("received %d messages, and has closed at the fifth", len(got))
						}
						if st := rx.Stats(); how == "Subscriber.Close" && st.Received != uint64(len(got)) {
							t.Errorf("received %d, and Stats %+v", len(got), st)
						}
						h.Close()
						wg.Wait()
					})
				})
			}
		}
	}
}

// What RecvBatch has returned stays as it is also when the subscriber closes
// then, and others go on with the channel's memory.
func TestARecvBatchStaysAsItIsBehindClose(t *testing.T) {
	for how, closeIt := range map[string]func(rx *hub.Subscriber){
		"closed":         func(rx *hub.Subscriber) { rx.Close() },
		"closed from C":  func(rx *hub.Subscriber) { rx.C(); rx.Close() },
		"not closed":     func(*hub.Subscriber) {},
		"with filters":   func(rx *hub.Subscriber) { rx.SetFilters(only(0x7FF)) },
		"Stats and Send": func(rx *hub.Subscriber) { rx.Stats(); rx.Send(context.Background(), hub.Std(2)) },
	} {
		t.Run(how, func(t *testing.T) {
			inTime(t, "the traffic", func() {
				h := hub.New(nil)
				defer h.Close()
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				other := openOn(t, h, "can0", &hub.SubscriberOptions{Policy: hub.DropOldest, Queue: 10})
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 3000})
				transmitBatch(t, tx, numbered(1, 200))
				memorySettle(t, tx)
				msgs, err := rx.RecvBatch(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				before := slices.Clone(msgs)
				closeIt(rx)
				for range 2000 / 10 {
					memorySend(t, tx, 10)
					memorySettle(t, tx)
					for range 5 {
						other.Recv(doneCtx())
					}
				}
				if diff := cmp.Diff(before, msgs); diff != "" {
					t.Errorf("the batch has changed:\n%s", diff)
				}
			})
		})
	}
}

// A second caller of Close returns when the first has done all, not before: the
// channel has ended and is not listed, tasks have ended, C is closed.
func TestASecondCloseWaitsForTheFirst(t *testing.T) {
	for how, closeIt := range closers {
		for _, what := range []string{"a log handler", "a reader of C"} {
			if how == "Subscriber.Close" && what == "a reader of C" {
				continue // that waits for no reader
			}
			t.Run(how+" while the channel waits for "+what, func(t *testing.T) {
				noSpin(t)
				synctest.Test(t, func(t *testing.T) {
					const takes = 50 * time.Millisecond
					called := make(chan struct{}, 10)
					h := hub.New(&hub.Options{Logger: slog.New(stuckHandler{slog.DiscardHandler, func() {
						called <- struct{}{}
						time.Sleep(2*time.Second + takes)
					}})})
					tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
					reading := make(chan struct{})
					if what == "a log handler" {
						close(reading)
						sendIDs(t, tx, 1, 2)
						<-called
						tx.Close()
						time.Sleep(2 * time.Second) // the handler returns in takes
					} else {
						out := slow.C()
						sendIDs(t, tx, 1, 2)
						synctest.Wait()
						go func() { // takes one after each time.
							defer close(reading)
							for {
								time.Sleep(takes / 2)
								if _, ok := <-out; !ok {
									return
								}
							}
						}()
					}
					start := time.Now()
					var wg sync.WaitGroup
					for i := range 4 {
						wg.Go(func() {
							if i > 0 {
								time.Sleep(time.Duration(i) * time.Millisecond) // behind the first
							}
							closeIt(h, slow)
							if d := time.Since(start); d < takes/2 {
								t.Errorf("call %d of Close has returned after %v", i, d)
							}
							if infos := h.Channels(); len(infos) != 0 {
								t.Errorf("call %d of Close has returned, and in use is %+v", i, infos)
							}
						})
					}
					wg.Wait()
					<-reading
					h.Close()
				})
			})
		}
	}
}

// The last to leave a channel ends it. Its Close returns when that is done: the
// name is free for another channel, that starts with number 1.
func TestWhenTheLastHasClosedTheChannelIsNew(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(n, " subscribers"), func(t *testing.T) {
			inTime(t, "opening and closing", func() {
				h := hub.New(nil)
				defer h.Close()
				for range 200 {
					var subs []*hub.Subscriber
					for range n {
						subs = append(subs, openOn(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true}))
					}
					memorySend(t, subs[0], 3)
					for _, s := range subs {
						if m := recvNext(t, s); m.Seq != 1 {
							t.Fatalf("the first message of a new channel has number %d", m.Seq)
						}
					}
					var wg sync.WaitGroup
					for _, s := range subs {
						wg.Go(func() { s.Close() })
						wg.Go(func() { s.Close() }) // and twice
					}
					wg.Wait()
					if infos := h.Channels(); len(infos) != 0 {
						t.Fatalf("Channels() = %+v, want none", infos)
					}
				}
			})
		})
	}
}

// Stats balance when all is over: what was sent is received, dropped, or was
// still queued when the subscriber closed.
func TestStatsBalanceAfterClose(t *testing.T) {
	for how, closeIt := range closers {
		for _, c := range []bool{false, true} {
			for _, o := range []hub.SubscriberOptions{
				{Queue: 4}, {Queue: 100}, {Queue: 100, Filters: []hub.Filter{{}}},
				{Queue: 4, Policy: hub.DropOldest}, {Queue: 4, Policy: hub.DropNewest},
			} {
				t.Run(fmt.Sprintf("%s/C %v/queue %d, %v, filters %v", how, c, o.Queue, o.Policy, o.Filters), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						rx := openOn(t, h, "can0", &o)
						if c {
							rx.C()
						}
						for range 30 {
							sendIDs(t, tx, 1)
							synctest.Wait()
							if o.Policy == hub.Block && rx.Stats().Queued == o.Queue {
								break
							}
						}
						received := uint64(0)
						for range 3 {
							recvNext(t, rx)
							received++
						}
						synctest.Wait()
						dropped := rx.Stats().Dropped
						closeIt(h, rx)
						if how == "Hub.Close" {
							got, err := pollAll(rx)
							if received += uint64(len(got)); err != hub.ErrClosed {
								t.Errorf("the rest ended with %v", err)
							}
						}
						sent := tx.Stats().Sent
						st := rx.Stats()
						if st.Received != received || st.Dropped != dropped {
							t.Errorf("Stats %+v, want %d received and %d dropped", st, received, dropped)
						}
						if how == "Hub.Close" && (st.Queued != 0 || st.Received+st.Dropped != sent) {
							t.Errorf("Stats %+v, and %d were sent", st, sent)
						}
						rx.Close()
						for m := range rx.C() {
							t.Errorf("%v came out of C after Close", m)
						}
						if again := rx.Stats(); again.Received != received || again.Dropped != dropped {
							t.Errorf("Stats %+v after another Close, and before %+v", again, st)
						}
					})
				})
			}
		}
	}
}
