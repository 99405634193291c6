package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// closers are the ways to close the node that a test is about.
var closers = map[string]func(h *hub.Hub, s *hub.Subscriber){
	"Subscriber.Close": func(_ *hub.Hub, s *hub.Subscriber) { s.Close() },
	"Hub.Close":        func(h *hub.Hub, _ *hub.Subscriber) { h.Close() },
}

// closesIn runs what closes and checks that it takes no more than want of the
// bubble's time.
func closesIn(t *testing.T, want time.Duration, closeIt func()) {
	t.Helper()
	start := time.Now()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		closeIt()
	}()
	select {
	case <-ended:
	case <-time.After(time.Hour):
		t.Fatal("Close does not return")
	}
	if d := time.Since(start); d > want {
		t.Errorf("Close took %v, want %v at most", d, want)
	}
}

// jam makes a channel that waits for room in the queue of slow, with a full
// inbox. Messages 1, 2 and 3 are accepted, and none was received.
func jam(t *testing.T, h *hub.Hub, channel string, slow *hub.SubscriberOptions) (tx, stuck *hub.Subscriber) {
	t.Helper()
	createOn(t, h, channel, 1)
	tx = openOn(t, h, channel, deaf())
	o := hub.SubscriberOptions{}
	if slow != nil {
		o = *slow
	}
	o.Queue = 1
	stuck = openOn(t, h, channel, &o)
	for id := range uint32(3) {
		sendIDs(t, tx, id+1)
		synctest.Wait()
	}
	return tx, stuck
}

// 4. Close always works.

func TestCloseWorksWhileTheChannelIsBlockedOnTheCloser(t *testing.T) {
	for name, closeIt := range closers {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx, slow := jam(t, h, "can0", nil)
				rx := openOn(t, h, "other", nil)
				closesIn(t, 0, func() { closeIt(h, slow) })
				if name == "Hub.Close" {
					wantRest(t, slow, "1:1 2:2 3:3")
					wantRest(t, rx, "")
					return
				}
				wantRest(t, slow, "")
				sendIDs(t, tx, 4, 5, 6, 7) // the channel goes on
			})
		})
	}
}

func TestCloseOfOneWorksWhileTheChannelIsBlockedOnAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx, slow := jam(t, h, "can0", nil)
		other := openOn(t, h, "can0", nil)
		closesIn(t, 0, func() { other.Close() })
		closesIn(t, 0, func() { tx.Close() }) // what it has sent still arrives
		var got []hub.Message
		for range 3 {
			got = append(got, recvNext(t, slow))
		}
		if frames(got) != "1:1 2:2 3:3" {
			t.Errorf("received %q, want all three", frames(got))
		}
		closesIn(t, 0, func() { slow.Close() })
		if infos := h.Channels(); len(infos) != 1 || infos[0].Subscribers != 0 {
			t.Errorf("Channels() = %+v, want one without subscribers", infos)
		}
	})
}

// Each blocked call is ended with ErrClosed, by the closing of its subscriber
// or of the hub.
func TestCloseUnblocksEveryCall(t *testing.T) {
	noSpin(t)
	type call func(ctx context.Context, tx, rx *hub.Subscriber) error
	calls := map[string]call{
		"Send": func(ctx context.Context, tx, _ *hub.Subscriber) error { return tx.Send(ctx, hub.Std(9)) },
		"SendBatch": func(ctx context.Context, tx, _ *hub.Subscriber) error {
			return tx.SendBatch(ctx, []hub.Message{hub.Std(9), hub.Std(9)})
		},
		"SendWait": func(ctx context.Context, tx, _ *hub.Subscriber) error { return tx.SendWait(ctx, hub.Std(9)) },
		"Recv": func(ctx context.Context, _, rx *hub.Subscriber) error {
			_, err := rx.Recv(ctx)
			return err
		},
		"RecvBatch": func(ctx context.Context, _, rx *hub.Subscriber) error {
			_, err := rx.RecvBatch(ctx)
			return err
		},
		"All": func(ctx context.Context, _, rx *hub.Subscriber) error {
			for m := range rx.All(ctx) {
				return fmt.Errorf("All gave %v", m)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			return hub.ErrClosed
		},
		"C": func(_ context.Context, _, rx *hub.Subscriber) error {
			if m, ok := <-rx.C(); ok {
				return fmt.Errorf("C gave %v", m)
			}
			return hub.ErrClosed
		},
		"Recv after C": func(ctx context.Context, _, rx *hub.Subscriber) error {
			rx.C()
			_, err := rx.Recv(ctx)
			return err
		},
		"RecvBatch after C": func(ctx context.Context, _, rx *hub.Subscriber) error {
			rx.C()
			_, err := rx.RecvBatch(ctx)
			return err
		},
		"SendPeriodic": func(_ context.Context, tx, _ *hub.Subscriber) error {
			task, err := tx.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(9)}, Period: time.Millisecond})
			if err != nil {
				return err
			}
			<-task.Done()
			return task.Err()
		},
		"a paused task": func(_ context.Context, _, rx *hub.Subscriber) error {
			task, err := rx.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(9)}, Period: time.Hour})
			if err != nil {
				return err
			}
			task.Pause()
			<-task.Done()
			return task.Err()
		},
	}
	for what, call := range calls {
		for how, closeIt := range closers {
			t.Run(what+"/"+how, func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *hub.Hub) {
					ctx := soon(t)
					tx, slow := jam(t, h, "can0", nil)
					rx := openOn(t, h, "other", nil)
					ended := make(chan error, 1)
					go func() { ended <- call(ctx, tx, rx) }()
					synctest.Wait()
					select {
					case err := <-ended:
						t.Fatalf("%s does not block: %v", what, err)
					default:
					}
					closesIn(t, 0, func() {
						closeIt(h, rx)
						closeIt(h, tx)
					})
					err := <-ended
					accepted := err == nil && how == "Hub.Close" && slices.Contains([]string{"Send", "SendBatch", "SendWait"}, what)
					if err != hub.ErrClosed && !accepted {
						t.Errorf("%s ended with %v, want ErrClosed", what, err)
					}
					if how != "Hub.Close" {
						h.Close()
					}
					got, err := pollAll(slow)
					if err != hub.ErrClosed || len(got) < 3 || frames(got[:3]) != "1:1 2:2 3:3" {
						t.Errorf("slow received %q, %v, want all that was accepted, then ErrClosed", frames(got), err)
					}
					if accepted && what == "Send" && len(got) != 4 {
						t.Errorf("slow received %q without the message that was accepted last", frames(got))
					}
				})
			})
		}
	}
}

func TestEveryCallAfterCloseReturnsErrClosed(t *testing.T) {
	for how, closeIt := range closers {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				s := openOn(t, h, "can0", nil)
				task, err := s.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(9)}, Period: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				closeIt(h, s)
				ctx := soon(t)
				_, recv := s.Recv(ctx)
				_, batch := s.RecvBatch(ctx)
				_, periodic := s.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(9)}, Period: time.Hour})
				for name, err := range map[string]error{
					"Send":         s.Send(ctx, hub.Std(1)),
					"SendBatch":    s.SendBatch(ctx, []hub.Message{hub.Std(1)}),
					"SendWait":     s.SendWait(ctx, hub.Std(1)),
					"Recv":         recv,
					"RecvBatch":    batch,
					"SendPeriodic": periodic,
					"Update":       task.Update(hub.Std(9)),
					"Err":          task.Err(),
				} {
					if err != hub.ErrClosed {
						t.Errorf("%s: %v, want ErrClosed", name, err)
					}
				}
				s.SetFilters(hub.Filter{ID: 1, Mask: 1})
				task.Stop()
				task.Pause()
				task.Resume()
				if got := slices.Collect(s.All(ctx)); len(got) > 0 {
					t.Errorf("All gave %q", frames(got))
				}
				if m, ok := <-s.C(); ok {
					t.Errorf("C gave %v", m)
				}
				s.Stats()
				if s.Name() != "can0/1" || s.Channel() != "can0" {
					t.Errorf("%s on %s, want can0/1 on can0", s.Name(), s.Channel())
				}
				if how == "Hub.Close" {
					if _, err := h.Open("can0", nil); err != hub.ErrClosed {
						t.Errorf("Open: %v, want ErrClosed", err)
					}
					if err := h.Create("can1", nil); err != hub.ErrClosed {
						t.Errorf("Create: %v, want ErrClosed", err)
					}
				}
			})
		})
	}
}

func TestCloseIsIdempotentAndConcurrent(t *testing.T) {
	for how, closeIt := range closers {
		t.Run(how, func(t *testing.T) {
			bothWays(t, func(t *testing.T, h *hub.Hub) {
				for n := range 50 {
					if how == "Hub.Close" {
						h = hub.New(nil)
					}
					name := fmt.Sprintf("can%d", n)
					s, rx := openOn(t, h, name, nil), openOn(t, h, name, &hub.SubscriberOptions{Queue: 1})
					rx.C()
					if _, err := s.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(1)}, Period: time.Millisecond}); err != nil {
						t.Fatal(err)
					}
					go func() {
						for range rx.C() {
						}
					}()
					var wg sync.WaitGroup
					for range 8 {
						wg.Go(func() { closeIt(h, s) })
						wg.Go(func() { closeIt(h, rx) })
					}
					wg.Wait()
					closeIt(h, s)
					closeIt(h, rx)
				}
			})
		})
	}
}

func TestSubscriberCloseAndHubCloseAtTheSameTime(t *testing.T) {
	for n := range 300 {
		h := hub.New(nil)
		tx := openOn(t, h, "can0", deaf())
		subs := []*hub.Subscriber{tx}
		for i := range 4 {
			s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 + i})
			if i == n%4 {
				s.C()
				go func() {
					for range s.C() {
					}
				}()
			}
			subs = append(subs, s)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for tx.Send(context.Background(), hub.Std(1)) == nil {
			}
		})
		for _, s := range subs {
			wg.Go(func() { s.Close() })
		}
		wg.Go(func() { h.Close() })
		wg.Wait()
	}
}

func TestCloseReturnsWhenTheLastGoroutineHasEnded(t *testing.T) {
	for how, closeIt := range closers {
		t.Run(how, func(t *testing.T) {
			for range 100 {
				h := hub.New(nil)
				s, other := openOn(t, h, "can0", nil), openOn(t, h, "can0", deaf())
				var tasks []*hub.Task
				for range 5 {
					task, err := s.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(1)}, Period: 10 * time.Microsecond})
					if err != nil {
						t.Fatal(err)
					}
					tasks = append(tasks, task)
				}
				out := s.C()
				sendIDs(t, other, 1)
				select {
				case <-out:
				case <-time.After(patience):
					t.Error("nothing came out of C")
				}
				closeIt(h, s)
				for _, task := range tasks {
					select {
					case <-task.Done():
					default:
						t.Error("a periodic task runs on after Close")
					}
				}
				select {
				case m, ok := <-out:
					if ok {
						t.Errorf("C gave %v", m)
					}
				default:
					t.Error("C is not closed after Close")
				}
				h.Close()
			}
		})
	}
}

// stuckHandler is a log handler that calls f for each record.
type stuckHandler struct {
	slog.Handler
	f func()
}

func (s stuckHandler) Enabled(context.Context, slog.Level) bool { return true }

func (s stuckHandler) Handle(context.Context, slog.Record) error {
	s.f()
	return nil
}

func TestHubCloseWaitsForAChannelThatIsJustEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var called atomic.Bool
		h := hub.New(&hub.Options{Logger: slog.New(stuckHandler{slog.DiscardHandler, func() {
			called.Store(true)
			<-release
		}})})
		tx := openOn(t, h, "can0", deaf())
		slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		sendIDs(t, tx, 1, 2)
		time.Sleep(2 * time.Second)
		if !called.Load() {
			t.Error("the stall was not logged")
		}
		slow.Close()
		last := make(chan struct{})
		go func() {
			defer close(last)
			tx.Close() // the channel's end waits for the log
		}()
		synctest.Wait()
		hubClosed := make(chan struct{})
		go func() {
			defer close(hubClosed)
			h.Close()
		}()
		synctest.Wait()
		// Only the log handler may keep the two, and it must keep both or none.
		ended := func(c chan struct{}) bool {
			select {
			case <-c:
				return true
			default:
				return false
			}
		}
		if ended(hubClosed) && !ended(last) {
			t.Error("the hub's Close returned while a channel had not ended")
		}
		close(release)
		<-last
		<-hubClosed
	})
}

// A log handler may close whom it was told about.
func TestCloseFromInsideALogHandler(t *testing.T) {
	for how, closeIt := range closers {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h *hub.Hub
				var tx, slow *hub.Subscriber
				handled := make(chan struct{})
				h = hub.New(&hub.Options{Logger: slog.New(stuckHandler{slog.DiscardHandler, func() {
					defer close(handled)
					closed := make(chan struct{})
					go func() { // so that the test ends if Close does not
						defer close(closed)
						closeIt(h, slow)
						closeIt(h, tx)
					}()
					select {
					case <-closed:
					case <-time.After(time.Minute):
						t.Error("Close in a log handler does not return")
					}
				}})})
				defer h.Close()
				tx = openOn(t, h, "can0", deaf())
				slow = openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
				sendIDs(t, tx, 1, 2)
				<-handled
			})
		})
	}
}

func TestCloseFromInsideModify(t *testing.T) {
	for how, closeIt := range closers {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				s, rx := openOn(t, h, "can0", nil), openOn(t, h, "can0", nil)
				n := 0
				task, err := s.SendPeriodic(&hub.Periodic{
					Messages: []hub.Message{hub.Std(1, 0)},
					Period:   time.Second,
					Modify: func(m *hub.Message) {
						if n++; n == 3 {
							closeIt(h, s)
						}
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				select {
				case <-task.Done():
				case <-time.After(time.Minute):
					t.Fatal("the task does not end")
				}
				if err := task.Err(); err != hub.ErrClosed {
					t.Errorf("Err() = %v, want ErrClosed", err)
				}
				got, _ := pollAll(rx)
				if frames(got) != "1:1 2:1" {
					t.Errorf("received %q, want the two before Close", frames(got))
				}
			})
		})
	}
}

func TestCloseFromInsideAReceiveLoop(t *testing.T) {
	for how, closeIt := range closers {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				_, slow := jam(t, h, "can0", nil)
				ctx := soon(t)
				var got []hub.Message
				for m := range slow.All(ctx) {
					if got = append(got, m); len(got) == 1 {
						closeIt(h, slow)
					}
				}
				want := "1:1"
				if how == "Hub.Close" {
					want = "1:1 2:2 3:3"
				}
				if frames(got) != want || ctx.Err() != nil {
					t.Errorf("received %q, %v, want %q", frames(got), ctx.Err(), want)
				}
			})
		})
	}
}

// Messages that were accepted.

// Every Send that returned nil is received exactly once by every other
// subscriber, whatever the moment at which the hub closes.
func TestWhatWasAcceptedBeforeHubCloseIsReadableByEverybody(t *testing.T) {
	const rounds, senders, receivers = 150, 6, 5
	for round := range rounds {
		h := hub.New(nil)
		createOn(t, h, "can0", 1+round%16)
		accepted := make([]int, senders) // by sender, numbered from 0
		got := make([][]hub.Message, receivers)
		var sending, receiving sync.WaitGroup
		var progress atomic.Int64
		closed := make(chan struct{})
		for i := range receivers {
			s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 + 3*i})
			live := i%2 == 0 // the others receive only after the end
			receive := func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				way := collectors[(i/2+round)%len(collectors)]
				got[i], _ = way.collect(ctx, s, 1<<30)
				if ctx.Err() != nil {
					t.Errorf("round %d: receiver %d, %s, does not end", round, i, way.name)
				}
			}
			if live {
				receiving.Go(receive)
			} else {
				receiving.Go(func() { <-closed; receive() })
			}
		}
		for k := range senders {
			s := openOn(t, h, "can0", deaf())
			sending.Go(func() {
				for n := 0; ; {
					var err error
					sent := 1
					if k%3 == 2 {
						batch := make([]hub.Message, 1+n%40)
						for i := range batch {
							batch[i] = msgOf(k, n+i)
						}
						sent = len(batch)
						err = s.SendBatch(context.Background(), batch)
					} else {
						err = s.Send(context.Background(), msgOf(k, n))
					}
					if err == hub.ErrClosed {
						return
					}
					if err != nil {
						t.Errorf("round %d: sender %d: %v", round, k, err)
						return
					}
					n += sent
					accepted[k] = n
					progress.Add(1)
				}
			})
		}
		for spins := 0; progress.Load() < int64(round%7) && spins < 100000; spins++ {
		}
		h.Close()
		close(closed)
		sending.Wait()
		receiving.Wait()
		total := 0
		for _, n := range accepted {
			total += n
		}
		for i := range got {
			next := make([]int, senders)
			for j, m := range got[i] {
				k, n := numberOf(m)
				if m.Seq != uint64(j+1) || n != next[k] {
					t.Fatalf("round %d: receiver %d: message %d is number %d of sender %d with Seq %d, want number %d", round, i, j+1, n, k, m.Seq, next[k])
				}
				next[k]++
			}
			if len(got[i]) != total {
				t.Fatalf("round %d: receiver %d received %d messages, %d were accepted (%v, received %v)", round, i, len(got[i]), total, accepted, next)
			}
		}
	}
}

func TestWhatWasAcceptedIsReadableBeyondAFullQueue(t *testing.T) {
	for _, way := range collectors {
		t.Run(way.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx := openOn(t, h, "can0", deaf())
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2})
				accepted := 0
				var wg sync.WaitGroup
				wg.Go(func() {
					for tx.Send(soon(t), hub.Std(uint32(accepted))) == nil {
						accepted++
					}
				})
				synctest.Wait()
				h.Close()
				wg.Wait()
				if accepted < 64 {
					t.Fatalf("%d accepted, want an inbox full", accepted)
				}
				got, _ := way.collect(soon(t), rx, accepted+1)
				if len(got) != accepted {
					t.Fatalf("received %d messages, %d were accepted", len(got), accepted)
				}
				for i, m := range got {
					if m.ID != uint32(i) || m.Seq != uint64(i+1) {
						t.Fatalf("message %d is %d:%v", i, m.Seq, m)
					}
				}
				if st := rx.Stats(); st.Received != uint64(accepted) || st.Queued != 0 || st.Dropped != 0 {
					t.Errorf("Stats %+v, want %d received", st, accepted)
				}
			})
		})
	}
}

// A subscriber's own Close takes nothing away from the others either.
func TestWhatWasAcceptedBeforeTheSenderClosedIsDelivered(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 4})
	for round := range 300 {
		tx := openOn(t, h, "can0", deaf())
		accepted := make(chan int, 1)
		go func() {
			n := 0
			for tx.Send(context.Background(), msgOf(round, n)) == nil {
				n++
			}
			accepted <- n
		}()
		next := 0
		receive := func(until int) {
			for next < until {
				if k, n := numberOf(recvNext(t, rx)); k != round || n != next {
					t.Fatalf("received number %d of round %d, want %d of %d", n, k, next, round)
				}
				next++
			}
		}
		receive(round % 10)
		tx.Close()
		receive(<-accepted)
	}
}

func TestASubscriberThatLeavesCostsNobodyElseAMessage(t *testing.T) {
	noSpin(t)
	const total, stayers, leavers = 4000, 3, 4
	h := hub.New(nil)
	defer h.Close()
	ctx := soon(t)
	var wg, leaving sync.WaitGroup
	stop := make(chan struct{})
	for i := range stayers {
		s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 + 7*i})
		wg.Go(func() {
			got, err := collectors[i%len(collectors)].collect(ctx, s, total)
			if err != nil {
				t.Errorf("stayer %d: %v", i, err)
			}
			for j, m := range got {
				if m.Seq != uint64(j+1) {
					t.Errorf("stayer %d: message %d has Seq %d", i, j+1, m.Seq)
					return
				}
			}
		})
	}
	for i := range leavers {
		leaving.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				s, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1, Policy: hub.Policy(n % 3)})
				if err == hub.ErrClosed {
					return // the test is over
				}
				if err != nil {
					t.Error(err)
					return
				}
				if i%2 == 0 { // or else it leaves with a full queue
					s.Recv(ctx)
				}
				s.Close()
				runtime.Gosched() // or one processor alone would be theirs
			}
		})
	}
	for k := range 2 {
		s := openOn(t, h, "can0", deaf())
		wg.Go(func() {
			for n := range total / 2 {
				if err := s.Send(ctx, msgOf(k, n)); err != nil {
					t.Errorf("sender %d: %v", k, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	h.Close() // a leaver may wait for a message that never comes
	leaving.Wait()
}

func TestTenThousandOpensAndClosesWhileOthersSend(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	ctx := soon(t)
	var sending, opening sync.WaitGroup
	stop := make(chan struct{})
	watch := openOn(t, h, "can0", nil)
	for range 2 {
		s := openOn(t, h, "can0", deaf())
		sending.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := s.Send(ctx, hub.Std(1)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	sending.Go(func() {
		defer watch.Close() // or the channel would wait for it
		last := uint64(0)
		for m := range watch.All(ctx) {
			if last++; m.Seq != last {
				t.Errorf("Seq %d, want %d", m.Seq, last)
				return
			}
		}
	})
	for k := range 4 {
		opening.Go(func() {
			for n := range 2500 {
				name := "can0"
				if n%4 == 0 {
					name = fmt.Sprintf("own%d", k)
				}
				s, err := h.Open(name, &hub.SubscriberOptions{Queue: 1 + n%3})
				if err != nil {
					t.Error(err)
					return
				}
				switch n % 16 {
				case 1:
					s.C()
				case 2:
					s.SetFilters(hub.Filter{ID: 2, Mask: 2})
				case 3:
					s.Recv(ctx)
				case 5:
					s.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(1)}, Period: time.Hour})
				}
				s.Close()
			}
		})
	}
	opening.Wait()
	if infos := h.Channels(); len(infos) != 1 || infos[0].Subscribers != 3 {
		t.Errorf("Channels() = %+v, want can0 with 3 subscribers", infos)
	}
	close(stop)
	watch.Close()
	sending.Wait()
}

// Close at any moment of a call, in real parallelism.
func TestCloseAtAnyMomentEndsTheReceiver(t *testing.T) {
	for _, way := range collectors {
		for _, policy := range []hub.Policy{hub.Block, hub.DropOldest, hub.DropNewest} {
			for how, closeIt := range closers {
				t.Run(fmt.Sprintf("%s/%v/%s", way.name, policy, how), func(t *testing.T) {
					for round := range 20 {
						h := hub.New(nil)
						tx := openOn(t, h, "can0", deaf())
						rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 + round%5*20, Policy: policy})
						var sent atomic.Int64
						sending := make(chan struct{})
						go func() {
							defer close(sending)
							batch := make([]hub.Message, 30)
							for tx.SendBatch(context.Background(), batch) == nil {
								sent.Add(1)
								runtime.Gosched() // or one processor alone would be its
							}
						}()
						ended := make(chan error, 1)
						go func() {
							_, err := way.collect(context.Background(), rx, 1<<30)
							ended <- err
						}()
						for k := 0; sent.Load() < int64(1+round%8) && k < 20; k++ {
							runtime.Gosched()
						}
						closeIt(h, rx)
						select {
						case err := <-ended:
							if err != hub.ErrClosed && way.name != "All" {
								t.Errorf("round %d: ended with %v, want ErrClosed", round, err)
							}
						case <-time.After(patience / 3):
							t.Fatalf("round %d: does not end", round)
						}
						h.Close()
						<-sending
					}
				})
			}
		}
	}
}

// DropOldest hands over single messages, which RecvBatch puts together.
func TestCloseInTheMiddleOfARecvBatchOfSingleMessages(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	tx := openOn(t, h, "can0", deaf())
	batch := make([]hub.Message, 64)
	for round := range 2000 {
		rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 64, Policy: hub.DropOldest})
		if err := tx.SendBatch(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		started := make(chan struct{})
		go func() {
			var err error
			for n := 0; err == nil; n++ {
				if n == round%2 {
					close(started)
				}
				_, err = rx.RecvBatch(context.Background())
				if round%2 == 1 && n == 0 {
					tx.SendBatch(context.Background(), batch)
				}
			}
			ended <- err
		}()
		<-started
		for range round % 17 {
			runtime.Gosched()
		}
		rx.Close()
		select {
		case err := <-ended:
			if err != hub.ErrClosed {
				t.Errorf("RecvBatch: %v, want ErrClosed", err)
			}
		case <-time.After(patience / 3):
			t.Fatalf("round %d: RecvBatch does not end after Close", round)
		}
	}
}

func TestCloseDuringSetFilters(t *testing.T) {
	for how, closeIt := range closers {
		t.Run(how, func(t *testing.T) {
			for round := range 100 {
				h := hub.New(nil)
				tx := openOn(t, h, "can0", deaf())
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 4})
				var wg sync.WaitGroup
				wg.Go(func() {
					for tx.Send(context.Background(), hub.Std(1)) == nil {
						runtime.Gosched() // or one processor alone would be its
					}
				})
				if round%2 == 0 {
					rx.C()
				}
				wg.Go(func() {
					for {
						select {
						case _, ok := <-rx.C():
							if !ok {
								return
							}
						case <-time.After(patience):
							t.Error("C is not closed")
							return
						}
					}
				})
				setting := make(chan struct{})
				wg.Go(func() {
					for i := range uint32(30) {
						rx.SetFilters(hub.Filter{ID: i % 2, Mask: 1})
						if i == 5 {
							close(setting)
						}
					}
				})
				<-setting
				closeIt(h, rx)
				h.Close()
				wg.Wait()
			}
		})
	}
}

// C and Close.

func TestWithALiveReaderOfCAllQueuedMessagesArriveWhenTheHubCloses(t *testing.T) {
	for _, queue := range []int{1, 3, 8, 256} {
		for _, inBetween := range []time.Duration{0, 20 * time.Millisecond} {
			t.Run(fmt.Sprintf("queue %d, a message every %v", queue, inBetween), func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *hub.Hub) {
					const total = 40
					tx := openOn(t, h, "can0", deaf())
					rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
					out := rx.C()
					for n := range uint32(total) {
						sendIDs(t, tx, n)
					}
					var got []hub.Message
					reading := make(chan struct{})
					go func() {
						defer close(reading)
						for m := range out {
							got = append(got, m)
							time.Sleep(inBetween)
						}
					}()
					h.Close()
					<-reading
					if len(got) != total {
						t.Fatalf("received %d messages, want %d", len(got), total)
					}
					for i, m := range got {
						if m.ID != uint32(i) {
							t.Fatalf("message %d is %v", i, m)
						}
					}
				})
			})
		}
	}
}

func TestWithAnAbandonedCHubCloseTakesASecondAndRecvGetsTheRest(t *testing.T) {
	for _, queue := range []int{1, 3, 8, 256} {
		for _, after := range []string{"Recv", "RecvBatch", "C, then Recv"} {
			t.Run(fmt.Sprintf("queue %d/%s", queue, after), func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *hub.Hub) {
					const total = 40
					tx := openOn(t, h, "can0", deaf())
					var subs []*hub.Subscriber
					for range 3 { // together they cost no more than one
						rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
						rx.C()
						subs = append(subs, rx)
					}
					for n := range uint32(total) {
						sendIDs(t, tx, n)
					}
					synctest.Wait()
					closesIn(t, time.Second, func() { h.Close() })
					for _, rx := range subs {
						var got []hub.Message
						var err error
						switch after {
						case "C, then Recv":
							for m := range rx.C() {
								got = append(got, m)
							}
							fallthrough
						case "Recv":
							var rest []hub.Message
							rest, err = pollAll(rx)
							got = append(got, rest...)
						case "RecvBatch":
							for err == nil {
								var batch []hub.Message
								batch, err = rx.RecvBatch(doneCtx())
								got = append(got, batch...)
							}
						}
						if err != hub.ErrClosed || len(got) != total {
							t.Fatalf("received %d messages, then %v, want %d, then ErrClosed", len(got), err, total)
						}
						for i, m := range got {
							if m.ID != uint32(i) || m.Seq != uint64(i+1) {
								t.Fatalf("message %d is %d:%v", i, m.Seq, m)
							}
						}
						if st := rx.Stats(); st.Received != total || st.Queued != 0 {
							t.Errorf("Stats %+v, want %d received and none queued", st, total)
						}
					}
				})
			})
		}
	}
}

// What a slow reader of C does not get from the chan, Recv gets.
func TestWithASlowReaderOfCNothingIsLostWhenTheHubCloses(t *testing.T) {
	for _, queue := range []int{1, 3, 8, 256} {
		t.Run(fmt.Sprintf("queue %d", queue), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				const total = 40
				tx := openOn(t, h, "can0", deaf())
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
				out := rx.C()
				for n := range uint32(total) {
					sendIDs(t, tx, n)
				}
				var got []hub.Message
				reading := make(chan struct{})
				go func() {
					defer close(reading)
					for m := range out {
						got = append(got, m)
						time.Sleep(300 * time.Millisecond)
					}
				}()
				closesIn(t, total*time.Second, func() { h.Close() })
				<-reading
				rest, err := pollAll(rx)
				if got = append(got, rest...); err != hub.ErrClosed || len(got) != total {
					t.Fatalf("received %d messages, then %v, want %d, then ErrClosed", len(got), err, total)
				}
				for i, m := range got {
					if m.ID != uint32(i) {
						t.Fatalf("message %d is %v", i, m)
					}
				}
			})
		})
	}
}

func TestWithAnAbandonedCTheSubscribersCloseTakesNoTime(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", deaf())
		rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 8})
		rx.C()
		for n := range uint32(40) {
			sendIDs(t, tx, n)
		}
		synctest.Wait()
		closesIn(t, 0, func() { rx.Close() })
		if _, err := rx.Recv(soon(t)); err != hub.ErrClosed {
			t.Errorf("Recv: %v, want ErrClosed", err)
		}
	})
}

func TestCAfterCloseIsClosed(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", deaf())
		closed, left := openOn(t, h, "can0", nil), openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2})
		sendIDs(t, tx, 1, 2, 3, 4)
		synctest.Wait()
		closed.Close()
		if m, ok := <-closed.C(); ok {
			t.Errorf("C after the subscriber's Close gave %v", m)
		}
		recvNext(t, left)
		h.Close()
		var got []hub.Message
		for m := range left.C() {
			got = append(got, m)
		}
		if frames(got) != "2:2 3:3 4:4" {
			t.Errorf("C after the hub's Close gave %q, want the rest", frames(got))
		}
		if _, err := left.Recv(soon(t)); err != hub.ErrClosed {
			t.Errorf("Recv: %v, want ErrClosed", err)
		}
	})
}

// 5. Sending from a receive loop is safe.

func TestACircleOfBlockEndsInErrStalledAfterASecond(t *testing.T) {
	sends := map[string]func(ctx context.Context, s *hub.Subscriber) error{
		"Send":      func(ctx context.Context, s *hub.Subscriber) error { return s.Send(ctx, hub.Std(9)) },
		"SendBatch": func(ctx context.Context, s *hub.Subscriber) error { return s.SendBatch(ctx, []hub.Message{hub.Std(9)}) },
		"SendWait":  func(ctx context.Context, s *hub.Subscriber) error { return s.SendWait(ctx, hub.Std(9)) },
	}
	for name, send := range sends {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				start := time.Now()
				tx, loop := jam(t, h, "can0", nil) // the channel waits from now on
				if err := send(soon(t), loop); err != hub.ErrStalled {
					t.Errorf("%s: %v, want ErrStalled", name, err)
				}
				if d := time.Since(start); d != time.Second {
					t.Errorf("%s took %v, want exactly 1s", name, d)
				}
				if sent := loop.Stats().Sent; sent != 0 {
					t.Errorf("Sent %d, want 0", sent)
				}
				// It goes on when the loop receives.
				for id := range uint32(3) {
					if m := recvNext(t, loop); m.ID != id+1 {
						t.Errorf("received %v, want %d", m, id+1)
					}
				}
				now := time.Now()
				if err := send(soon(t), loop); err != nil {
					t.Errorf("%s when the queue is empty: %v", name, err)
				}
				sendIDs(t, tx, 4)
				if m := recvNext(t, loop); m.ID != 4 || m.Seq != 5 {
					t.Errorf("received %d:%v, want 5:004", m.Seq, m)
				}
				if d := time.Since(now); d != 0 {
					t.Errorf("took %v, want no time", d)
				}
			})
		})
	}
}

// A send that is not part of the circle waits as long as its ctx says.
func TestOnlyTheOneWhoseQueueIsFullIsStalled(t *testing.T) {
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx, slow := jam(t, h, "can0", nil)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := tx.Send(ctx, hub.Std(9)); err != context.DeadlineExceeded {
			t.Errorf("Send: %v, want context.DeadlineExceeded", err)
		}
		for range 3 {
			recvNext(t, slow)
		}
	})
}

// A loop that answers every message, against senders that are quicker than it.
func TestAReceiveLoopThatSendsGoesOn(t *testing.T) {
	for _, queue := range []int{1, 4, 256} {
		t.Run(fmt.Sprintf("queue %d", queue), func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				const total = 1000
				createOn(t, h, "can0", 1)
				loop := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
				tx := openOn(t, h, "can0", deaf())
				var wg sync.WaitGroup
				wg.Go(func() {
					for n := 0; n < total; n += 10 {
						var batch []hub.Message
						for i := range 10 {
							batch = append(batch, msgOf(1, n+i))
						}
						if err := tx.SendBatch(context.Background(), batch); err != nil {
							t.Errorf("SendBatch: %v", err)
							return
						}
					}
				})
				start := time.Now()
				answers, stalled := 0, 0
				for n := range total {
					ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
					m, err := loop.Recv(ctx)
					if err != nil {
						t.Fatalf("message %d: %v", n, err)
					}
					if m.ID == 1 {
						if _, got := numberOf(m); got != n {
							t.Fatalf("received number %d, want %d", got, n)
						}
					}
					switch err := loop.Send(ctx, hub.Std(2)); err {
					case nil:
						answers++
					case hub.ErrStalled:
						stalled++
					default:
						t.Fatalf("Send: %v", err)
					}
					cancel()
				}
				wg.Wait()
				t.Logf("%d answers, %d stalled, in %v", answers, stalled, time.Since(start))
				if st := loop.Stats(); st.Dropped != 0 || st.Sent != uint64(answers) {
					t.Errorf("Stats %+v, want %d sent and none dropped", st, answers)
				}
			})
		})
	}
}

// Each of the two answers every message with two, so the queues must fill.
func TestTwoSubscribersAnsweringEachOtherNeverHang(t *testing.T) {
	bothWays(t, func(t *testing.T, h *hub.Hub) {
		createOn(t, h, "can0", 2)
		var loops sync.WaitGroup
		var received atomic.Int64
		enough := make(chan struct{})
		limit := int64(300)
		if t.Name() == "TestTwoSubscribersAnsweringEachOtherNeverHang/parallel" {
			limit = 8 // here a stall takes a real second
		}
		subs := []*hub.Subscriber{
			openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 4}),
			openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 4}),
		}
		for _, s := range subs {
			loops.Go(func() {
				for m := range s.All(context.Background()) {
					if received.Add(1) == limit {
						close(enough)
					}
					for range 2 {
						if err := s.Send(context.Background(), hub.Std(m.ID^1)); err == hub.ErrClosed {
							return
						}
					}
				}
			})
		}
		sendIDs(t, subs[0], 1)
		select {
		case <-enough:
		case <-time.After(time.Hour):
			t.Errorf("received %d messages, then no more", received.Load())
		}
		h.Close()
		loops.Wait()
	})
}
