package hub_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/canhub-go/canhub/hub"
)

// Ten thousand nodes of a channel only send, and mostly do not. They join and
// leave in any order; the others are right all the time, and so is what the hub
// says of them.
func TestTenThousandWhoOnlySendJoinAndLeaveInAnyOrder(t *testing.T) {
	for _, order := range []string{"first to last", "last to first", "at random"} {
		t.Run(order, func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				const n = 10_000
				rnd := rand.New(rand.NewPCG(1, 2))
				tx := openOn(t, h, "can0", nil)
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 4})
				count := func(want int) {
					t.Helper()
					if infos := h.Channels(); len(infos) != 1 || infos[0].Subscribers != want {
						t.Fatalf("Channels() = %+v, want one with %d subscribers", infos, want)
					}
				}
				seq := uint64(0)
				works := func(from *hub.Subscriber) {
					t.Helper()
					seq++
					if err := from.SendWait(soon(t), hub.Std(uint32(seq%0x700))); err != nil {
						t.Fatalf("SendWait of %s: %v", from.Name(), err)
					}
					for _, s := range []*hub.Subscriber{rx, tx} {
						if s == from {
							continue
						}
						if m := recvNext(t, s); m.Seq != seq || m.ID != uint32(seq%0x700) {
							t.Fatalf("%s received %d:%v, want %d", s.Name(), m.Seq, m, seq)
						}
					}
				}
				var nodes, late []*hub.Subscriber
				for i := range n {
					s := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					if i%1000 == 0 {
						late = append(late, openOn(t, h, "can0", nil)) // one among them receives
					}
					nodes = append(nodes, s)
				}
				count(n + 2 + len(late))
				works(nodes[n/2])
				works(tx)
				for _, s := range late {
					if got := s.Stats().Queued; got != 2 {
						t.Errorf("%s has %d queued, want 2", s.Name(), got)
					}
				}
				switch order {
				case "last to first":
					for i, k := 0, n-1; i < k; i, k = i+1, k-1 {
						nodes[i], nodes[k] = nodes[k], nodes[i]
					}
				case "at random":
					rnd.Shuffle(n, func(i, k int) { nodes[i], nodes[k] = nodes[k], nodes[i] })
				}
				for i, s := range nodes[:n-10] {
					if err := s.Close(); err != nil {
						t.Fatal(err)
					}
					if i%1000 == 500 {
						late[i/1000].Close()
						count(n + 2 + len(late) - i - 1 - i/1000 - 1)
						works(nodes[i+1+rnd.IntN(n-i-1)])
						works(tx)
						if err := s.Send(soon(t), hub.Std(1)); err != hub.ErrClosed {
							t.Errorf("Send of one that has closed: %v, want ErrClosed", err)
						}
						if st := nodes[i+1].Stats(); st.Received != 0 || st.Dropped != 0 || st.Queued != 0 {
							t.Errorf("one that only sends has Stats %+v", st)
						}
					}
				}
				for i := range 5 { // some join again
					nodes[i] = openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					works(nodes[i])
				}
				count(10 + 5 + 2)
				last := nodes[n-1]
				blocked := make(chan error, 1)
				go func() {
					_, err := last.Recv(soon(t))
					blocked <- err
				}()
				synctest.Wait()
				sent := tx.Stats().Sent + last.Stats().Sent
				h.Close()
				if err := <-blocked; err != hub.ErrClosed {
					t.Errorf("Recv of one that only sends ended with %v, want ErrClosed", err)
				}
				for _, s := range []*hub.Subscriber{last, nodes[0], tx} {
					if err := s.Send(soon(t), hub.Std(1)); err != hub.ErrClosed {
						t.Errorf("Send after the hub's Close: %v, want ErrClosed", err)
					}
				}
				if now := tx.Stats().Sent + last.Stats().Sent; now != sent {
					t.Errorf("%d were sent, want %d", now, sent)
				}
			})
		})
	}
}
