package hub_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
)

// New filters while the messages of a large batch wait for room, also as several
// pieces, for the filters so far have left some out, or as copies, for they are
// the subscriber's own: what comes out matches, and all that matches comes out.
func TestNewFiltersLoseNothingOfABatchThatWaitsForRoom(t *testing.T) {
	const n = 200
	tests := []struct {
		name    string
		own     bool
		filters []hub.Filter // before
		inbox   int
		behind  int // messages that wait in the inbox
	}{
		{name: "in one piece"},
		{name: "in long pieces", filters: []hub.Filter{{ID: 16, Mask: 16}}},
		{name: "in short pieces", filters: []hub.Filter{{ID: 2, Mask: 2}}},
		{name: "in pieces of several lengths", filters: []hub.Filter{{ID: 32, Mask: 32}, {ID: 64, Mask: 0x50}, {ID: 3, Mask: 7}}},
		{name: "its own", own: true},
		{name: "its own, in long pieces", own: true, filters: []hub.Filter{{ID: 16, Mask: 16}}},
		{name: "with more in the inbox", filters: []hub.Filter{{ID: 16, Mask: 16}}, behind: 40},
		{name: "with a full inbox", filters: []hub.Filter{{ID: 16, Mask: 16}}, inbox: 1, behind: 1},
	}
	for _, tt := range tests {
		for _, queue := range []int{1, 2, 30} {
			for _, way := range ways {
				if way.name == "C" && tt.filters == nil && !tt.own {
					tt.filters = []hub.Filter{{}} // or else filters do not reach into its buffer
				}
				for _, before := range []int{0, 1, 9} { // received before there are new filters
					t.Run(fmt.Sprintf("%s/queue %d/%s/%d received", tt.name, queue, way.name, before), func(t *testing.T) {
						noSpin(t)
						inBubble(t, func(t *testing.T, h *hub.Hub) {
							createOn(t, h, "can0", tt.inbox)
							o := hub.SubscriberOptions{Queue: queue, Filters: tt.filters, OwnMessages: tt.own}
							if tt.own && tt.filters == nil {
								o.Filters = []hub.Filter{{}}
							}
							rx := openOn(t, h, "can0", &o)
							tx := rx
							if !tt.own {
								tx = openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
							}
							witness := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1000})
							if err := tx.SendBatch(soon(t), numbered(1, n)); err != nil {
								t.Fatal(err)
							}
							synctest.Wait()
							for i := range tt.behind {
								sendIDs(t, tx, uint32(n+1+i))
							}
							match := func(filters []hub.Filter, m hub.Message) bool {
								for _, f := range filters {
									if f.Match(m) {
										return true
									}
								}
								return len(filters) == 0
							}
							var got []hub.Message
							last := uint32(0)
							for len(got) < before {
								msgs, err := way.recv(soon(t), rx)
								if err != nil {
									t.Fatal(err)
								}
								got = append(got, msgs...)
								last = msgs[len(msgs)-1].ID
							}
							first := []hub.Filter{{ID: 1, Mask: 1}, {ID: 0, Mask: 0x0C}}
							second := []hub.Filter{{ID: 2, Mask: 2}}
							rx.SetFilters(first...)
							if before != 9 { // filters are changed again before the channel is there
								synctest.Wait()
							}
							rx.SetFilters(second...)
							sendIDsBehind := make(chan struct{})
							go func() { // the inbox may be full
								defer close(sendIDsBehind)
								sendIDs(t, tx, 0x7FE, 0x7FC, 0x7FF)
							}()

							var want, after []uint32
							for id := last + 1; id <= uint32(n+tt.behind); id++ {
								m := hub.Std(id)
								of := tt.filters
								if tt.inbox == 1 && id > n {
									of = nil // "judged by the new filters alone"
								}
								// All three sets let it through, so it must come out. What only first
								// stopped need not, and is left out on both sides.
								if match(of, m) && match(second, m) && match(first, m) {
									want = append(want, id)
								}
							}
							want = append(want, 0x7FE, 0x7FF)
							for len(after) == 0 || after[len(after)-1] != 0x7FF {
								msgs, err := way.recv(soon(t), rx)
								if err != nil {
									t.Fatalf("%v, after %d", err, after)
								}
								for _, m := range msgs {
									if !match(second, m) {
										t.Fatalf("%v came out, which does not match", m)
									}
									if tt.own != (m.Flags&hub.Own != 0) {
										t.Errorf("%v: Own is wrong", m)
									}
									if m.ID < 0x7F0 && !match(first, m) {
										continue
									}
									after = append(after, m.ID)
								}
							}
							if diff := cmp.Diff(want, after); diff != "" {
								t.Errorf("received after the new filters (-want +got):\n%s", diff)
							}
							<-sendIDsBehind
							synctest.Wait()
							if m, err := rx.Recv(doneCtx()); err != context.Canceled {
								t.Errorf("received %v, %v behind the last message", m, err)
							}
							if s := rx.Stats(); s.Queued != 0 || s.Dropped != 0 {
								t.Errorf("Stats %+v, want nothing queued and nothing dropped", s)
							}
							all, _ := pollAll(witness)
							if !tt.own && len(all) != n+tt.behind+3 {
								t.Errorf("the others received %d messages, want %d", len(all), n+tt.behind+3)
							}
						})
					})
				}
			}
		}
	}
}

// Several who wait for the same batch, each with filters of its own that it
// changes while it waits. None gets what another one has asked for.
func TestNewFiltersOfSeveralThatWaitAreTheirOwn(t *testing.T) {
	noSpin(t)
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		const n = 256
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		var subs []*hub.Subscriber
		for i := range uint32(8) {
			o := hub.SubscriberOptions{Queue: 1 + int(i)%3}
			if i%2 == 0 {
				o.Filters = []hub.Filter{{ID: 32, Mask: 32}}
			}
			subs = append(subs, openOn(t, h, "can0", &o))
		}
		if err := tx.SendBatch(soon(t), numbered(0, n-1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for i, s := range subs {
			s.SetFilters(hub.Filter{ID: uint32(i), Mask: 7})
		}
		var wg sync.WaitGroup
		for i, s := range subs {
			var want, got []uint32
			for id := uint32(i); id < n; id += 8 {
				if i%2 != 0 || id&32 != 0 {
					want = append(want, id)
				}
			}
			want = append(want, 0x700+uint32(i))
			wg.Go(func() {
				for range want {
					got = append(got, recvNext(t, s).ID)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("subscriber %d (-want +got):\n%s", i, diff)
				}
			})
		}
		sendIDs(t, tx, 0x700, 0x701, 0x702, 0x703, 0x704, 0x705, 0x706, 0x707)
		wg.Wait()
		for _, s := range subs {
			wantPolled(t, s, "")
		}
	})
}
