package hub_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// framesAt writes messages down like frames, each with its time in seconds from
// start.
func framesAt(start time.Time, msgs []hub.Message) string {
	text := ""
	for i := range msgs {
		if i > 0 {
			text += " "
		}
		text += fmt.Sprintf("%s@%g", frames(msgs[i:i+1]), msgs[i].Time().Sub(start).Seconds())
	}
	return text
}

// A gap is told by an error frame before the messages behind it, by each way to
// receive. Its time is that of the message behind it, or if there is none yet,
// that of the latest loss. RecvBatch returns it alone, and the messages next.
func TestAGapIsToldBeforeTheMessagesBehindIt(t *testing.T) {
	type step struct {
		send  []uint32 // all at one time, a second after the last step
		batch bool     // in one batch
		take  int      // calls that receive, at most
	}
	calls := func(want ...string) []string { return want }
	newest := hub.SubscriberOptions{Queue: 3, Policy: hub.DropNewest, ErrorFrames: true}
	oldest := hub.SubscriberOptions{Queue: 3, Policy: hub.DropOldest, ErrorFrames: true}
	for _, tt := range []struct {
		name        string
		o           hub.SubscriberOptions
		steps       []step
		recv, batch []string // what the calls return, one after the other
	}{
		{"DropNewest, lost behind all", newest,
			[]step{{send: []uint32{1, 2, 3, 4}}, {send: []uint32{5}}, {take: 9}},
			calls("1:1@1", "2:2@1", "3:3@1", "!@2"),
			calls("1:1@1 2:2@1 3:3@1", "!@2")},
		{"DropNewest, lost in the middle", newest,
			[]step{{send: []uint32{1, 2, 3, 4}}, {take: 1}, {send: []uint32{5, 6}, batch: true}, {take: 9}},
			calls("1:1@1", "2:2@1", "3:3@1", "!@3", "5:5@3", "!@3"),
			nil},
		{"DropNewest, lost at the end of a batch", newest,
			[]step{{send: []uint32{1, 2, 3, 4, 5}, batch: true}, {take: 9}, {send: []uint32{6, 7}, batch: true}, {take: 9}},
			calls("1:1@1", "2:2@1", "3:3@1", "!@1", "6:6@3", "7:7@3"),
			calls("1:1@1 2:2@1 3:3@1", "!@1", "6:6@3 7:7@3")},
		{"DropNewest, the queue is empty when the next ones come", newest,
			[]step{{send: []uint32{1, 2, 3, 4}}, {take: 3}, {send: []uint32{5, 6}, batch: true}, {take: 9}},
			calls("1:1@1", "2:2@1", "3:3@1", "!@3", "5:5@3", "6:6@3"),
			nil},
		{"DropOldest, lost before all", oldest,
			[]step{{send: []uint32{1, 2, 3, 4, 5}, batch: true}, {take: 9}},
			calls("!@1", "3:3@1", "4:4@1", "5:5@1"),
			calls("!@1", "3:3@1 4:4@1 5:5@1")},
		{"DropOldest, one by one", oldest,
			[]step{{send: []uint32{1, 2}}, {send: []uint32{3, 4}}, {send: []uint32{5}}, {take: 9}},
			calls("!@2", "3:3@2", "4:4@2", "5:5@3"),
			calls("!@2", "3:3@2 4:4@2 5:5@3")},
		{"DropOldest, some were received before", oldest,
			[]step{{send: []uint32{1, 2}}, {take: 2}, {send: []uint32{3, 4, 5, 6, 7}}, {take: 9}},
			calls("1:1@1", "2:2@1", "!@3", "5:5@3", "6:6@3", "7:7@3"),
			nil},
		{"DropOldest, and once more", oldest,
			[]step{{send: []uint32{1, 2, 3, 4}}, {take: 9}, {send: []uint32{5, 6, 7, 8}}, {take: 9}},
			calls("!@1", "2:2@1", "3:3@1", "4:4@1", "!@3", "6:6@3", "7:7@3", "8:8@3"),
			calls("!@1", "2:2@1 3:3@1 4:4@1", "!@3", "6:6@3 7:7@3 8:8@3")},
		{"DropOldest, a queue of one", hub.SubscriberOptions{Queue: 1, Policy: hub.DropOldest, ErrorFrames: true},
			[]step{{send: []uint32{1, 2, 3}}, {take: 9}},
			calls("!@1", "3:3@1"),
			calls("!@1", "3:3@1")},
	} {
		for _, way := range []string{"Recv", "RecvBatch"} {
			want := tt.recv
			if way == "RecvBatch" {
				if want = tt.batch; want == nil {
					continue
				}
			}
			t.Run(tt.name+"/"+way, func(t *testing.T) {
				noSpin(t)
				inBubble(t, func(t *testing.T, h *hub.Hub) {
					tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					rx := openOn(t, h, "can0", &tt.o)
					start := time.Now()
					var got []string
					for _, s := range tt.steps {
						time.Sleep(time.Second)
						if s.batch {
							var batch []hub.Message
							for _, id := range s.send {
								batch = append(batch, hub.Std(id))
							}
							transmitBatch(t, tx, batch)
						} else {
							sendIDs(t, tx, s.send...)
						}
						synctest.Wait()
						for range s.take {
							var msgs []hub.Message
							var err error
							if way == "Recv" {
								var m hub.Message
								m, err = rx.Recv(doneCtx())
								msgs = []hub.Message{m}
							} else {
								msgs, err = rx.RecvBatch(doneCtx())
							}
							if err == context.Canceled {
								break
							} else if err != nil {
								t.Fatal(err)
							}
							got = append(got, framesAt(start, msgs))
						}
					}
					joined := func(calls []string) string { return fmt.Sprintf("%q", calls) }
					if joined(got) != joined(want) {
						t.Errorf("the calls returned\n%v, want\n%v", joined(got), joined(want))
					}
					if s := rx.Stats(); s.Queued != 0 || s.Received+s.Dropped != tx.Stats().Sent {
						t.Errorf("Stats %+v, and %d messages were sent", s, tx.Stats().Sent)
					}
				})
			})
		}
	}
}

// Between the error frame and the messages behind it DropOldest may lose some of
// these as well. That is told too, or it is the same gap; never is one untold.
func TestALossWhileAGapIsToldIsToldAsWell(t *testing.T) {
	for _, way := range ways[:2] {
		t.Run(way.name, func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 3, Policy: hub.DropOldest, ErrorFrames: true})
				last, gap, lost := uint64(0), false, uint64(0)
				take := func() bool {
					msgs, err := way.recv(doneCtx(), rx)
					if err != nil {
						return false
					}
					for _, m := range msgs {
						switch {
						case m.Seq == 0:
							gap = true
							continue
						case m.Seq != last+1 && !gap:
							t.Errorf("%d messages before %d are missing, and nothing was told", m.Seq-last-1, m.Seq)
						case m.Seq == last+1 && gap:
							t.Errorf("nothing is missing before %d, and a gap was told", m.Seq)
						}
						lost += m.Seq - last - 1
						last, gap = m.Seq, false
					}
					return true
				}
				for i := range 200 {
					sendIDs(t, tx, make([]uint32, 1+i%7)...)
					synctest.Wait()
					for range i % 5 {
						take()
					}
				}
				for take() {
				}
				if s := rx.Stats(); s.Dropped != lost || s.Received+s.Dropped != tx.Stats().Sent {
					t.Errorf("Stats %+v, and %d of %d are missing", s, lost, tx.Stats().Sent)
				}
			})
		})
	}
}

// The error frame is told before the first message behind the gap, and that one alone
// is out of the queue by then: from the others DropOldest still takes the oldest.
func TestWhileAGapIsToldDropOldestKeepsTheLatest(t *testing.T) {
	for _, way := range ways[:2] {
		t.Run(way.name, func(t *testing.T) {
			noSpin(t)
			inBubble(t, func(t *testing.T, h *hub.Hub) {
				tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
				rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 4, Policy: hub.DropOldest, ErrorFrames: true})
				transmitBatch(t, tx, numbered(1, 6))
				synctest.Wait()
				msgs, err := way.recv(doneCtx(), rx)
				if err != nil || frames(msgs) != "!" {
					t.Fatalf("received %q, %v, want the frame of the gap", frames(msgs), err)
				}
				transmitBatch(t, tx, numbered(7, 10))
				synctest.Wait()
				wantPolled(t, rx, "3:3 ! 7:7 8:8 9:9 10:A")
				if st := rx.Stats(); st.Dropped != 5 {
					t.Errorf("Stats %+v, want 5 dropped", st)
				}
			})
		})
	}
}

// Also under DropOldest one call returns all that was sent in one batch, however long
// that is, as long as nothing of it is lost.
func TestRecvBatchUnderDropOldestReturnsWhatWasSentTogether(t *testing.T) {
	noSpin(t)
	inBubble(t, func(t *testing.T, h *hub.Hub) {
		tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
		rx := openOn(t, h, "can0", &hub.SubscriberOptions{Policy: hub.DropOldest})
		transmitBatch(t, tx, numbered(1, 200))
		synctest.Wait()
		msgs, err := rx.RecvBatch(doneCtx())
		if err != nil || len(msgs) != 200 {
			t.Errorf("RecvBatch returned %d messages, %v, want all 200", len(msgs), err)
		}
	})
}
