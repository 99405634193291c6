package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
)

// Senders of all kinds, by all ways to send, to a channel that is idle and to one
// that is held up and then has it all at once; receivers of all kinds. What each
// receives is worked out: which messages, in which order, with which numbers,
// times and marks, and that nobody's copy has anything of another's.
func TestMixedTrafficIsWhatWasSentForEverybody(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				rnd := rand.New(rand.NewPCG(seed, 3))
				createOn(t, h, "can0", 4096)
				jammer := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true, Name: "jammer"})
				nodes := []struct {
					o hub.SubscriberOptions
					s *hub.Subscriber
				}{
					{o: hub.SubscriberOptions{Name: "plain"}},
					{o: hub.SubscriberOptions{Name: "own", OwnMessages: true}},
					{o: hub.SubscriberOptions{Name: "keep", KeepTimestamps: true}},
					{o: hub.SubscriberOptions{Name: "own, keep", OwnMessages: true, KeepTimestamps: true}},
					{o: hub.SubscriberOptions{Name: "own, filters", OwnMessages: true, Filters: []hub.Filter{{ID: 1, Mask: 1}}}},
					{o: hub.SubscriberOptions{Name: "filters", Filters: []hub.Filter{{ID: 2, Mask: 6}, {ID: 0x10, Mask: 0x10}}}},
					{o: hub.SubscriberOptions{Name: "own, oldest", OwnMessages: true, Policy: hub.DropOldest}},
					{o: hub.SubscriberOptions{Name: "newest", Policy: hub.DropNewest, ErrorFrames: true}},
					{o: hub.SubscriberOptions{Name: "send only, keep", SendOnly: true, KeepTimestamps: true}},
					{o: hub.SubscriberOptions{Name: "send only", SendOnly: true}},
					{o: hub.SubscriberOptions{Name: "listen only", ListenOnly: true}},
				}
				for i := range nodes {
					if !nodes[i].o.SendOnly {
						nodes[i].o.Queue = 1 << 14
					}
					nodes[i].s = openOn(t, h, "can0", &nodes[i].o)
				}
				type sent struct {
					m    hub.Message // as everybody else sees it
					from int         // in nodes, or -1
				}
				var log []sent
				n := uint64(0)
				note := func(from int, m hub.Message, at time.Time) {
					n++
					if m.Seq = n; from < 0 || !nodes[from].o.KeepTimestamps {
						m.Timestamp = at.UnixNano()
					}
					m.Flags &^= hub.Own
					log = append(log, sent{m, from})
				}
				// All kinds of messages, also what a sender has received as its own before
				// or carries an old number and time.
				message := func() hub.Message {
					id := uint32(rnd.IntN(0x40))
					var m hub.Message
					switch rnd.IntN(5) {
					case 0:
						m = hub.Ext(id, byte(rnd.Uint32()))
					case 1:
						m = hub.RTR(id, 3)
					case 2:
						m = hub.FD(id, make([]byte, 48)...)
						m.Data[47] = byte(rnd.Uint32())
					default:
						m = hub.Std(id, byte(rnd.Uint32()), byte(rnd.Uint32()))
					}
					m.Tag, m.Timestamp, m.Seq = rnd.Uint64(), rnd.Int64N(1<<60), rnd.Uint64()
					if rnd.IntN(4) == 0 {
						m.Flags |= hub.Own
					}
					return m
				}
				for range 12 {
					time.Sleep(time.Duration(rnd.IntN(1e9)))
					var release func()
					var forwarded []int // of log: their time is that of the release
					if rnd.IntN(3) > 0 {
						slow := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1, Filters: []hub.Filter{{ID: 0x7F0, Mask: 0x7F0, StandardOnly: true}}})
						for range 2 {
							m := hub.Std(0x7F0)
							if err := jammer.Send(t.Context(), m); err != nil {
								t.Fatal(err)
							}
							note(-1, m, time.Now())
							synctest.Wait()
						}
						release = func() {
							time.Sleep(time.Duration(rnd.IntN(9e7)))
							now := time.Now().UnixNano()
							for _, i := range forwarded {
								if from := log[i].from; !nodes[from].o.KeepTimestamps {
									log[i].m.Timestamp = now
								}
							}
							slow.Close()
						}
					}
					for range rnd.IntN(30) {
						from := rnd.IntN(len(nodes) - 1) // the last one only listens
						s := nodes[from].s
						first := len(log)
						var err error
						switch rnd.IntN(8) {
						case 0, 1, 2, 3, 4:
							m := message()
							note(from, m, time.Now())
							err = s.Send(t.Context(), m)
						case 5, 6:
							var batch []hub.Message
							for range 1 + rnd.IntN(40) {
								m := message()
								note(from, m, time.Now())
								batch = append(batch, m)
							}
							err = s.SendBatch(t.Context(), batch)
							clear(batch) // it was copied
						case 7:
							m := message()
							note(from, m, time.Now())
							if release == nil {
								err = s.SendWait(t.Context(), m)
							} else {
								_, err = s.SendPeriodic(&hub.Periodic{Messages: []hub.Message{m}, Period: time.Hour, Count: 1})
								synctest.Wait()
							}
						}
						if err != nil {
							t.Fatal(err)
						}
						if release == nil && rnd.IntN(3) == 0 {
							synctest.Wait()
						}
						for i := first; i < len(log); i++ {
							forwarded = append(forwarded, i)
						}
					}
					if release != nil {
						release()
					}
					synctest.Wait()
				}
				for i, node := range nodes {
					if node.o.SendOnly {
						continue
					}
					var want []hub.Message
					for _, l := range log {
						if l.from == i {
							if !node.o.OwnMessages {
								continue
							}
							l.m.Flags |= hub.Own
						}
						pass := len(node.o.Filters) == 0
						for _, f := range node.o.Filters {
							pass = pass || f.Match(l.m)
						}
						if pass {
							want = append(want, l.m)
						}
					}
					var got []hub.Message
					var err error
					if way := receives[rnd.IntN(2)]; rnd.IntN(2) == 0 {
						err = way.all(doneCtx(), node.s, func(m hub.Message) { got = append(got, m) })
					} else {
						got, err = collectors[rnd.IntN(len(collectors))].collect(soon(t), node.s, len(want))
						if err == nil {
							_, err = node.s.Recv(doneCtx())
						}
					}
					if err != context.Canceled {
						t.Errorf("%s: receiving ended with %v", node.o.Name, err)
					}
					if !slices.Equal(want, got) { // cmp takes long for so many
						diff := cmp.Diff(want, got)
						t.Errorf("%s (-want +got):\n%.3000s", node.o.Name, diff)
					}
					sent := uint64(0)
					for _, l := range log {
						if l.from == i {
							sent++
						}
					}
					st := hub.Stats{Sent: sent, Received: uint64(len(want)), Capacity: node.o.Queue}
					if diff := cmp.Diff(st, node.s.Stats()); diff != "" {
						t.Errorf("Stats of %s (-want +got):\n%s", node.o.Name, diff)
					}
				}
			})
		})
	}
}
