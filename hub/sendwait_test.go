package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
)

// missedBy returns whom a SendWait names.
func missedBy(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var d *hub.DeliveryError
	if !errors.As(err, &d) {
		t.Errorf("SendWait: %v, want nil or a *DeliveryError", err)
		return nil
	}
	missed := slices.Clone(d.Missed)
	slices.Sort(missed)
	return missed
}

// The messages of others wait in the inbox together with that of a SendWait. Who
// misses those is not named, who misses this one is, and once.
func TestSendWaitNamesOnlyWhoMissedItsMessage(t *testing.T) {
	only1 := []hub.Filter{only(1)}
	only2 := []hub.Filter{only(2)}
	open := map[string]hub.SubscriberOptions{
		"has all":               {Queue: 100},
		"loses both":            {Queue: 1, Policy: hub.DropNewest},
		"loses others":          {Queue: 1, Policy: hub.DropNewest, Filters: only1},
		"loses this one":        {Queue: 1, Policy: hub.DropNewest, Filters: []hub.Filter{only(2), only(0x7F0)}},
		"has room for this one": {Queue: 1, Policy: hub.DropNewest, Filters: only2},
		"loses older ones":      {Queue: 1, Policy: hub.DropOldest},
		"waits, then loses":     {Queue: 1, BlockFor: time.Second},
		"waits for others":      {Queue: 1, BlockFor: time.Second, Filters: only1},
		"only sends":            {SendOnly: true},
	}
	for _, before := range []int{0, 1, 2, 5, 40} { // messages of others before it
		for _, after := range []int{0, 1, 5} { // and behind it
			for _, batch := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d before and %d behind, batch %v", before, after, batch), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						release := held(t, h, 4096)
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true, Name: "sender"})
						other := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true, Name: "other"})
						var subs []*hub.Subscriber
						for name, o := range open {
							o.Name = name
							subs = append(subs, openOn(t, h, "can0", &o))
						}
						send := func(n int) {
							var msgs []hub.Message
							for range n {
								msgs = append(msgs, hub.Std(1))
							}
							if batch {
								transmitBatch(t, other, msgs)
								return
							}
							transmit(t, other, msgs...)
						}
						sendIDs(t, other, 0x7F0) // fills the queues of those without filters
						send(before)
						ended := make(chan error, 1)
						go func() { ended <- tx.SendWait(soon(t), hub.Std(2)) }()
						synctest.Wait()
						send(after)
						release()
						var err error
						select {
						case err = <-ended:
						case <-time.After(time.Minute):
							t.Fatal("SendWait does not return")
						}
						want := []string{"loses both", "loses this one", "waits, then loses"}
						if diff := cmp.Diff(want, missedBy(t, err)); diff != "" {
							t.Errorf("missed it (-want +got):\n%s", diff)
						}
						time.Sleep(time.Minute)
						for _, s := range subs {
							if s.Name() == "only sends" {
								continue
							}
							got, _ := pollAll(s)
							has := slices.ContainsFunc(got, func(m hub.Message) bool { return m.ID == 2 })
							wantIt := !slices.Contains(want, s.Name()) && s.Name() != "loses others" && s.Name() != "waits for others"
							if s.Name() == "loses older ones" {
								wantIt = after == 0 // by then it was lost again
							}
							if has != wantIt {
								t.Errorf("%s received %q; that the message is in it is %v, want %v", s.Name(), frames(got), has, wantIt)
							}
						}
					})
				})
			}
		}
	}
}

// While one SendWait waits for room, others do as well: each returns when its own
// message is queued, in the order of the messages, with its own error.
func TestEachSendWaitReturnsWhenItsOwnMessageIsQueued(t *testing.T) {
	noSpin(t)
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		const n = 8
		start := time.Now()
		slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1, Name: "slow"})
		slower := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 2, Name: "slower"})
		loser := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 3, Name: "loser", Policy: hub.DropNewest})
		type result struct {
			n      int
			at     time.Duration
			missed []string
		}
		results := make(chan result, n)
		for i := range n {
			tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
			go func() {
				err := tx.SendWait(context.Background(), hub.Std(uint32(i)))
				results <- result{i, time.Since(start), missedBy(t, err)}
			}()
			synctest.Wait()
		}
		for range n { // one message each second is received by both
			time.Sleep(time.Second)
			recvNext(t, slow)
			recvNext(t, slower)
		}
		synctest.Wait()
		close(results)
		var got, want []result
		for r := range results {
			got = append(got, r)
		}
		for i := range n {
			r := result{n: i, at: time.Duration(i) * time.Second} // when slow has taken the one before
			if i >= 3 {
				r.missed = []string{"loser"}
			}
			want = append(want, r)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
			t.Errorf("the calls returned (-want +got):\n%s", diff)
		}
		wantPolled(t, loser, "1:0 2:1 3:2")
	})
}

// A SendWait behind a large batch waits until that is delivered too, and does
// not tell of what was lost of it.
func TestSendWaitBehindABatchThatWaitsForRoom(t *testing.T) {
	noSpin(t)
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 4})
		limited := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 4, BlockFor: time.Second, Name: "limited"})
		transmitBatch(t, tx, numbered(1, 20)) // of these limited loses 16
		start := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- tx.SendWait(context.Background(), hub.Std(0x100)) }()
		time.Sleep(3 * time.Second)
		if got, _ := pollAll(limited); len(got) != 4 {
			t.Errorf("limited received %q, want 4", frames(got))
		}
		for range 20 {
			select {
			case err := <-ended:
				t.Fatalf("SendWait returned %v before its message was queued", err)
			default:
			}
			recvNext(t, slow)
			synctest.Wait()
			if slow.Stats().Received < 17 { // then there is room for the last one
				continue
			}
			break
		}
		if missed := missedBy(t, <-ended); missed != nil {
			t.Errorf("%q missed the message, want nobody", missed)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("SendWait took %v, want 3s", d)
		}
		wantPolled(t, limited, "21:100")
		var rest []uint32
		got, _ := pollAll(slow)
		for _, m := range got {
			rest = append(rest, m.ID)
		}
		if !slices.Equal(rest, []uint32{18, 19, 20, 0x100}) {
			t.Errorf("slow received %x", rest)
		}
	})
}

// Who closes instead of making room is not one who missed the message.
func TestSendWaitReturnsWhenWhoItWaitsForHasClosed(t *testing.T) {
	noSpin(t)
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		var slow []*hub.Subscriber
		for range 3 {
			s := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
			slow = append(slow, s)
		}
		sendIDs(t, tx, 1)
		ended := make(chan error, 1)
		go func() { ended <- tx.SendWait(context.Background(), hub.Std(2)) }()
		synctest.Wait()
		start := time.Now()
		slow[1].Close()
		slow[0].SetFilters(only(3))
		slow[0].Recv(doneCtx())
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("SendWait returned %v, and one has no room yet", err)
		default:
		}
		recvNext(t, slow[2])
		if err := <-ended; err != nil {
			t.Errorf("SendWait: %v", err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("SendWait returned %v after there was room", d)
		}
	})
}

// With nothing to send there is nothing to wait for, and no reason to fail.
func TestSendBatchOfNothingWaitsForNobody(t *testing.T) {
	noSpin(t)
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		createOn(t, h, "can0", 1)
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		if err := tx.SendBatch(soon(t), numbered(1, 2)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		sendIDs(t, tx, 3) // fills the inbox
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		for _, s := range []*hub.Subscriber{tx, slow} {
			start := time.Now()
			if err := s.SendBatch(ctx, nil); err != nil || time.Since(start) != 0 {
				t.Errorf("SendBatch of nothing returned %v after %v, want nil at once", err, time.Since(start))
			}
		}
	})
}
