package multicast_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/transport/multicast"
)

// What python-can's own tests demand of two of its buses, with one of ours at one
// end.

// receiveAll returns the next n messages. They must come in the lifetime of t.
func receiveAll(t *testing.T, b *multicast.Bus, n int) []hub.Message {
	t.Helper()
	got := make([]hub.Message, n)
	for i := range got {
		var err error
		if got[i], err = b.Recv(t.Context()); err != nil {
			t.Fatalf("after %d of %d messages: %v", i, n, err)
		}
	}
	return got
}

// between fails the test where a message was not received between two times.
func between(t *testing.T, m hub.Message, from, to time.Time) {
	t.Helper()
	// Python has the time as a double: it is a quarter of a microsecond off.
	if at := m.Time(); at.Before(from.Add(-time.Microsecond)) || at.After(to.Add(time.Microsecond)) {
		t.Errorf("%v was received at %v, want %v to %v", m, at, from, to)
	}
}

func TestLivePythonAndWeAgreeOnTimes(t *testing.T) {
	if !isLive(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, nil)
			const gap = 300 * time.Millisecond
			var at [3]time.Time
			got := recvWith(t, group, b, func() {
				for i := range 2 {
					at[i] = time.Now()
					send(t, b, hub.Std(uint32(i)))
					time.Sleep(gap)
				}
				at[2] = time.Now()
			})
			if len(got) != 2 {
				t.Fatalf("python received %v, want two messages", got)
			}
			for i, m := range got {
				between(t, m, at[i], at[i+1])
			}

			start := time.Now()
			stamped := golden.Frame{ID: 1, Timestamp: "1700000000.5"} // it is not delivered
			startPython(t, group, lines(t, []golden.Frame{stamped, stamped}), "send").Lines(t)
			for _, m := range receiveAll(t, b, 2) {
				between(t, m, start, time.Now())
			}
		})
	}
}

const (
	many    = 1000
	threads = 100
)

// distinct fails the test unless got are the many, each once and intact.
func distinct(t *testing.T, got []hub.Message) {
	t.Helper()
	seen := make(map[uint32]bool)
	for _, m := range got {
		if seen[m.ID] || !m.Equal(numbered(m.ID)) {
			t.Fatalf("received %v, twice or not as it was sent", m)
		}
		seen[m.ID] = true
	}
	if len(seen) != many {
		t.Errorf("%d messages arrived, want %d", len(seen), many)
	}
}

func numbered(id uint32) hub.Message { return hub.Ext(id, byte(id), byte(id>>8), 3, 4, 5, 6, 7, 8) }

func numberedFrames() []golden.Frame {
	var frames []golden.Frame
	for id := range uint32(many) {
		m := numbered(id)
		frames = append(frames, golden.Frame{ID: id, Extended: true, Len: 8, Timestamp: "0", Data: fmt.Sprintf("%x", m.Bytes())})
	}
	return frames
}

// Python's buffer may have room for no more than some 250 messages, and it is not
// to be overrun: each goroutine rests after each message.
func TestLivePythonReceivesAllOfManySenders(t *testing.T) {
	if !isLive(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, nil)
			distinct(t, recvWith(t, group, b, func() {
				var wg sync.WaitGroup
				for i := range threads {
					wg.Go(func() {
						for id := i; id < many; id += threads {
							if err := b.Send(t.Context(), numbered(uint32(id))); err != nil {
								t.Error(err)
							}
							time.Sleep(10 * time.Millisecond)
						}
					})
				}
				wg.Wait()
			}))
		})
	}
}

func TestLivePythonSendsFromManyThreadsAndAllArrive(t *testing.T) {
	if !isLive(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, nil)
			startPython(t, group, lines(t, numberedFrames()), "threads", fmt.Sprint(threads)).Lines(t)
			distinct(t, receiveAll(t, b, many))
			send(t, open(t, group, nil), marker)
			hubtest.Want(t, b, marker) // and nothing before it
		})
	}
}

func TestLivePythonFiltersAndOursSelectTheSame(t *testing.T) {
	if !isLive(t) {
		return
	}
	odd := func(t *testing.T, got []hub.Message) {
		t.Helper()
		if len(got) != many/2 {
			t.Errorf("%d messages passed, want %d", len(got), many/2)
		}
		for i, m := range got {
			if want := uint32(2*i + 1); !m.Equal(numbered(want)) {
				t.Fatalf("message %d that passed is %v, want %v", i, m, numbered(want))
			}
		}
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, &multicast.Options{Filters: []hub.Filter{
				{ID: 1, Mask: 1, ExtendedOnly: true},
				{ID: marker.ID, Mask: 0x7FF, StandardOnly: true},
			}})
			odd(t, recvWith(t, group, b, func() {
				for id := range uint32(many) {
					send(t, b, numbered(id))
					if id%50 == 49 {
						time.Sleep(20 * time.Millisecond) // see above
					}
				}
			}, `[{"can_id":1,"can_mask":1,"extended":true},{"can_id":2046,"can_mask":2047,"extended":false}]`))

			startPython(t, group, lines(t, numberedFrames()), "send").Lines(t)
			odd(t, receiveAll(t, b, many/2))
			send(t, open(t, group, nil), marker)
			hubtest.Want(t, b, marker) // and nothing before it
		})
	}
}

func TestLivePythonSendsPeriodically(t *testing.T) {
	if !isLive(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, nil)
			const duration = 500 * time.Millisecond
			startPython(t, group, lines(t, numberedFrames()[7:8]), "periodic", "0.02", "0.5").Lines(t)
			send(t, open(t, group, nil), marker)
			var got []hub.Message
			for {
				m, err := b.Recv(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if m.Equal(marker) {
					break
				}
				if !m.Equal(numbered(7)) {
					t.Fatalf("received %v, want %v", m, numbered(7))
				}
				got = append(got, m)
			}
			// 25, but on a busy machine Python can be late.
			if len(got) < 10 || len(got) > 27 {
				t.Errorf("%d messages came, want about 25", len(got))
			} else if took := got[len(got)-1].Time().Sub(got[0].Time()); took > duration+50*time.Millisecond {
				t.Errorf("the first and the last are %v apart, want not more than %v", took, duration)
			}
		})
	}
}

// A periodic task of a hub reaches Python through a bus that forwards it.
func TestLivePythonReceivesPeriodicMessages(t *testing.T) {
	if !isLive(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, nil)
			h := hubtest.New(t)
			rx, tx := hubtest.Open(t, h, "can0", nil), hubtest.Open(t, h, "can0", nil)
			got := recvWith(t, group, b, func() {
				if _, err := tx.SendPeriodic(&hub.Periodic{
					Messages: []hub.Message{numbered(7)},
					Period:   10 * time.Millisecond,
				}); err != nil {
					t.Fatal(err)
				}
				for range 25 {
					m, err := rx.Recv(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					send(t, b, m)
				}
			})
			if len(got) != 25 {
				t.Fatalf("python received %d messages, want 25", len(got))
			}
			for _, m := range got {
				if !m.Equal(numbered(7)) {
					t.Fatalf("python received %v, want %v", m, numbered(7))
				}
			}
		})
	}
}
