package hub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A channel that waits for room goes on at once when there is some: in a bubble
// no time passes, as long as everybody receives. A timer that looks after it
// would make it late by as much.
func TestABlockedChannelGoesOnWhenThereIsRoom(t *testing.T) {
	limit := func(queue int) hub.SubscriberOptions {
		return hub.SubscriberOptions{Queue: queue, BlockFor: time.Hour}
	}
	block := func(queue int) hub.SubscriberOptions { return hub.SubscriberOptions{Queue: queue} }
	odd := func(queue int) hub.SubscriberOptions {
		return hub.SubscriberOptions{Queue: queue, Filters: []hub.Filter{{ID: 1, Mask: 1}}}
	}
	blocks := func(queue int) hub.SubscriberOptions { // of 16 identifiers, every other
		return hub.SubscriberOptions{Queue: queue, Filters: []hub.Filter{{ID: 16, Mask: 16}}}
	}
	own := func(queue int) hub.SubscriberOptions {
		return hub.SubscriberOptions{Queue: queue, OwnMessages: true}
	}
	newest := hub.SubscriberOptions{Queue: 2, Policy: hub.DropNewest}
	oldest := hub.SubscriberOptions{Queue: 2, Policy: hub.DropOldest, ErrorFrames: true}
	for _, c := range []struct {
		name string
		subs []hub.SubscriberOptions
	}{
		{"one", []hub.SubscriberOptions{block(1)}},
		{"a queue of 2", []hub.SubscriberOptions{block(2)}},
		{"a queue of 7", []hub.SubscriberOptions{block(7)}},
		{"a queue of 300", []hub.SubscriberOptions{block(300)}},
		{"with BlockFor", []hub.SubscriberOptions{limit(1)}},
		{"with BlockFor, a queue of 8", []hub.SubscriberOptions{limit(8)}},
		{"with filters", []hub.SubscriberOptions{odd(3)}},
		{"with filters, in pieces", []hub.SubscriberOptions{blocks(5)}},
		{"with its own", []hub.SubscriberOptions{own(4)}},
		{"several", []hub.SubscriberOptions{block(1), block(2), limit(3), odd(2), blocks(3), block(8), own(2)}},
		{"many alike", []hub.SubscriberOptions{block(4), block(4), block(4), block(4), block(4), block(4), block(4), block(4)}},
		{"beside those who lose", []hub.SubscriberOptions{newest, block(3), oldest, blocks(9), limit(2)}},
	} {
		for _, way := range ways {
			t.Run(c.name+"/"+way.name, func(t *testing.T) {
				noSpin(t)
				inBubble(t, func(t *testing.T, h *hub.Hub) {
					const total = 400
					tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					defer cancel()
					var wg, losers sync.WaitGroup
					start := time.Now()
					for i, o := range c.subs {
						o.Name = fmt.Sprint("subscriber ", i)
						rx := openOn(t, h, "can0", &o)
						group := &wg
						if o.Policy != hub.Block {
							group = &losers // the mark of the end may be lost as well
						}
						group.Go(func() {
							for {
								msgs, err := way.recv(ctx, rx)
								if err == context.Canceled && group == &losers {
									return
								}
								if err != nil {
									t.Errorf("%s: %v", rx.Name(), err)
									return
								}
								for _, m := range msgs {
									if m.Flags&hub.Error != 0 && m.Seq != 0 { // the mark of the end: filters let it through
										if d := time.Since(start); d != 0 {
											t.Errorf("%s had everything after %v, want no time to pass", rx.Name(), d)
										}
										return
									}
								}
							}
						})
					}
					for n := uint32(0); n < total; {
						size := 1 + n*7%50
						var batch []hub.Message
						for range size {
							batch = append(batch, hub.Std(n%0x400))
							n++
						}
						var err error
						if len(batch)%3 == 0 {
							err = tx.SendBatch(soon(t), batch)
						} else {
							for _, m := range batch {
								if err = tx.Send(soon(t), m); err != nil {
									break
								}
							}
						}
						if err != nil {
							t.Fatal(err)
						}
						if n%5 == 0 {
							synctest.Wait()
						}
					}
					end := hub.Message{ID: 4, Flags: hub.Error, Len: 8}
					if err := tx.Send(soon(t), end); err != nil {
						t.Fatal(err)
					}
					wg.Wait()
					if d := time.Since(start); d != 0 {
						t.Errorf("%v passed, want none", d)
					}
					cancel()
					losers.Wait()
				})
			})
		}
	}
}

// Each thing that makes room wakes the channel: it then has room for all that it
// waits with, and SendWait returns at once.
func TestWhateverMakesRoomWakesTheChannel(t *testing.T) {
	for _, blockFor := range []time.Duration{0, time.Hour} {
		for _, queue := range []int{1, 2, 5, 64} {
			for _, c := range []struct {
				name string
				make func(t *testing.T, h *hub.Hub, s *hub.Subscriber)
			}{
				{"Recv", func(t *testing.T, _ *hub.Hub, s *hub.Subscriber) {
					if _, err := s.Recv(doneCtx()); err != nil {
						t.Error(err)
					}
				}},
				{"RecvBatch", func(t *testing.T, _ *hub.Hub, s *hub.Subscriber) {
					if _, err := s.RecvBatch(doneCtx()); err != nil {
						t.Error(err)
					}
				}},
				{"C", func(_ *testing.T, _ *hub.Hub, s *hub.Subscriber) { <-s.C() }},
				{"SetFilters", func(_ *testing.T, _ *hub.Hub, s *hub.Subscriber) {
					s.SetFilters(only(0x100), only(uint32(queue-1)))
					s.Recv(doneCtx()) // the goroutine that receives discards
				}},
				{"SetFilters that let nothing through", func(t *testing.T, _ *hub.Hub, s *hub.Subscriber) {
					s.SetFilters(only(0x200))
					if m, err := s.Recv(doneCtx()); err != context.Canceled {
						t.Errorf("received %v, %v", m, err)
					}
				}},
				{"Close", func(_ *testing.T, _ *hub.Hub, s *hub.Subscriber) { s.Close() }},
			} {
				t.Run(fmt.Sprintf("%s/queue %d, BlockFor %v", c.name, queue, blockFor), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue, BlockFor: blockFor})
						for n := range uint32(queue) {
							sendIDs(t, tx, n)
						}
						synctest.Wait()
						ended := make(chan error, 1)
						go func() { ended <- tx.SendWait(soon(t), hub.Std(0x100)) }()
						synctest.Wait()
						select {
						case err := <-ended:
							t.Fatalf("SendWait: %v, and there was no room", err)
						default:
						}
						time.Sleep(30 * time.Millisecond) // not where any timer stands
						start := time.Now()
						c.make(t, h, slow)
						if err := <-ended; err != nil {
							t.Errorf("SendWait: %v", err)
						}
						if d := time.Since(start); d != 0 {
							t.Errorf("SendWait returned %v after there was room", d)
						}
					})
				})
			}
		}
	}
}

// The same with goroutines that run in parallel, where a wake-up may be lost
// for want of care: many of them would cost seconds.
func TestABlockedChannelLosesNoWakeUp(t *testing.T) {
	for _, receivers := range []int{1, 3} {
		t.Run(fmt.Sprint(receivers, " receivers"), func(t *testing.T) {
			inTime(t, "10000 messages through small queues", func() {
				h := hub.New(nil)
				defer h.Close()
				const total = 10_000
				ctx := context.Background()
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				var wg sync.WaitGroup
				for i := range receivers {
					rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 + i})
					wg.Go(func() {
						for range total {
							if _, err := rx.Recv(ctx); err != nil {
								t.Error(err)
								return
							}
						}
					})
				}
				for range total / 4 {
					memorySend(t, tx, 1)
					memorySendBatch(t, tx, 3)
				}
				wg.Wait()
			})
		})
	}
}

// And in a bubble, where each wake-up that is lost costs time that can be seen.
func TestABlockedChannelIsWokenInNoTime(t *testing.T) {
	noSpin(t)
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		const total = 60_000
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		var wg sync.WaitGroup
		start := time.Now()
		for i := range 2 {
			rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 + i})
			wg.Go(func() {
				for range total {
					if _, err := rx.Recv(context.Background()); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range total / 4 {
			memorySend(t, tx, 1)
			memorySendBatch(t, tx, 3)
		}
		wg.Wait()
		if d := time.Since(start); d != 0 {
			t.Errorf("%v passed, want none", d)
		}
	})
}
