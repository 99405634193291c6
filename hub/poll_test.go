package hub_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/canhub-go/canhub/hub"
)

// polls are the ways to receive without waiting.
var polls = ways[:2]

// pollFrames polls until there is an error.
func pollFrames(s *hub.Subscriber, poll func(context.Context, *hub.Subscriber) ([]hub.Message, error)) (string, error) {
	var all []hub.Message
	for {
		msgs, err := poll(doneCtx(), s)
		if err != nil {
			return frames(all), err
		}
		all = append(all, msgs...)
	}
}

// frames1 is what frames writes for messages first to last whose identifiers are
// their numbers.
func frames1(first, last int) string {
	var msgs []hub.Message
	for n := first; n <= last; n++ {
		msgs = append(msgs, hub.Message{ID: uint32(n), Seq: uint64(n)})
	}
	return frames(msgs)
}

// A call under a done ctx returns what is queued, whatever else is going on: the
// channel waits for this subscriber, or for another one, or the hub is closed.
func TestAPollReturnsWhatIsQueuedAlsoOfABlockedChannel(t *testing.T) {
	for _, poll := range polls {
		for _, queue := range []int{1, 2, 5, 100} {
			for _, batch := range []int{1, 3, 50} {
				t.Run(fmt.Sprintf("%s/queue %d/batches of %d", poll.name, queue, batch), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						createOn(t, h, "can0", 1000) // holds all that does not fit in the queue
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						rx := openOn(t, h, "can0", &hub.SubscriberOptions{Queue: queue})
						openOn(t, h, "can0", &hub.SubscriberOptions{Queue: 1000}) // another one that never receives
						const total = 150
						for n := 1; n <= total; n += batch {
							transmitBatch(t, tx, numbered(uint32(n), uint32(n+batch-1)))
						}
						got := 0
						for got < total {
							synctest.Wait() // the channel has handed over what fits
							queued := rx.Stats().Queued
							if queued == 0 {
								t.Fatalf("nothing is queued, and %d are to come", total-got)
							}
							for queued > 0 {
								msgs, err := poll.recv(doneCtx(), rx)
								if err != nil {
									t.Fatalf("with %d queued: %v", queued, err)
								}
								for _, m := range msgs {
									if got++; m.Seq != uint64(got) {
										t.Fatalf("received %d, want %d", m.Seq, got)
									}
								}
								queued -= len(msgs)
							}
						}
						if _, err := poll.recv(doneCtx(), rx); err != context.Canceled {
							t.Errorf("with nothing queued: %v, want context.Canceled", err)
						}
					})
				})
			}
		}
	}
}

// While the hub closes and when it has closed, a poll returns what the channel
// had accepted, until ErrClosed.
func TestAPollReturnsWhatIsQueuedWhenTheHubIsClosed(t *testing.T) {
	for _, poll := range polls {
		for _, o := range []hub.SubscriberOptions{
			{Queue: 1}, {Queue: 2, Filters: []hub.Filter{{}}}, {Queue: 100},
			{Queue: 100, Policy: hub.DropOldest}, {Queue: 100, Policy: hub.DropNewest},
			{Queue: 3, ErrorFrames: true},
		} {
			t.Run(fmt.Sprintf("%s/queue %d, %v", poll.name, o.Queue, o.Policy), func(t *testing.T) {
				noSpin(t)
				inBubble(t, func(t *testing.T, h *hub.Hub) {
					tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
					rx := openOn(t, h, "can0", &o)
					busy := openOn(t, h, "can0", nil)
					busy.C() // its reader is slow: the hub closes for as long
					for n := range uint32(100) {
						sendIDs(t, tx, n+1)
					}
					synctest.Wait()
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						h.Close()
					}()
					synctest.Wait() // what was accepted is queued by now
					got, err := pollFrames(rx, poll.recv)
					if want := frames1(1, 100); got != want || err != hub.ErrClosed {
						t.Errorf("polled %d messages, then %v, want all 100, then ErrClosed", len(strings.Fields(got)), err)
					}
					rx.Close()
					<-ended
					if _, err := poll.recv(doneCtx(), rx); err != hub.ErrClosed {
						t.Errorf("after Close: %v", err)
					}
					if s := rx.Stats(); s.Received != 100 || s.Queued != 0 || s.Dropped != 0 {
						t.Errorf("Stats %+v, want 100 received", s)
					}
				})
			})
		}
	}
}

// A loop that polls until there is an error hears of a loss before the error.
func TestAPollTellsALossBeforeItsError(t *testing.T) {
	for _, poll := range polls {
		for _, closing := range []bool{false, true} {
			for _, tt := range []struct {
				o    hub.SubscriberOptions
				want string
			}{
				{hub.SubscriberOptions{Queue: 2, Policy: hub.DropNewest, ErrorFrames: true}, "1:1 2:2 !"},
				{hub.SubscriberOptions{Queue: 2, Policy: hub.DropOldest, ErrorFrames: true}, "! 4:4 5:5"},
			} {
				t.Run(fmt.Sprintf("%s/%v/hub closed %v", poll.name, tt.o.Policy, closing), func(t *testing.T) {
					noSpin(t)
					inBubble(t, func(t *testing.T, h *hub.Hub) {
						tx := openOn(t, h, "can0", &hub.SubscriberOptions{SendOnly: true})
						rx := openOn(t, h, "can0", &tt.o)
						sendIDs(t, tx, 1, 2, 3, 4, 5)
						synctest.Wait()
						wantErr := context.Canceled
						if closing {
							h.Close()
							wantErr = hub.ErrClosed
						}
						if got, err := pollFrames(rx, poll.recv); got != tt.want || err != wantErr {
							t.Errorf("polled %q, then %v, want %q, then %v", got, err, tt.want, wantErr)
						}
						if got, err := pollFrames(rx, poll.recv); got != "" || err != wantErr {
							t.Errorf("and then %q, %v, want %v", got, err, wantErr)
						}
					})
				})
			}
		}
	}
}
