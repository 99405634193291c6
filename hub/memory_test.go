package hub_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/canhub-go/canhub/hub"
)

// What is over is let go: channels, subscribers, messages. These tests measure
// the heap, so they run outside of bubbles and one after the other.

// heap returns how much memory is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what has a finalizer, and what sync.Pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// wantHeap checks that no more than limit is in use beyond before. It allows
// some time for goroutines that are about to let something go.
func wantHeap(t *testing.T, what string, before, limit int64) {
	t.Helper()
	var more int64
	for range 20 {
		if more = heap() - before; more <= limit {
			return
		}
		time.Sleep(time.Millisecond) // of real time, where something is not let go yet
	}
	t.Errorf("%s: %d KiB are in use, want %d at most", what, more>>10, limit>>10)
}

// wantGone checks that none of these is in memory any more.
func wantGone(t *testing.T, what string, all []weak.Pointer[hub.Subscriber]) {
	t.Helper()
	left := 0
	for range 20 {
		runtime.GC()
		left = 0
		for _, p := range all {
			if p.Value() != nil {
				left++
			}
		}
		if left == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%s: %d of %d subscribers are still in memory", what, left, len(all))
}

func memorySend(t *testing.T, s *hub.Subscriber, n int) {
	t.Helper()
	for range n {
		if err := s.Send(context.Background(), hub.Std(1)); err != nil {
			t.Fatal(err)
		}
	}
}

func memorySendBatch(t *testing.T, s *hub.Subscriber, n int) {
	t.Helper()
	if err := s.SendBatch(context.Background(), make([]hub.Message, n)); err != nil {
		t.Fatal(err)
	}
}

func memoryRecv(t *testing.T, s *hub.Subscriber, n int) {
	t.Helper()
	for range n {
		if _, err := s.Recv(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// memorySettle returns when the channel has forwarded what s has sent.
func memorySettle(t *testing.T, s *hub.Subscriber) {
	t.Helper()
	if err := s.SendWait(context.Background(), hub.Std(0x7FE)); err != nil {
		if _, ok := err.(*hub.DeliveryError); !ok {
			t.Fatal(err)
		}
	}
}

func TestAHubKeepsNothingOfChannelsThatHaveEnded(t *testing.T) {
	inTime(t, "opening and closing channels", func() {
		h := hub.New(nil)
		defer h.Close()
		use := func(from, n int) {
			for i := range n {
				name := fmt.Sprint("can", from+i)
				a, b := openOn(t, h, name, nil), openOn(t, h, name, &hub.SubscriberOptions{Policy: hub.DropOldest})
				memorySend(t, a, 3)
				memoryRecv(t, b, 1)
				a.Close()
				b.Close()
			}
		}
		use(0, 10)
		before := heap()
		use(10, 1000)
		if infos := h.Channels(); len(infos) != 0 {
			t.Errorf("%d channels are in use, want none", len(infos))
		}
		wantHeap(t, "1000 channels that have ended", before, 300<<10)
		runtime.KeepAlive(h)
	})
}

func TestAClosedHubKeepsNothing(t *testing.T) {
	inTime(t, "closing a hub", func() {
		use := func() *hub.Hub {
			h := hub.New(nil)
			for i := range 500 {
				name := fmt.Sprint("can", i)
				if i%2 == 0 {
					createOn(t, h, name, 0)
				}
				a := openOn(t, h, name, nil)
				openOn(t, h, name, nil)
				memorySend(t, a, 3)
			}
			h.Close()
			return h
		}
		use() // from then on the runtime has what it needs for so many goroutines
		before := heap()
		h := use()
		wantHeap(t, "a hub that had 500 channels and is closed", before, 100<<10)
		runtime.KeepAlive(h)
	})
}

// A channel goes on for long, and many come and go. Whatever one did on it,
// after it has closed and others have gone on the channel does not know it.
func TestAChannelKeepsNothingOfSubscribersThatHaveClosed(t *testing.T) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, c := range []struct {
		name string
		o    *hub.SubscriberOptions
		use  func(t *testing.T, tx, s *hub.Subscriber)
	}{
		{"that did nothing", nil, func(*testing.T, *hub.Subscriber, *hub.Subscriber) {}},
		{"that has sent", nil, func(t *testing.T, _, s *hub.Subscriber) { memorySend(t, s, 5) }},
		{"that has sent a batch", nil, func(t *testing.T, _, s *hub.Subscriber) { memorySendBatch(t, s, 5) }},
		{"that has sent a large batch", nil, func(t *testing.T, _, s *hub.Subscriber) { memorySendBatch(t, s, 2000) }},
		{"that has sent in turn with another", nil, func(t *testing.T, tx, s *hub.Subscriber) {
			for range 40 {
				memorySend(t, s, 1)
				memorySend(t, tx, 1)
				memorySendBatch(t, s, 2)
			}
		}},
		{"that has sent and waited", nil, func(t *testing.T, _, s *hub.Subscriber) { memorySettle(t, s) }},
		{"that only sends", &hub.SubscriberOptions{SendOnly: true}, func(t *testing.T, _, s *hub.Subscriber) { memorySend(t, s, 5) }},
		{"that has received its own", &hub.SubscriberOptions{OwnMessages: true}, func(t *testing.T, _, s *hub.Subscriber) {
			memorySend(t, s, 5)
			memoryRecv(t, s, 5)
		}},
		{"with messages that it has not received", nil, func(t *testing.T, tx, _ *hub.Subscriber) { memorySend(t, tx, 20) }},
		{"with messages that waited for room", &hub.SubscriberOptions{Queue: 2}, func(t *testing.T, tx, s *hub.Subscriber) {
			memorySendBatch(t, tx, 20)
			memoryRecv(t, s, 2)
		}},
		{"that was late and made room", &hub.SubscriberOptions{Queue: 2}, func(t *testing.T, tx, s *hub.Subscriber) {
			for range 20 {
				memorySendBatch(t, tx, 6)
				memoryRecv(t, s, 6)
			}
		}},
		{"whose BlockFor ran out", &hub.SubscriberOptions{Queue: 1, BlockFor: 1}, func(t *testing.T, tx, _ *hub.Subscriber) { memorySend(t, tx, 5) }},
		{"under DropOldest", &hub.SubscriberOptions{Queue: 2, Policy: hub.DropOldest}, func(t *testing.T, tx, s *hub.Subscriber) {
			memorySend(t, tx, 20)
			memoryRecv(t, s, 1)
		}},
		{"under DropNewest", &hub.SubscriberOptions{Queue: 2, Policy: hub.DropNewest}, func(t *testing.T, tx, _ *hub.Subscriber) {
			memorySend(t, tx, 20)
			memorySettle(t, tx)
		}},
		{"with filters", nil, func(t *testing.T, tx, s *hub.Subscriber) {
			for range 5 {
				s.SetFilters(only(1), only(2))
				memorySend(t, tx, 3)
			}
			memoryRecv(t, s, 5)
		}},
		{"with C", nil, func(t *testing.T, tx, s *hub.Subscriber) {
			out := s.C()
			memorySend(t, tx, 20)
			<-out
		}},
		{"with a task", nil, func(t *testing.T, _, s *hub.Subscriber) {
			task, err := s.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(1)}, Period: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			for s.Stats().Sent == 0 {
				runtime.Gosched()
			}
			task.Pause()
		}},
		{"with a task that has ended", nil, func(t *testing.T, _, s *hub.Subscriber) {
			task, err := s.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(1)}, Period: time.Hour, Count: 1})
			if err != nil {
				t.Fatal(err)
			}
			<-task.Done()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inTime(t, "using and closing subscribers", func() {
				h := hub.New(&hub.Options{Logger: log})
				defer h.Close()
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				keep := openOn(t, h, "can0", &hub.SubscriberOptions{Policy: hub.DropOldest})
				var all []weak.Pointer[hub.Subscriber]
				for range 5 {
					s := openOn(t, h, "can0", c.o)
					all = append(all, weak.Make(s))
					c.use(t, tx, s)
					s.Close()
				}
				for range 60 { // others go on
					memorySend(t, tx, 10)
					memorySettle(t, tx)
					for {
						if _, err := keep.Recv(doneCtx()); err != nil {
							break
						}
					}
				}
				wantGone(t, "subscribers "+c.name, all)
				runtime.KeepAlive(tx)
				runtime.KeepAlive(keep)
			})
		})
	}
}

// Those who join and leave in any order leave nothing behind, also where nobody
// sends anything any more.
func TestAnIdleChannelKeepsNothingOfSubscribersThatHaveClosed(t *testing.T) {
	for _, o := range []hub.SubscriberOptions{{}, {SendOnly: true}, {OwnMessages: true, Filters: []hub.Filter{{ID: 1}}}} {
		t.Run(fmt.Sprintf("SendOnly %v, OwnMessages %v", o.SendOnly, o.OwnMessages), func(t *testing.T) {
			inTime(t, "joining and leaving", func() {
				h := hub.New(nil)
				defer h.Close()
				keep := openOn(t, h, "can0", nil)
				var open []*hub.Subscriber
				var all []weak.Pointer[hub.Subscriber]
				for range 60 {
					s := openOn(t, h, "can0", &o)
					open, all = append(open, s), append(all, weak.Make(s))
				}
				for len(open) > 0 { // the first, the last, one in the middle
					for _, i := range []int{0, len(open) - 2, (len(open) - 3) / 2} {
						open[i].Close()
						copy(open[i:], open[i+1:])
						open[len(open)-1] = nil
						open = open[:len(open)-1]
					}
				}
				wantGone(t, "subscribers of an idle channel", all)
				runtime.KeepAlive(keep)
			})
		})
	}
}

// Who has sent while the channel was busy, and closes, is let go at once: not only
// when others have sent so much that its place is used again.
func TestAnIdleChannelKeepsNothingOfThoseWhoHaveSent(t *testing.T) {
	noSpin(t)
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		release := held(t, h, 128)
		keep := openOn(t, h, "can0", nil)
		var all []weak.Pointer[hub.Subscriber]
		func() { // so that nothing of it stays on this stack
			for range 5 {
				s := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				all = append(all, weak.Make(s))
				memorySend(t, s, 2)
				memorySend(t, keep, 1)
				memorySendBatch(t, s, 3)
				memorySend(t, s, 30)
				memorySendBatch(t, s, 1)
				s.Close()
			}
		}()
		release()
		synctest.Wait()
		wantGone(t, "those who have sent", all)
		runtime.KeepAlive(keep)
	})
}

// A subscriber under DropOldest that is always some messages behind keeps what
// is in its queue, and nothing of what it has received or lost.
func TestDropOldestKeepsNothingOfWhatWasTakenOrLost(t *testing.T) {
	// Each message is queued before the next is sent: so they are as many pieces.
	each := func(t *testing.T, tx *hub.Subscriber, n int) {
		t.Helper()
		for range n {
			memorySettle(t, tx)
		}
	}
	for _, c := range []struct {
		name  string
		queue int
		use   func(t *testing.T, tx, rx *hub.Subscriber)
	}{
		{"lost one by one", 10, func(t *testing.T, tx, _ *hub.Subscriber) { each(t, tx, 40_000) }},
		{"lost in batches", 10, func(t *testing.T, tx, _ *hub.Subscriber) {
			for range 500 {
				memorySendBatch(t, tx, 200)
			}
		}},
		{"taken one by one, never all", 4000, func(t *testing.T, tx, rx *hub.Subscriber) {
			each(t, tx, 40)
			for range 1300 {
				each(t, tx, 30)
				memoryRecv(t, rx, 30)
			}
			if rx.Stats().Dropped != 0 {
				t.Error("something was lost")
			}
		}},
		{"lost and taken by turns", 50, func(t *testing.T, tx, rx *hub.Subscriber) {
			for range 1100 {
				each(t, tx, 35)
				memoryRecv(t, rx, 9)
			}
		}},
		{"a large backlog, then taken but for a few", 1 << 17, func(t *testing.T, tx, rx *hub.Subscriber) {
			for range 400 {
				memorySendBatch(t, tx, 256)
			}
			memorySettle(t, tx)
			memoryRecv(t, rx, 102_390)
			for range 100 { // and goes on, a few at a time
				memorySend(t, tx, 1)
				memoryRecv(t, rx, 1)
			}
		}},
		{"a large backlog, most of it taken, and then the rest", 1 << 17, func(t *testing.T, tx, rx *hub.Subscriber) {
			for range 400 {
				memorySendBatch(t, tx, 256)
			}
			memorySettle(t, tx)
			memoryRecv(t, rx, 300*256)
			memorySettle(t, tx)
			memoryRecv(t, rx, 100*256+2)
		}},
		{"a large backlog, then all of it taken", 1 << 17, func(t *testing.T, tx, rx *hub.Subscriber) {
			for range 400 {
				memorySendBatch(t, tx, 256)
			}
			memoryRecv(t, rx, 102_400)
			memorySend(t, tx, 1)
			memoryRecv(t, rx, 1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inTime(t, "the traffic", func() {
				h := hub.New(nil)
				defer h.Close()
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: c.queue, Policy: hub.DropOldest})
				memorySend(t, tx, 1)
				memoryRecv(t, rx, 1)
				before := heap()
				c.use(t, tx, rx)
				memorySettle(t, tx)
				wantHeap(t, fmt.Sprintf("%d queued messages", rx.Stats().Queued), before, 500<<10)
				runtime.KeepAlive(rx)
			})
		})
	}
}

// Nothing is kept of messages that were received, by whatever way.
func TestAReceiverKeepsNothingOfWhatItHasReceived(t *testing.T) {
	for _, way := range collectors {
		for _, policy := range []hub.Policy{hub.Block, hub.DropNewest, hub.DropOldest} {
			t.Run(way.name+"/"+policy.String(), func(t *testing.T) {
				inTime(t, "the traffic", func() {
					h := hub.New(nil)
					defer h.Close()
					tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 << 14, Policy: policy})
					before := heap()
					for range 4 {
						for range 30 {
							memorySendBatch(t, tx, 200)
							memorySend(t, tx, 10)
						}
						if _, err := way.collect(context.Background(), rx, 6300); err != nil {
							t.Fatal(err)
						}
					}
					wantHeap(t, "25,200 messages that were received", before, 1<<20)
					runtime.KeepAlive(rx)
				})
			})
		}
	}
}

// Stalls that are over leave nothing: not what waited, not the calls of the log.
func TestAChannelKeepsNothingOfStallsThatAreOver(t *testing.T) {
	noSpin(t)
	synctest.Test(t, func(t *testing.T) { // in the bubble's time they take hours
		h := hub.New(&hub.Options{Logger: slog.New(stuckHandler{slog.DiscardHandler, func() {}})})
		defer h.Close()
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		stall := func(n int) {
			memorySendBatch(t, tx, n+1)
			for range n {
				time.Sleep(1200 * time.Millisecond)
				recvNext(t, rx)
			}
			recvNext(t, rx)
		}
		stall(200)
		before := heap()
		for range 20 {
			stall(200)
		}
		wantHeap(t, "4000 stalls", before, 100<<10)
		runtime.KeepAlive(rx)
	})
}
