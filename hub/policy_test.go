package hub_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

func policyOpen(t *testing.T, h *hub.Hub, o *hub.SubscriberOptions) *hub.Subscriber {
	t.Helper()
	s, err := h.Open("can0", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func policySend(t *testing.T, s *hub.Subscriber, ids ...uint32) {
	t.Helper()
	for _, id := range ids {
		if err := s.Send(t.Context(), hub.Ext(id)); err != nil {
			t.Fatalf("Send %d: %v", id, err)
		}
	}
}

// policyBatch returns messages with the identifiers first, first+1 and so on.
func policyBatch(first uint32, n int) []hub.Message {
	msgs := make([]hub.Message, n)
	for i := range msgs {
		msgs[i] = hub.Ext(first + uint32(i))
	}
	return msgs
}

// policyDone is a ctx that makes every receive call a poll.
func policyDone() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// policyRecv receives one message, and waits a day of fake time for it.
func policyRecv(t *testing.T, s *hub.Subscriber) hub.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
	defer cancel()
	m, err := s.Recv(ctx)
	if err != nil {
		t.Fatalf("%s: Recv: %v", s.Name(), err)
	}
	return m
}

// policyExpect receives the messages with these identifiers.
func policyExpect(t *testing.T, s *hub.Subscriber, ids ...uint32) {
	t.Helper()
	for _, id := range ids {
		if m := policyRecv(t, s); m.ID != id {
			t.Fatalf("%s received %d, want %d", s.Name(), m.ID, id)
		}
	}
}

// policyBubble is synctest.Test, but a deadlock fails this test alone instead
// of ending them all.
func policyBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("the bubble did not end: %v", p)
		}
	}()
	synctest.Test(t, f)
}

// policyDrain receives what is there with Recv.
func policyDrain(t *testing.T, s *hub.Subscriber) (ids []uint32) {
	t.Helper()
	for {
		m, err := s.Recv(policyDone())
		if err == context.Canceled {
			return ids
		}
		if err != nil {
			t.Fatalf("%s: Recv: %v", s.Name(), err)
		}
		ids = append(ids, m.ID)
	}
}

func policySeq(first uint32, n int) []uint32 {
	var ids []uint32
	for i := range n {
		ids = append(ids, first+uint32(i))
	}
	return ids
}

func policyWant(t *testing.T, who string, got, want []uint32) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s received %d, want %d", who, got, want)
	}
}

// A policyWay is one of the ways to receive. take returns something of what
// is there, in order, or nothing if nothing is there.
type policyWay struct {
	name string
	c    bool
	take func(t *testing.T, s *hub.Subscriber) []hub.Message
}

var policyWays = []policyWay{
	{name: "Recv", take: func(t *testing.T, s *hub.Subscriber) []hub.Message {
		m, err := s.Recv(policyDone())
		if err == nil {
			return []hub.Message{m}
		}
		if err != context.Canceled {
			t.Fatalf("Recv: %v", err)
		}
		return nil
	}},
	{name: "RecvBatch", take: func(t *testing.T, s *hub.Subscriber) []hub.Message {
		msgs, err := s.RecvBatch(policyDone())
		if err == nil && len(msgs) == 0 {
			t.Fatal("RecvBatch: neither messages nor an error")
		}
		if err != nil && err != context.Canceled {
			t.Fatalf("RecvBatch: %v", err)
		}
		return msgs
	}},
	{name: "C", c: true, take: func(t *testing.T, s *hub.Subscriber) []hub.Message {
		synctest.Wait()
		select {
		case m, ok := <-s.C():
			if !ok {
				t.Fatal("C is closed")
			}
			return []hub.Message{m}
		default:
			return nil
		}
	}},
}

// policyBatches is one more, for policies that leave what is on offer as it is.
var policyBatches = policyWay{name: "Batches", take: func(t *testing.T, s *hub.Subscriber) []hub.Message {
	in := s.Batches()
	synctest.Wait()
	select {
	case msgs, ok := <-in:
		if !ok || len(msgs) == 0 {
			t.Fatalf("Batches: %d messages, open: %v", len(msgs), ok)
		}
		return msgs
	default:
		return nil
	}
}}

var policyQueues = []int{1, 2, 3, 7, 256}

// A policyModel is what the documentation says about a subscriber that drops:
// a queue bounded in messages, and with C under DropOldest one message more, which
// is on offer and is not taken back.
type policyModel struct {
	policy   hub.Policy
	queue    int
	c        bool
	buffer   int      // of C
	held     []uint32 // on offer or queued
	dropped  int
	received int
}

func (p *policyModel) offered() int {
	if p.c && len(p.held) > p.buffer {
		return 1
	}
	return 0
}

// add is a Send, or a SendBatch, of ids.
func (p *policyModel) add(ids []uint32) {
	offered := p.offered()
	before := len(p.held)
	switch p.policy {
	case hub.DropNewest:
		room := p.queue - before
		p.held = append(p.held, ids[:min(room, len(ids))]...)
		p.dropped += len(ids) - (len(p.held) - before)
	case hub.DropOldest:
		p.held = append(p.held, ids...)
		if excess := len(p.held) - offered - p.queue; excess > 0 {
			p.held = slices.Delete(p.held, offered, offered+excess)
			p.dropped += excess
		}
	}
}

func TestDropPoliciesKeepExactlyWhatTheyPromise(t *testing.T) {
	for _, policy := range []hub.Policy{hub.DropOldest, hub.DropNewest} {
		for _, queue := range policyQueues {
			for _, way := range policyWays {
				for _, batches := range []bool{false, true} {
					name := fmt.Sprintf("%v/queue=%d/%s/batches=%v", policy, queue, way.name, batches)
					t.Run(name, func(t *testing.T) {
						policyBubble(t, func(t *testing.T) {
							policyCheckDrops(t, policy, queue, way, batches)
						})
					})
				}
			}
		}
	}
}

func policyCheckDrops(t *testing.T, policy hub.Policy, queue int, way policyWay, batches bool) {
	h := hub.New(nil)
	defer h.Close()
	tx := policyOpen(t, h, nil)
	rx := policyOpen(t, h, &hub.SubscriberOptions{Queue: queue, Policy: policy})
	model := policyModel{policy: policy, queue: queue, c: way.c}
	// How many to send, or below 0 to take, in this order. Messages are
	// numbered through from 1.
	steps := []int{queue + 1, -1, 1, 1, -2, 3*queue + 2, 1, -queue, queue, 2, -10 * queue, queue, 1, 1, -1, 2 * queue}
	if way.c {
		model.buffer = cap(rx.C())
	}
	next := uint32(1)
	start := time.Now()

	take := func() bool {
		msgs := way.take(t, rx)
		if len(msgs) > len(model.held) {
			t.Fatalf("received %d messages, want at most %d", len(msgs), len(model.held))
		}
		for i, m := range msgs {
			if m.ID != model.held[i] || m.Seq != uint64(m.ID) {
				t.Fatalf("received message %d with Seq %d, want %d", m.ID, m.Seq, model.held[i])
			}
		}
		model.held = model.held[len(msgs):]
		model.received += len(msgs)
		return len(msgs) > 0
	}
	check := func(step string) {
		synctest.Wait()
		got := rx.Stats()
		want := hub.Stats{
			Received: uint64(model.received),
			Dropped:  uint64(model.dropped),
			Queued:   min(len(model.held), queue),
			Capacity: queue,
		}
		if got != want {
			t.Fatalf("%s: stats %+v, want %+v", step, got, want)
		}
	}

	single := func() {
		policySend(t, tx, next)
		model.add([]uint32{next})
		next++
		if way.c {
			synctest.Wait() // the next one to take is on offer
		}
	}

	for i, n := range steps {
		switch {
		case n > 0 && batches:
			// With nothing on offer the channel, which has a batch to hand
			// over, and the goroutine of C would run a race.
			for way.c && model.offered() == 0 {
				single()
			}
			msgs := policyBatch(next, n)
			if err := tx.SendBatch(t.Context(), msgs); err != nil {
				t.Fatal(err)
			}
			model.add(policySeq(next, n))
			next += uint32(n)
		case n > 0:
			for range n {
				single()
			}
		default:
			for range -n {
				if !take() {
					break
				}
			}
		}
		check(fmt.Sprintf("step %d (%d)", i+1, n))
	}
	for take() {
	}
	check("end")
	if len(model.held) > 0 {
		t.Errorf("lost without being counted: %d", model.held)
	}
	if total := uint64(next - 1); tx.Stats().Sent != total || uint64(model.received+model.dropped) != total {
		t.Errorf("%d sent as by the stats, %d received, %d dropped, want %d in all",
			tx.Stats().Sent, model.received, model.dropped, total)
	}
	if d := time.Since(start); d != 0 {
		t.Errorf("the channel waited for %v", d)
	}
}

// Without steps and models: what the README's reader expects.
func TestDropNewestKeepsTheFirstAndDropOldestTheLast(t *testing.T) {
	for _, queue := range policyQueues {
		t.Run(fmt.Sprintf("queue=%d", queue), func(t *testing.T) {
			policyBubble(t, func(t *testing.T) {
				h := hub.New(nil)
				defer h.Close()
				tx := policyOpen(t, h, nil)
				first := policyOpen(t, h, &hub.SubscriberOptions{Name: "first", Queue: queue, Policy: hub.DropNewest})
				last := policyOpen(t, h, &hub.SubscriberOptions{Name: "last", Queue: queue, Policy: hub.DropOldest})
				if err := tx.SendBatch(t.Context(), policyBatch(1, 3*queue)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				for _, s := range []*hub.Subscriber{first, last} {
					want := hub.Stats{Dropped: uint64(2 * queue), Queued: queue, Capacity: queue}
					if got := s.Stats(); got != want {
						t.Errorf("%s: stats %+v, want %+v", s.Name(), got, want)
					}
				}
				policyWant(t, "first", policyDrain(t, first), policySeq(1, queue))
				policyWant(t, "last", policyDrain(t, last), policySeq(uint32(2*queue)+1, queue))
			})
		})
	}
}

func TestQueuedNeverExceedsCapacityAlsoBesideAnErrorFrame(t *testing.T) {
	for _, policy := range []hub.Policy{hub.Block, hub.DropOldest, hub.DropNewest} {
		for _, queue := range []int{1, 2, 7} {
			t.Run(fmt.Sprintf("%v/queue=%d", policy, queue), func(t *testing.T) {
				policyBubble(t, func(t *testing.T) {
					h := hub.New(nil)
					defer h.Close()
					tx := policyOpen(t, h, nil)
					rx := policyOpen(t, h, &hub.SubscriberOptions{Queue: queue, Policy: policy, ErrorFrames: true})
					for range 5 {
						policySend(t, tx, policySeq(1, queue+1)...)
						synctest.Wait()
						policyRecv(t, rx)
						policySend(t, tx, policySeq(1, queue+1)...)
						synctest.Wait()
						if st := rx.Stats(); st.Queued > st.Capacity {
							t.Fatalf("stats %+v: more queued than the queue holds", st)
						}
						for range 2 * (queue + 1) { // Block needs room for all
							policyDrain(t, rx)
							synctest.Wait()
						}
					}
				})
			})
		}
	}
}

// The goroutine of C moves messages from the queue to the chan's buffer while
// the channel looks for room: neither may count on what the other has counted.
func TestQueuedNeverExceedsCapacityWhileCRunsAhead(t *testing.T) {
	policyBubble(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		tx := policyOpen(t, h, nil)
		rx := policyOpen(t, h, &hub.SubscriberOptions{Policy: hub.DropNewest})
		in := rx.C()
		batch := policyBatch(1, 256)
		for range 2000 {
			for range 3 {
				if err := tx.SendBatch(t.Context(), batch); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			st := rx.Stats()
			if st.Queued > st.Capacity {
				t.Fatalf("stats %+v: more queued than the queue holds", st)
			}
			for st.Queued > 0 {
				for range st.Queued {
					select {
					case <-in:
					case <-time.After(time.Hour):
						t.Fatalf("nothing comes, stats %+v", rx.Stats())
					}
				}
				synctest.Wait()
				st = rx.Stats()
			}
		}
	})
}

func TestBlockLosesNothingAndBoundsTheQueue(t *testing.T) {
	for _, queue := range policyQueues {
		for _, way := range append(policyWays, policyBatches) {
			for _, batch := range []int{1, queue, 2*queue + 1} {
				t.Run(fmt.Sprintf("queue=%d/%s/batch=%d", queue, way.name, batch), func(t *testing.T) {
					policyBubble(t, func(t *testing.T) { policyCheckBlock(t, queue, way, batch) })
				})
			}
		}
	}
}

func policyCheckBlock(t *testing.T, queue int, way policyWay, batch int) {
	h := hub.New(nil)
	defer h.Close()
	tx := policyOpen(t, h, nil)
	rx := policyOpen(t, h, &hub.SubscriberOptions{Queue: queue}) // Block is the default
	if way.c {
		rx.C()
	}
	total := 3*queue + 70 // more than the inbox holds, if sent one by one
	sent := make(chan error, 1)
	go func() {
		for next := 1; next <= total; next += batch {
			n := min(batch, total-next+1)
			var err error
			if n == 1 {
				err = tx.Send(context.Background(), hub.Ext(uint32(next)))
			} else {
				err = tx.SendBatch(context.Background(), policyBatch(uint32(next), n))
			}
			if err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for next := uint64(1); next <= uint64(total); {
		synctest.Wait()
		switch st := rx.Stats(); {
		case st.Queued > queue:
			t.Fatalf("%d messages queued, want at most %d", st.Queued, queue)
		case next == 1 && st.Queued != queue:
			t.Fatalf("%d messages queued before the first is received, want %d", st.Queued, queue)
		case st.Dropped != 0:
			t.Fatalf("%d messages dropped", st.Dropped)
		}
		msgs := way.take(t, rx)
		if len(msgs) == 0 {
			t.Fatalf("nothing received after message %d of %d", next-1, total)
		}
		for _, m := range msgs {
			if m.Seq != next || uint64(m.ID) != next {
				t.Fatalf("received message %d with Seq %d, want %d", m.ID, m.Seq, next)
			}
			next++
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	want := hub.Stats{Received: uint64(total), Capacity: queue}
	if got := rx.Stats(); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	if got := tx.Stats().Sent; got != uint64(total) {
		t.Errorf("Sent %d, want %d", got, total)
	}
}

// What a subscriber has received and what waits for it are not the same
// messages, whichever way it receives.
func TestStatsCountEachMessageOnce(t *testing.T) {
	for _, way := range append(policyWays, policyBatches) {
		t.Run(way.name, func(t *testing.T) {
			policyBubble(t, func(t *testing.T) {
				h := hub.New(nil)
				defer h.Close()
				tx := policyOpen(t, h, nil)
				rx := policyOpen(t, h, nil)
				if way.c {
					rx.C()
				}
				const total = 10
				policySend(t, tx, policySeq(1, total)...)
				for received := 0; ; {
					synctest.Wait()
					want := hub.Stats{Received: uint64(received), Queued: total - received, Capacity: 256}
					if got := rx.Stats(); got != want {
						t.Fatalf("after %d received: stats %+v, want %+v", received, got, want)
					}
					msgs := way.take(t, rx)
					if len(msgs) == 0 {
						break
					}
					received += len(msgs)
				}
			})
		})
	}
}

func TestSlowSubscriberCostsTheOthersNothingIfItDrops(t *testing.T) {
	for _, policy := range []hub.Policy{hub.DropOldest, hub.DropNewest} {
		for _, c := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/C=%v", policy, c), func(t *testing.T) {
				policyBubble(t, func(t *testing.T) {
					h := hub.New(nil)
					defer h.Close()
					tx := policyOpen(t, h, nil)
					slow := policyOpen(t, h, &hub.SubscriberOptions{Queue: 1, Policy: policy})
					quick := policyOpen(t, h, &hub.SubscriberOptions{Queue: 1})
					if c {
						slow.C()
					}
					start := time.Now()
					const total = 1000
					policySend(t, tx, 0)
					synctest.Wait() // with C it is on offer, before the queue fills
					go func() {
						for id := uint32(1); id < total; id++ {
							if err := tx.Send(context.Background(), hub.Ext(id)); err != nil {
								t.Error(err)
								return
							}
						}
					}()
					for id := range uint32(total) {
						m := policyRecv(t, quick)
						if m.ID != id || m.Seq != uint64(id)+1 {
							t.Fatalf("quick received message %d with Seq %d, want %d", m.ID, m.Seq, id)
						}
					}
					synctest.Wait()
					if d := time.Since(start); d != 0 {
						t.Errorf("quick was held up for %v", d)
					}
					if got := quick.Stats(); got.Received != total || got.Dropped != 0 {
						t.Errorf("quick: stats %+v, want %d received, none dropped", got, total)
					}
					want := uint64(total - 1)
					if c && policy == hub.DropOldest {
						want-- // one more is on offer
					}
					if got := slow.Stats(); got.Dropped != want || got.Queued != 1 {
						t.Errorf("slow: stats %+v, want %d dropped, 1 queued", got, want)
					}
				})
			})
		}
	}
}

func TestBlockedChannelHasGivenTheOthersTheCurrentBatch(t *testing.T) {
	// The slow one may have joined before or after the quick ones.
	for _, at := range []int{0, 1, 2} {
		t.Run(fmt.Sprintf("slow=%d", at), func(t *testing.T) {
			policyBubble(t, func(t *testing.T) {
				h := hub.New(nil)
				defer h.Close()
				tx := policyOpen(t, h, nil)
				var slow *hub.Subscriber
				var quick []*hub.Subscriber
				for i := range 3 {
					if i == at {
						slow = policyOpen(t, h, &hub.SubscriberOptions{Queue: 2})
					} else {
						quick = append(quick, policyOpen(t, h, nil))
					}
				}
				start := time.Now()
				if err := tx.SendBatch(t.Context(), policyBatch(1, 10)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				policySend(t, tx, 11) // its turn comes when slow has made room
				synctest.Wait()
				for _, s := range quick {
					policyWant(t, s.Name(), policyDrain(t, s), policySeq(1, 10))
				}
				if got := slow.Stats(); got.Queued != 2 || got.Dropped != 0 {
					t.Errorf("slow: stats %+v, want 2 queued, none dropped", got)
				}
				policyExpect(t, slow, policySeq(1, 11)...)
				synctest.Wait()
				for _, s := range quick {
					policyWant(t, s.Name(), policyDrain(t, s), []uint32{11})
				}
				if d := time.Since(start); d != 0 {
					t.Errorf("%v have passed, want none", d)
				}
			})
		})
	}
}

func TestSubscriberThatOnlySendsBlocksNobody(t *testing.T) {
	policyBubble(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		a := policyOpen(t, h, &hub.SubscriberOptions{SendOnly: true})
		b := policyOpen(t, h, &hub.SubscriberOptions{SendOnly: true})
		rx := policyOpen(t, h, nil)
		start := time.Now()
		for id := uint32(1); id <= 1000; id += 2 {
			policySend(t, a, id)
			policySend(t, b, id+1)
			policyExpect(t, rx, id, id+1)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("%v have passed, want none", d)
		}
		for _, s := range []*hub.Subscriber{a, b} {
			if got := s.Stats(); got.Sent != 500 || got.Received != 0 || got.Queued != 0 || got.Dropped != 0 {
				t.Errorf("%s: stats %+v, want 500 sent and nothing else", s.Name(), got)
			}
		}
	})
}

var policyLimits = []time.Duration{1, 10 * time.Millisecond, time.Second - 1, time.Second, time.Second + 1,
	2500 * time.Millisecond, time.Minute}

func TestBlockForWaitsExactlyThatLongAndOnlyOnce(t *testing.T) {
	for _, limit := range policyLimits {
		for _, queue := range []int{1, 3, 256} {
			t.Run(fmt.Sprintf("%v/queue=%d", limit, queue), func(t *testing.T) {
				policyBubble(t, func(t *testing.T) {
					h := hub.New(nil)
					defer h.Close()
					tx := policyOpen(t, h, nil)
					slow := policyOpen(t, h, &hub.SubscriberOptions{Name: "slow", Queue: queue, BlockFor: limit})

					// send checks how long a message takes, and who gets it.
					id, dropped := uint32(0), uint64(0)
					send := func(takes time.Duration, delivered bool) {
						t.Helper()
						id++
						start := time.Now()
						err := tx.SendWait(t.Context(), hub.Ext(id))
						if d := time.Since(start); d != takes {
							t.Errorf("message %d took %v, want %v", id, d, takes)
						}
						var missed *hub.DeliveryError
						switch {
						case delivered && err != nil:
							t.Errorf("message %d: %v", id, err)
						case !delivered && !(errors.As(err, &missed) && slices.Equal(missed.Missed, []string{"slow"})):
							t.Errorf("message %d: error %v, want a DeliveryError that names slow", id, err)
						}
						if !delivered {
							dropped++
						}
						if got := slow.Stats().Dropped; got != dropped {
							t.Errorf("message %d: Dropped %d, want %d", id, got, dropped)
						}
					}

					for range queue {
						send(0, true)
					}
					send(limit, false)
					send(0, false) // given up
					time.Sleep(time.Hour)
					send(0, false) // for as long as it takes nothing
					policyExpect(t, slow, 1)
					send(0, true) // room again: message queue+4
					send(limit, false)
					send(0, false)
					policyExpect(t, slow, policySeq(2, queue-1)...)
					policyExpect(t, slow, uint32(queue)+4)
					for range queue {
						send(0, true)
					}
					send(limit, false)
				})
			})
		}
	}
}

func TestBlockForRunsFromWhatWasTakenLast(t *testing.T) {
	for _, taken := range []int{0, 1} {
		for _, limit := range policyLimits[1:] {
			t.Run(fmt.Sprintf("taken=%d/%v", taken, limit), func(t *testing.T) {
				policyBubble(t, func(t *testing.T) {
					h := hub.New(nil)
					defer h.Close()
					tx := policyOpen(t, h, nil)
					slow := policyOpen(t, h, &hub.SubscriberOptions{Queue: 7, BlockFor: limit})
					quick := policyOpen(t, h, nil)
					start := time.Now()
					if err := tx.SendBatch(t.Context(), policyBatch(1, 20)); err != nil {
						t.Fatal(err)
					}
					policySend(t, tx, 21)
					time.Sleep(limit / 2)
					until := limit
					for range taken { // makes room and sets the clock back
						policyRecv(t, slow)
						until = limit/2 + limit
					}
					for id := uint32(1); id <= 21; id++ {
						m := policyRecv(t, quick)
						if m.ID != id {
							t.Fatalf("quick received %d, want %d", m.ID, id)
						}
						if id == 20 {
							if d := time.Since(start); d != limit/2 {
								t.Errorf("the batch was there after %v, want %v", d, limit/2)
							}
						}
						if id == 21 {
							if d := m.Time().Sub(start); d != until {
								t.Errorf("the channel went on after %v, want %v", d, until)
							}
						}
					}
					synctest.Wait()
					if got, want := slow.Stats().Dropped, uint64(14-taken); got != want {
						t.Errorf("Dropped %d, want %d", got, want)
					}
					policyWant(t, "slow", policyDrain(t, slow), policySeq(uint32(taken)+1, 7))
				})
			})
		}
	}
}

// How many sends the channel happens to take out of its inbox at once must not
// decide what is lost: here every message finds room within BlockFor.
func TestBlockForLosesNothingOfASubscriberThatIsInTime(t *testing.T) {
	for _, burst := range []int{1, 2, 50} {
		t.Run(fmt.Sprintf("burst=%d", burst), func(t *testing.T) {
			policyBubble(t, func(t *testing.T) {
				h := hub.New(nil)
				defer h.Close()
				tx := policyOpen(t, h, nil)
				rx := policyOpen(t, h, &hub.SubscriberOptions{Queue: 1, BlockFor: 10 * time.Millisecond})
				for next := uint32(1); next < 100; next += uint32(burst) {
					policySend(t, tx, policySeq(next, burst)...)
					for id := range uint32(burst) {
						time.Sleep(10*time.Millisecond - 1)
						policyExpect(t, rx, next+id)
					}
				}
				if got := rx.Stats().Dropped; got != 0 {
					t.Errorf("Dropped %d, want 0", got)
				}
			})
		})
	}
}

// A policyLog is a log handler that hands every record to a func.
type policyLog func(slog.Record)

func (l policyLog) Enabled(context.Context, slog.Level) bool      { return true }
func (l policyLog) Handle(_ context.Context, r slog.Record) error { l(r); return nil }
func (l policyLog) WithAttrs([]slog.Attr) slog.Handler            { return l }
func (l policyLog) WithGroup(string) slog.Handler                 { return l }

func policyAttr(r slog.Record, key string) (v string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			v = a.Value.String()
		}
		return true
	})
	return v
}

// A policyStall is a channel "can0" with an inbox for one send, stalled until
// the inbox is full: slow holds message 1, the channel waits with message 2, and
// message 3 is in the inbox.
type policyStall struct {
	hub      *hub.Hub
	tx, slow *hub.Subscriber
}

// policyStalled makes one whose log handler is log.
func policyStalled(t *testing.T, o *hub.SubscriberOptions, log func(policyStall, slog.Record)) policyStall {
	t.Helper()
	made := make(chan policyStall, 1) // has it for the handler
	s := policyStall{hub: hub.New(&hub.Options{Logger: slog.New(policyLog(func(r slog.Record) {
		s := <-made
		made <- s
		log(s, r)
	}))})}
	if err := s.hub.Create("can0", &hub.ChannelOptions{Inbox: 1}); err != nil {
		t.Fatal(err)
	}
	s.tx = policyOpen(t, s.hub, nil)
	s.slow = policyOpen(t, s.hub, o)
	made <- s
	synctest.Wait()
	for id := uint32(1); id <= 3; id++ {
		policySend(t, s.tx, id)
		synctest.Wait()
	}
	return s
}

func TestStallIsLoggedAfterOneSecondWithTheSubscribersName(t *testing.T) {
	for _, c := range []bool{false, true} {
		t.Run(fmt.Sprintf("C=%v", c), func(t *testing.T) {
			policyBubble(t, func(t *testing.T) {
				logged := make(chan slog.Record, 10)
				h := hub.New(&hub.Options{Logger: slog.New(policyLog(func(r slog.Record) { logged <- r }))})
				defer h.Close()
				tx := policyOpen(t, h, nil)
				slow := policyOpen(t, h, &hub.SubscriberOptions{Name: "dashboard", Queue: 1})
				if c {
					slow.C()
				}
				policySend(t, tx, 0)
				time.Sleep(time.Hour) // a full queue is no stall while nobody sends
				synctest.Wait()
				if len(logged) > 0 {
					t.Fatalf("logged before the channel had to wait: %v", <-logged)
				}
				start := time.Now()
				policySend(t, tx, 100)
				time.Sleep(time.Second - 1)
				synctest.Wait()
				if len(logged) > 0 {
					t.Fatalf("logged %v before a second has passed: %v", time.Second-time.Since(start), <-logged)
				}
				r := <-logged
				if d := time.Since(start); d != time.Second {
					t.Errorf("logged after %v, want 1s", d)
				}
				if r.Level != slog.LevelWarn {
					t.Errorf("level %v, want %v", r.Level, slog.LevelWarn)
				}
				if got := policyAttr(r, "subscriber"); got != "dashboard" {
					t.Errorf("subscriber %q, want dashboard", got)
				}
				if got := policyAttr(r, "channel"); got != "can0" {
					t.Errorf("channel %q, want can0", got)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if len(logged) > 0 {
					t.Errorf("the same stall is logged again: %v", <-logged)
				}
			})
		})
	}
}

func TestStallIsNotLoggedOfWhoIsSlowButAlive(t *testing.T) {
	policyBubble(t, func(t *testing.T) {
		h := hub.New(&hub.Options{Logger: slog.New(policyLog(func(r slog.Record) { t.Errorf("logged: %v", r) }))})
		defer h.Close()
		tx := policyOpen(t, h, nil)
		slow := policyOpen(t, h, &hub.SubscriberOptions{Queue: 1})
		if err := tx.SendBatch(t.Context(), policyBatch(0, 20)); err != nil {
			t.Fatal(err)
		}
		for id := range uint32(20) {
			time.Sleep(900 * time.Millisecond)
			policyExpect(t, slow, id)
		}
	})
}

func TestStallIsNotLoggedWhereBlockForEndsItFirst(t *testing.T) {
	policyBubble(t, func(t *testing.T) {
		s := policyStalled(t, &hub.SubscriberOptions{Queue: 1, BlockFor: time.Second - 1},
			func(_ policyStall, r slog.Record) { t.Errorf("logged: %v", r) })
		defer s.hub.Close()
		time.Sleep(time.Minute)
		if got := s.slow.Stats().Dropped; got != 2 {
			t.Errorf("Dropped %d, want 2", got)
		}
	})
}

func TestLogHandlerMayUseTheChannelItIsCalledFor(t *testing.T) {
	policyBubble(t, func(t *testing.T) {
		done := make(chan struct{})
		s := policyStalled(t, &hub.SubscriberOptions{Queue: 1}, func(s policyStall, _ slog.Record) {
			defer close(done)
			own, err := s.hub.Open("can0", &hub.SubscriberOptions{Queue: 1, Policy: hub.DropNewest})
			if err != nil {
				t.Errorf("Open: %v", err)
				return
			}
			if got := s.hub.Channels(); len(got) != 1 || got[0].Subscribers != 3 {
				t.Errorf("channels %+v, want can0 with 3 subscribers", got)
			}
			// The inbox is full: these wait until slow receives.
			if err := own.Send(context.Background(), hub.Ext(4)); err != nil {
				t.Errorf("Send: %v", err)
			}
			if err := s.tx.Send(context.Background(), hub.Ext(5)); err != nil {
				t.Errorf("Send of another subscriber: %v", err)
			}
			own.Close()
		})
		defer s.hub.Close()

		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case <-done:
			t.Error("the handler has sent to a full inbox")
		default:
		}
		policyExpect(t, s.slow, 1, 2, 3, 4, 5)
		<-done
		if got := s.hub.Channels(); len(got) != 1 || got[0].Subscribers != 2 {
			t.Errorf("channels %+v, want can0 with 2 subscribers", got)
		}
	})
}

func TestLogHandlerThatWaitsForTheChannelDoesNotHoldUpClose(t *testing.T) {
	policyBubble(t, func(t *testing.T) {
		ended := make(chan error, 1)
		s := policyStalled(t, &hub.SubscriberOptions{Queue: 1}, func(s policyStall, _ slog.Record) {
			ended <- s.tx.Send(context.Background(), hub.Ext(4))
		})
		time.Sleep(time.Minute)
		start := time.Now()
		s.hub.Close()
		if d := time.Since(start); d != 0 {
			t.Errorf("Close took %v", d)
		}
		if err := <-ended; err != hub.ErrClosed {
			t.Errorf("the handler's Send: %v, want %v", err, hub.ErrClosed)
		}
	})
}

func TestLogHandlerMayCloseTheSubscriberThatStalls(t *testing.T) {
	policyBubble(t, func(t *testing.T) {
		s := policyStalled(t, &hub.SubscriberOptions{Queue: 1},
			func(s policyStall, _ slog.Record) { s.slow.Close() })
		defer s.hub.Close()
		quick := policyOpen(t, s.hub, nil)
		start := time.Now()
		if err := s.tx.SendWait(t.Context(), hub.Ext(4)); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("the channel went on after %v, want 1s", d)
		}
		if got := policyDrain(t, quick); !slices.Contains(got, 4) {
			t.Errorf("quick received %d, want 4 among them", got)
		}
	})
}

// Close works at any time and from any goroutine, also from that of a log call.
func TestLogHandlerMayCloseTheHub(t *testing.T) {
	policyBubble(t, func(t *testing.T) {
		s := policyStalled(t, &hub.SubscriberOptions{Queue: 1},
			func(s policyStall, _ slog.Record) { s.hub.Close() })
		time.Sleep(time.Minute)
		if err := s.tx.Send(t.Context(), hub.Ext(4)); err != hub.ErrClosed {
			t.Errorf("Send after the handler's Close: %v, want %v", err, hub.ErrClosed)
		}
		s.hub.Close()
	})
}
