package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// only returns a filter for one identifier, standard or extended.
func only(id uint32) hub.Filter { return hub.Filter{ID: id, Mask: 0x1FFFFFFF} }

func TestFiltersSelectByIdentifier(t *testing.T) {
	var (
		std    = hub.Std(0x123, 1)
		ext    = hub.Ext(0x123, 1)
		far    = hub.Ext(0x1FFFFFFF)
		remote = hub.RTR(0x123, 4)
		fd     = hub.FD(0x123, 1)
		extFD  = hub.FD(0x18FEF100, 1)
		errs   = hub.Message{ID: 0x123, Flags: hub.Error, Len: 8}
		other  = hub.Message{ID: 0x004, Flags: hub.Error, Len: 8}
		all    = []hub.Message{std, ext, far, remote, fd, extFD, errs, other}
	)
	tests := []struct {
		name    string
		filters []hub.Filter
		want    []hub.Message // error frames pass in any case
	}{
		{"none", nil, all},
		{"empty", []hub.Filter{}, all},
		{"mask 0", []hub.Filter{{ID: 0x7FF, Mask: 0}}, all},
		{"zero filter", []hub.Filter{{}}, all},
		{"mask 0, inverted", []hub.Filter{{Invert: true}}, []hub.Message{errs, other}},
		{"one identifier", []hub.Filter{only(0x123)}, []hub.Message{std, ext, remote, fd, errs, other}},
		{"11-bit mask", []hub.Filter{{ID: 0x100, Mask: 0x7FF}}, []hub.Message{extFD, errs, other}},
		{"one bit", []hub.Filter{{ID: 0x20, Mask: 0x20}}, []hub.Message{std, ext, far, remote, fd, errs, other}},
		{"a bit that is 0", []hub.Filter{{ID: 0, Mask: 0x20}}, []hub.Message{extFD, errs, other}},
		{"bits of ID outside the mask", []hub.Filter{{ID: 0xFF00FF, Mask: 0x20}}, []hub.Message{std, ext, far, remote, fd, errs, other}},
		{"standard only", []hub.Filter{{StandardOnly: true}}, []hub.Message{std, remote, fd, errs, other}},
		{"extended only", []hub.Filter{{ExtendedOnly: true}}, []hub.Message{ext, far, extFD, errs, other}},
		{"identifier, standard only", []hub.Filter{{ID: 0x123, Mask: 0x7FF, StandardOnly: true}}, []hub.Message{std, remote, fd, errs, other}},
		{"identifier, extended only", []hub.Filter{{ID: 0x123, Mask: 0x7FF, ExtendedOnly: true}}, []hub.Message{ext, errs, other}},
		{"inverted", []hub.Filter{{ID: 0x123, Mask: 0x1FFFFFFF, Invert: true}}, []hub.Message{far, extFD, errs, other}},
		{"inverted, standard only", []hub.Filter{{ID: 0x123, Mask: 0x7FF, StandardOnly: true, Invert: true}}, []hub.Message{errs, other}},
		{"inverted, extended only", []hub.Filter{{ID: 0x123, Mask: 0x7FF, ExtendedOnly: true, Invert: true}}, []hub.Message{far, extFD, errs, other}},
		{"any of two", []hub.Filter{only(0x18FEF100), only(0x1FFFFFFF)}, []hub.Message{far, extFD, errs, other}},
		{"the same twice", []hub.Filter{only(0x1FFFFFFF), only(0x1FFFFFFF)}, []hub.Message{far, errs, other}},
		{"nothing and one", []hub.Filter{{Invert: true}, only(0x1FFFFFFF)}, []hub.Message{far, errs, other}},
		{"what cannot be", []hub.Filter{{ID: 0x800, Mask: 0x800, StandardOnly: true}}, []hub.Message{errs, other}},
		{"ID beyond 29 bits", []hub.Filter{{ID: 0xFFFFFFFF, Mask: 0x1FFFFFFF}}, []hub.Message{far, errs, other}},
		{"ID and mask beyond 29 bits", []hub.Filter{{ID: 0xFFFFFFFF, Mask: 0xFFFFFFFF}}, []hub.Message{far, errs, other}},
		{"mask beyond 29 bits alone", []hub.Filter{{ID: 0xE0000000, Mask: 0xE0000000}}, all},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				tx := attach(t, h, "can0", nil)
				fromStart := attach(t, h, "can0", &hub.SubscriberOptions{Filters: tt.filters})
				set := attach(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{only(1)}})
				set.SetFilters(tt.filters...)
				later := attach(t, h, "can0", nil)
				transmit(t, tx, all...)
				synctest.Wait()
				later.SetFilters(tt.filters...)
				for name, rx := range map[string]*hub.Subscriber{
					"from the start": fromStart, "set before": set, "set behind what is queued": later,
				} {
					if got := drain(t, rx); !sameFrames(got, tt.want) {
						t.Errorf("filters %s let through %v, want %v", name, got, tt.want)
					}
				}
			})
		})
	}
}

func TestAFilterThatIsStandardOnlyAndExtendedOnlyMatchesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		rx.SetFilters(hub.Filter{StandardOnly: true, ExtendedOnly: true})
		transmit(t, tx, hub.Std(1), hub.Ext(1))
		synctest.Wait()
		if got := drain(t, rx); len(got) > 0 {
			t.Errorf("received %v, want nothing", got)
		}
	})
}

func TestFiltersAreTheCallersToChangeAfterwards(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		filters := []hub.Filter{only(1)}
		tx := attach(t, h, "can0", nil)
		a := attach(t, h, "can0", &hub.SubscriberOptions{Filters: filters})
		b := attach(t, h, "can0", nil)
		b.SetFilters(filters...)
		filters[0] = only(2)
		transmit(t, tx, hub.Std(1), hub.Std(2))
		synctest.Wait()
		for _, rx := range []*hub.Subscriber{a, b} {
			if got := drain(t, rx); !sameFrames(got, []hub.Message{hub.Std(1)}) {
				t.Errorf("received %v, want 001#", got)
			}
		}
	})
}

func TestFiltersLeaveTheNumbersAlone(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{only(2)}})
		transmit(t, tx, hub.Std(1), hub.Std(2), hub.Std(1), hub.Std(2))
		synctest.Wait()
		got := drain(t, rx)
		if len(got) != 2 || got[0].Seq != 2 || got[1].Seq != 4 {
			t.Errorf("received %v with numbers %v, want 2 and 4", got, seqs(got))
		}
		if s := rx.Stats(); s.Dropped != 0 || s.Received != 2 || s.Queued != 0 {
			t.Errorf("Stats = %+v, want 2 received and none dropped", s)
		}
	})
}

// numbered returns data frames with the identifiers first to last.
func numbered(first, last uint32) []hub.Message {
	var msgs []hub.Message
	for id := first; id <= last; id++ {
		msgs = append(msgs, hub.Std(id))
	}
	return msgs
}

// Everywhere a message can be when the filters change, the new ones apply.
func TestAfterSetFiltersNothingElseComesOut(t *testing.T) {
	receive := map[string]func(t *testing.T, rx *hub.Subscriber) []hub.Message{
		"Recv": drainSlowly,
		"RecvBatch": func(t *testing.T, rx *hub.Subscriber) (got []hub.Message) {
			for {
				ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				msgs, err := rx.RecvBatch(ctx)
				cancel()
				if err != nil {
					return got
				}
				got = append(got, msgs...)
			}
		},
		"C": drainC,
	}
	policies := []hub.Policy{hub.Block, hub.DropOldest, hub.DropNewest}
	tests := []struct {
		name   string
		queue  int
		before func(t *testing.T, tx, rx *hub.Subscriber)
	}{
		{"queued one by one", 0, func(t *testing.T, tx, rx *hub.Subscriber) {
			transmit(t, tx, numbered(1, 100)...)
		}},
		{"queued in a batch", 0, func(t *testing.T, tx, rx *hub.Subscriber) {
			transmitBatch(t, tx, numbered(1, 100))
		}},
		{"a batch partly received", 0, func(t *testing.T, tx, rx *hub.Subscriber) {
			transmitBatch(t, tx, numbered(1, 100))
			synctest.Wait()
			for range 5 {
				if _, err := rx.Recv(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"queued behind C", 0, func(t *testing.T, tx, rx *hub.Subscriber) {
			rx.C()
			transmitBatch(t, tx, numbered(1, 10))
			transmitBatch(t, tx, numbered(11, 100))
		}},
		{"on offer by C", 1, func(t *testing.T, tx, rx *hub.Subscriber) {
			rx.C()
			transmit(t, tx, hub.Std(1))
		}},
		{"on offer by C and queued", 3, func(t *testing.T, tx, rx *hub.Subscriber) {
			rx.C()
			transmit(t, tx, numbered(1, 4)...)
		}},
		{"on offer by C and queued, full", 8, func(t *testing.T, tx, rx *hub.Subscriber) {
			rx.C()
			transmit(t, tx, numbered(1, 9)...)
		}},
		{"half of a batch received by Recv, then C", 0, func(t *testing.T, tx, rx *hub.Subscriber) {
			transmitBatch(t, tx, numbered(1, 100))
			synctest.Wait()
			if _, err := rx.Recv(context.Background()); err != nil {
				t.Fatal(err)
			}
			rx.C()
		}},
	}
	for _, tt := range tests {
		for way, receive := range receive {
			for _, policy := range policies {
				t.Run(tt.name+"/"+way+"/"+policy.String(), func(t *testing.T) {
					bubble(t, func(t *testing.T, h *hub.Hub) {
						tx := attach(t, h, "can0", nil)
						// With filters from the start: C then has no buffer, which
						// later filters would not reach into.
						rx := attach(t, h, "can0", &hub.SubscriberOptions{Queue: tt.queue, Policy: policy, Filters: []hub.Filter{{}}})
						tt.before(t, tx, rx)
						synctest.Wait()
						rx.SetFilters(hub.Filter{ID: 3, Mask: 3})
						transmit(t, tx, numbered(101, 104)...)
						synctest.Wait()
						got := receive(t, rx)
						last := uint32(0)
						for _, m := range got {
							if m.ID&3 != 3 {
								t.Fatalf("%v came out, which does not match", m)
							}
							if m.ID <= last {
								t.Fatalf("%v came out behind %#x", m, last)
							}
							last = m.ID
						}
						if last != 103 {
							t.Errorf("received %v, and 067# is missing", got)
						}
						if s := rx.Stats(); s.Queued != 0 {
							t.Errorf("Stats = %+v, and nothing is queued any more", s)
						}
					})
				})
			}
		}
	}
}

// The rest of a batch is not in the queue yet when the channel waits for room
// in it. The request for new filters may then overtake the channel's inbox.
func TestAfterSetFiltersNothingElseComesOutOfAFullQueue(t *testing.T) {
	for name, behind := range map[string]int{"inbox empty": 0, "inbox full": 1} {
		for _, batch := range []int{2, 3, 10} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T, h *hub.Hub) {
					if err := h.Create("can0", &hub.ChannelOptions{Inbox: 1}); err != nil {
						t.Fatal(err)
					}
					tx := attach(t, h, "can0", nil)
					rx := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
					transmitBatch(t, tx, numbered(1, uint32(batch)))
					synctest.Wait() // the channel waits for room
					for range behind {
						transmit(t, tx, hub.Std(0x100))
					}
					rx.SetFilters(only(0x100))
					synctest.Wait()
					got := drainSlowly(t, rx)
					want := slices.Repeat([]hub.Message{hub.Std(0x100)}, behind)
					if !sameFrames(got, want) {
						t.Errorf("received %v, want %v", got, want)
					}
				})
			})
		}
	}
}

func TestWideningFiltersLetsThroughFromThenOn(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{only(1)}})
		transmit(t, tx, numbered(1, 3)...)
		synctest.Wait()
		rx.SetFilters(only(1), only(2))
		transmit(t, tx, numbered(1, 3)...)
		synctest.Wait()
		rx.SetFilters()
		transmit(t, tx, numbered(1, 3)...)
		synctest.Wait()
		// Each message has to pass the filters of its time and the last ones.
		want := []hub.Message{hub.Std(1), hub.Std(1), hub.Std(2), hub.Std(1), hub.Std(2), hub.Std(3)}
		if got := drain(t, rx); !sameFrames(got, want) {
			t.Errorf("received %v, want %v", got, want)
		}
	})
}

func TestSetFiltersOfNothingLetsEverythingThrough(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{only(1)}})
		for _, none := range [][]hub.Filter{nil, {}} {
			rx.SetFilters(only(1))
			rx.SetFilters(none...)
			transmit(t, tx, numbered(1, 3)...)
			synctest.Wait()
			if got := drain(t, rx); !sameFrames(got, numbered(1, 3)) {
				t.Errorf("received %v, want all", got)
			}
		}
	})
}

// With new filters room comes free: a channel that waited for it goes on.
func TestSetFiltersMakesRoomForAWaitingChannel(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 2})
		last := attach(t, h, "can0", nil)
		transmit(t, tx, hub.Std(1), hub.Std(1), hub.Std(1), hub.Std(2))
		synctest.Wait()
		rx.SetFilters(only(2))
		// What does not match is thrown away by the next receive at the latest.
		if m, err := recvWithin(rx, time.Second); err != nil || m.ID != 2 {
			t.Errorf("received %v, %v, want 002#", m, err)
		}
		synctest.Wait()
		if got := drain(t, last); len(got) != 4 {
			t.Errorf("the other subscriber received %v, want 4 messages", got)
		}
	})
}

func TestSetFiltersDoesNotWaitForAChannelThatWaitsForSomebodyElse(t *testing.T) {
	for _, withC := range []bool{false, true} {
		for _, fill := range []bool{false, true} {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				tx := attach(t, h, "can0", nil)
				full := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
				rx := attach(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{{}}})
				if withC {
					rx.C()
				}
				transmit(t, tx, numbered(1, 2)...)
				if fill {
					go func() { // until the inbox takes no more, and then one
						for i := uint32(3); tx.Send(context.Background(), hub.Std(i)) == nil; i++ {
						}
					}()
				}
				synctest.Wait()
				start := time.Now()
				rx.SetFilters(only(2))
				if d := time.Since(start); d != 0 {
					t.Errorf("SetFilters took %v", d)
				}
				if m, err := recvWithin(rx, time.Millisecond); err != nil || m.ID != 2 {
					t.Errorf("received %v, %v, want 002#", m, err)
				}
				_ = full
			})
		}
	}
}

func TestSetFiltersAfterCloseIsHarmless(t *testing.T) {
	for _, withC := range []bool{false, true} {
		for _, closeHub := range []bool{false, true} {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
				if withC {
					rx.C()
				}
				transmit(t, tx, hub.Std(1))
				synctest.Wait()
				if closeHub {
					h.Close()
				} else {
					rx.Close()
				}
				for range 3 {
					rx.SetFilters(only(2))
					rx.SetFilters()
				}
				rx.SetFilters(only(2))
				// What a closed hub has left may come out, once.
				m, err := rx.Recv(context.Background())
				if err == nil && closeHub {
					m, err = rx.Recv(context.Background())
				}
				if err != hub.ErrClosed {
					t.Errorf("received %v, %v, want ErrClosed", m, err)
				}
				transmitNothingElse(t, tx, closeHub)
			})
		}
	}
}

// transmitNothingElse checks that tx still works unless its hub is closed.
func transmitNothingElse(t *testing.T, tx *hub.Subscriber, closed bool) {
	t.Helper()
	want := error(nil)
	if closed {
		want = hub.ErrClosed
	}
	if err := tx.Send(context.Background(), hub.Std(1)); err != want {
		t.Errorf("Send = %v, want %v", err, want)
	}
}

// One goroutine changes its own filters again and again while others send, and
// after each change gets nothing that does not match.
func TestSetFiltersHoldsWhileOthersSend(t *testing.T) {
	receive := map[string]func(rx *hub.Subscriber) ([]hub.Message, error){
		"Recv": func(rx *hub.Subscriber) ([]hub.Message, error) {
			m, err := rx.Recv(context.Background())
			return []hub.Message{m}, err
		},
		"RecvBatch": func(rx *hub.Subscriber) ([]hub.Message, error) {
			return rx.RecvBatch(context.Background())
		},
		"C": func(rx *hub.Subscriber) ([]hub.Message, error) {
			m, ok := <-rx.C()
			if !ok {
				return nil, hub.ErrClosed
			}
			return []hub.Message{m}, nil
		},
	}
	for way, receive := range receive {
		for _, policy := range []hub.Policy{hub.Block, hub.DropOldest, hub.DropNewest} {
			for _, queue := range []int{1, 7, 256} {
				t.Run(way+"/"+policy.String(), func(t *testing.T) {
					noSpin(t)
					h := hub.New(nil)
					defer h.Close()
					rx := attach(t, h, "can0", &hub.SubscriberOptions{Queue: queue, Policy: policy})
					var wg sync.WaitGroup
					for i := range 3 {
						tx := attachSender(t, h, "can0")
						wg.Go(func() {
							r := rand.New(rand.NewPCG(uint64(i), 17))
							for {
								var err error
								if i == 0 {
									msgs := make([]hub.Message, 1+r.IntN(20))
									for k := range msgs {
										msgs[k] = hub.Std(r.Uint32N(4))
									}
									err = tx.SendBatch(context.Background(), msgs)
								} else {
									err = tx.Send(context.Background(), hub.Std(r.Uint32N(4)))
								}
								if err != nil {
									return
								}
								runtime.Gosched() // or one processor alone would be theirs
							}
						})
					}
					for round := range 60 {
						want := uint32(round) % 4
						rx.SetFilters(only(want))
						for got := 0; got < 5; {
							msgs, err := receive(rx)
							if err != nil {
								t.Fatal(err)
							}
							for _, m := range msgs {
								if m.ID != want {
									t.Fatalf("round %d: %v came out, which does not match", round, m)
								}
							}
							got += len(msgs)
						}
					}
					rx.Close() // or the hub would wait for somebody to read C
					h.Close()
					wg.Wait()
				})
			}
		}
	}
}

func TestSetFiltersFromSeveralGoroutinesLeavesOneOfThem(t *testing.T) {
	for _, withC := range []bool{false, true} {
		h := hub.New(nil)
		tx := attachSender(t, h, "can0")
		// With a filter, be it one that all match, C has no buffer, which
		// SetFilters would not reach into.
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{{}}})
		if withC {
			rx.C()
		}
		var senders, setters, receiver sync.WaitGroup
		for range 2 {
			senders.Go(func() {
				for i := uint32(0); tx.Send(context.Background(), hub.Std(i%4)) == nil; i++ {
					runtime.Gosched() // or one processor alone would be theirs
				}
			})
		}
		setters.Add(4)
		for i := range uint32(4) {
			go func() {
				defer setters.Done()
				for range 200 {
					rx.SetFilters(only(i))
					rx.Stats()
				}
			}()
		}
		var mu sync.Mutex
		settled := false
		receiver.Go(func() {
			for n := 0; n < 100; {
				m, err := rx.Recv(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if settled {
					n++
				}
				if settled && n > 1 && m.ID != 3 { // the first may have been in hand
					t.Errorf("%v came out, which does not match", m)
				}
				mu.Unlock()
			}
		})
		setters.Wait()
		rx.SetFilters(only(3))
		mu.Lock()
		settled = true
		mu.Unlock()
		receiver.Wait()
		rx.Close() // or the hub would wait for somebody to read C
		h.Close()
		senders.Wait()
	}
}

func TestStatsStayPlausibleWhileFiltersDiscard(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if s := rx.Stats(); s.Received > 1<<40 || s.Queued < 0 {
				t.Errorf("Stats = %+v", s)
				return
			}
		}
	})
	ctx := canceled()
	for range 500 {
		transmitBatch(t, tx, numbered(3, 30))
		if err := tx.SendWait(context.Background(), hub.Std(1)); err != nil {
			t.Fatal(err)
		}
		rx.SetFilters(only(2))
		if m, err := rx.Recv(ctx); err == nil {
			t.Errorf("received %v, want nothing", m)
		}
		rx.SetFilters()
	}
	close(stop)
	wg.Wait()
}

// A subscriber that holds up the channel changes its filters and leaves at once:
// the channel sees both at the same time.
func TestSetFiltersAndCloseOfASubscriberThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		if err := h.Create("can0", &hub.ChannelOptions{Inbox: 1}); err != nil {
			t.Fatal(err)
		}
		late := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		tx := openOn(t, h, "can0", deaf())
		for range 3 { // one is queued, the channel waits with one, and the inbox is full
			if err := tx.Send(t.Context(), hub.Std(1)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		late.SetFilters(hub.Filter{ID: 1, Mask: 1})
		late.Close()
		synctest.Wait()
		if err := tx.SendWait(t.Context(), hub.Std(1)); err != nil {
			t.Error(err)
		}
	})
}

func TestMatchLetsErrorFramesThrough(t *testing.T) {
	f := hub.Filter{ID: 0x123, Mask: 0x7FF, StandardOnly: true}
	for _, tt := range []struct {
		m    hub.Message
		want bool
	}{
		{hub.Std(0x123), true},
		{hub.Std(0x124), false},
		{hub.Ext(0x123), false},
		{hub.Message{ID: 0x004, Flags: hub.Error, Len: 8}, true},
	} {
		if got := f.Match(tt.m); got != tt.want {
			t.Errorf("Match(%v) = %v, want %v", tt.m, got, tt.want)
		}
	}
}

func TestParseFilter(t *testing.T) {
	for _, tt := range []struct {
		text string
		want hub.Filter
	}{
		{"123:7F0", hub.Filter{ID: 0x123, Mask: 0x7F0}},
		{"123~7F0", hub.Filter{ID: 0x123, Mask: 0x7F0, Invert: true}},
		{"0:0", hub.Filter{}},
		{"00000123:1fffffff", hub.Filter{ID: 0x123, Mask: 0x1FFFFFFF}},
		{"80000123:80000700", hub.Filter{ID: 0x123, Mask: 0x700, ExtendedOnly: true}},
		{"00000123:80000700", hub.Filter{ID: 0x123, Mask: 0x700, ExtendedOnly: true}},
		{"12345678:9FFFFFFF", hub.Filter{ID: 0x12345678, Mask: 0x1FFFFFFF, ExtendedOnly: true}},
		{"123:80000700", hub.Filter{ID: 0x123, Mask: 0x700, StandardOnly: true}},
		{"123", hub.Filter{ID: 0x123, Mask: 0x1FFFFFFF, StandardOnly: true}},
		{"7", hub.Filter{ID: 7, Mask: 0x1FFFFFFF, StandardOnly: true}},
		{"18FEF100", hub.Filter{ID: 0x18FEF100, Mask: 0x1FFFFFFF, ExtendedOnly: true}},
		{"~00000123", hub.Filter{ID: 0x123, Mask: 0x1FFFFFFF, Invert: true}},
	} {
		if got, err := hub.ParseFilter(tt.text); err != nil || got != tt.want {
			t.Errorf("%q: %+v, %v; want %+v", tt.text, got, err, tt.want)
		}
	}
}

func TestParseFilterRefusesWithTheReason(t *testing.T) {
	for text, reason := range map[string]string{
		"":              "want ID:MASK",
		"~":             "want ID:MASK",
		"xyz":           "want ID:MASK",
		"+1":            "want ID:MASK",
		"0x1":           "want ID:MASK",
		"1 ":            "want ID:MASK",
		"800":           "above 7FF",
		"20000000":      "above 1FFFFFFF",
		":7FF":          "want ID:MASK",
		"g:7FF":         "identifier: want one to eight",
		"123:":          "mask: want one to eight",
		"123:7FF:1":     "mask: want one to eight",
		"123456789:7FF": "identifier: want one to eight",
		"123:400007FF":  "remote",
		"20000004:7FF":  "bit 29",
		"123~800007FF":  "behind ~",
	} {
		_, err := hub.ParseFilter(text)
		if err == nil || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %v, want an error with the text and %q", text, err, reason)
		}
	}
}
