package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
)

// ways are the ways to receive: each returns one message or more.
var ways = []struct {
	name string
	recv func(ctx context.Context, s *hub.Subscriber) ([]hub.Message, error)
}{
	{"Recv", func(ctx context.Context, s *hub.Subscriber) ([]hub.Message, error) {
		m, err := s.Recv(ctx)
		return []hub.Message{m}, err
	}},
	{"RecvBatch", func(ctx context.Context, s *hub.Subscriber) ([]hub.Message, error) { return s.RecvBatch(ctx) }},
	{"C", func(ctx context.Context, s *hub.Subscriber) ([]hub.Message, error) {
		select {
		case m, ok := <-s.C():
			if !ok {
				return nil, hub.ErrClosed
			}
			return []hub.Message{m}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}},
	{"All", func(ctx context.Context, s *hub.Subscriber) ([]hub.Message, error) {
		for m := range s.All(ctx) {
			return []hub.Message{m}, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return nil, hub.ErrClosed
	}},
}

// held makes a channel can0 that waits for room in the queue of a subscriber.
// What is sent then stays in its inbox until release. Two messages were sent
// before, 7F0 and 7F1.
func held(t *testing.T, h *hub.Hub, inbox int) (release func()) {
	t.Helper()
	createOn(t, h, "can0", inbox)
	tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
	slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
	sendIDs(t, tx, 0x7F0)
	synctest.Wait()
	sendIDs(t, tx, 0x7F1)
	synctest.Wait()
	return func() { slow.Close() }
}

// Calls that put something into the order of a channel have their place in it
// when they return, whoever makes them: messages, a task's too, new filters, new
// subscribers.
func TestWhatBeginsAfterAnotherCallHasReturnedIsBehindIt(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				release := held(t, h, 4096)
				var senders []*hub.Subscriber
				for i := range 4 {
					o := hub.SubscriberOptions{SendOnly: i%2 == 0, Queue: 1 << 13}
					senders = append(senders, openOn(t, h, "can0", &o))
				}
				filtered := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 << 13})
				// A viewer is a subscriber and the number of the first message it is to have.
				type viewer struct {
					s     *hub.Subscriber
					first int
				}
				viewers := []viewer{{openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 << 13}), 0}}
				n := 0 // messages so far; the identifier of the next
				next := func() hub.Message { n++; return hub.Std(uint32(n-1), byte(n)) }
				type change struct {
					n, parity int // from message n on only those of this parity; -1 for all
				}
				changes := []change{{0, -1}}
				for range 60 {
					s := senders[rnd.IntN(len(senders))]
					switch rnd.IntN(10) {
					case 0, 1, 2, 3:
						if err := s.Send(t.Context(), next()); err != nil {
							t.Fatal(err)
						}
					case 4, 5:
						var batch []hub.Message
						for range 1 + rnd.IntN(9) {
							batch = append(batch, next())
						}
						if err := s.SendBatch(t.Context(), batch); err != nil {
							t.Fatal(err)
						}
					case 6:
						p := &hub.Periodic{Messages: []hub.Message{next()}, Period: time.Hour, Count: 1, CatchUp: rnd.IntN(2) == 0}
						if _, err := s.SendPeriodic(p); err != nil {
							t.Fatal(err)
						}
						synctest.Wait() // it has sent
					case 7:
						viewers = append(viewers, viewer{openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1 << 13}), n})
					case 8:
						parity := rnd.IntN(3) - 1
						changes = append(changes, change{n, parity})
						if parity < 0 {
							filtered.SetFilters()
						} else {
							filtered.SetFilters(hub.Filter{ID: uint32(parity), Mask: 1})
						}
					case 9: // who has sent leaves, and another takes its turns
						i := rnd.IntN(len(senders))
						senders[i].Close()
						senders[i] = openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					}
				}
				release()
				synctest.Wait()
				ids := func(s *hub.Subscriber) (ids []int) {
					got, err := pollAll(s)
					if err != context.Canceled {
						t.Errorf("%s: polling ended with %v", s.Name(), err)
					}
					last := uint64(0)
					for _, m := range got {
						if m.Seq <= last {
							t.Errorf("%s: number %d is behind %d", s.Name(), m.Seq, last)
						}
						if last = m.Seq; m.ID < 0x7F0 {
							ids = append(ids, int(m.ID))
						}
					}
					return ids
				}
				for _, v := range viewers {
					var want []int
					for i := v.first; i < n; i++ {
						want = append(want, i)
					}
					if got := ids(v.s); !slices.Equal(want, got) {
						diff := cmp.Diff(want, got)
						t.Errorf("%s, which joined before message %d (-want +got):\n%s", v.s.Name(), v.first, diff)
					}
				}
				got := make(map[int]bool)
				last := -1
				for _, id := range ids(filtered) {
					if id <= last {
						t.Errorf("with filters, %d is behind %d", id, last)
					}
					last, got[id] = id, true
				}
				for id := range n {
					// Its own filters and the latest ones must let it through. If all in between
					// do as well, then it must be there.
					allowed, wanted := true, true
					for i, c := range changes {
						pass := c.parity < 0 || id&1 == c.parity
						inUse := i == len(changes)-1 || changes[i+1].n > id // at its time or later
						ofItsTime := inUse && c.n <= id
						if (ofItsTime || i == len(changes)-1) && !pass {
							allowed = false
						}
						if inUse && !pass {
							wanted = false
						}
					}
					if got[id] && !allowed || !got[id] && wanted {
						t.Errorf("with filters %v: received message %d is %v, allowed %v, wanted %v", changes, id, got[id], allowed, wanted)
					}
				}
			})
		})
	}
}

// A Send that begins after another one has returned is behind it, also where
// many goroutines send for many subscribers at the same time, and by every kind
// of send.
func TestASendThatBeginsAfterAnotherHasReturnedIsBehindIt(t *testing.T) {
	const senders, each = 6, 1500
	for _, inbox := range []int{1, 8, 0} {
		t.Run(fmt.Sprint("inbox ", inbox), func(t *testing.T) {
			inTime(t, "sending and receiving", func() {
				h := hub.New(nil)
				defer h.Close()
				createOn(t, h, "can0", inbox)
				// Small queues: the inbox is mostly full, and at times empty.
				receivers := []*hub.Subscriber{
					openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 7}),
					openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 100}),
				}
				var clock atomic.Uint64
				began, ended := make([]uint64, senders*each), make([]uint64, senders*each)
				ctx := context.Background()
				var sending, receiving sync.WaitGroup
				orders := make([][]int, len(receivers))
				for r, rx := range receivers {
					receiving.Go(func() {
						for len(orders[r]) < senders*each {
							batch, err := rx.RecvBatch(ctx)
							if err != nil {
								t.Error(err)
								return
							}
							for _, m := range batch {
								orders[r] = append(orders[r], int(m.Tag))
							}
						}
					})
				}
				shared := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				for k := range senders {
					tx := shared // of two goroutines; the others have their own
					if k >= 2 {
						tx = openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					}
					sending.Go(func() {
						for i := 0; i < each; {
							n := k*each + i
							var err error
							start := clock.Add(1)
							switch m := (hub.Message{ID: uint32(k), Tag: uint64(n)}); {
							case i%17 == 0 && i+1 < each:
								o := m
								o.Tag++
								err = tx.SendBatch(ctx, []hub.Message{m, o})
								began[n+1] = start
								i++
							case i%29 == 0:
								err = tx.SendWait(ctx, m)
							default:
								err = tx.Send(ctx, m)
							}
							end := clock.Add(1)
							began[n], ended[n] = start, end
							if n+1 < len(ended) && i == n-k*each+1 {
								ended[n+1] = end
							}
							if err != nil {
								t.Error(err)
								return
							}
							i++
						}
					})
				}
				sending.Wait()
				receiving.Wait()
				for r, order := range orders {
					if !slices.Equal(orders[0], order) {
						t.Fatalf("receivers 0 and %d see different orders:\n%s", r, cmp.Diff(orders[0], order))
					}
				}
				latest, latestOf := uint64(0), 0 // of those that began, so far in the order
				for _, n := range orders[0] {
					if ended[n] < latest {
						t.Fatalf("message %d of sender %d is behind message %d of sender %d, whose send began after its own had returned",
							n%each, n/each, latestOf%each, latestOf/each)
					}
					if began[n] > latest {
						latest, latestOf = began[n], n
					}
				}
			})
		})
	}
}
