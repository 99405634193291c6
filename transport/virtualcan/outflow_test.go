package virtualcan

import (
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A client that is slower than the bus, or not there at all, does not make the
// others late again and again.
func TestNobodyWaitsForASlowClientForLong(t *testing.T) {
	for name, pause := range map[string]time.Duration{
		"takes nothing":              0,
		"takes a little every 50 ms": 50 * time.Millisecond,
		"takes a little every 10 ms": 10 * time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, Options{Queue: 8, WriteTimeout: -1})
				slow := b.pipes.dial(t)
				other, err := b.hub.Open("can0", nil)
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close()
				go func() { // until slow is closed
					for buf := make([]byte, 4*packetLen); pause > 0; time.Sleep(pause) {
						if _, err := slow.Read(buf); err != nil {
							return
						}
					}
				}()
				synctest.Wait()
				late, most := 0, time.Duration(0)
				for range 3000 {
					sent := time.Now()
					send(t, b.node, hub.Std(1)) // a message a millisecond
					if _, err := other.Recv(t.Context()); err != nil {
						t.Fatal(err)
					}
					if d := time.Since(sent); d > 0 {
						late++
						most = max(most, d)
					}
					time.Sleep(time.Millisecond)
				}
				if late > 4 || most > grace {
					t.Errorf("%d messages were late, by %v at most; want 4 at most, by %v", late, most, grace)
				}
				if n := b.Stats().Dropped; n < 1000 {
					t.Errorf("%d messages dropped of a client that is much too slow", n)
				}
				slow.Close()
				time.Sleep(pause)
				b.end()
			})
		})
	}
}

// With real connections, which take as much at once as they like.
func TestAFloodIsReceivedOrCounted(t *testing.T) {
	const number = 300_000
	h := hub.New(nil)
	defer h.Close()
	s, address := serve(t, h, nil)
	raw(t, h, address) // reads nothing
	readers := []net.Conn{raw(t, h, address), raw(t, h, address)}
	sender := raw(t, h, address)
	received := make([]uint64, len(readers))
	var wg sync.WaitGroup
	for i, conn := range readers {
		wg.Go(func() {
			w := &wire{Conn: conn}
			for next := uint32(0); next <= number; {
				var m hub.Message
				ok, err := w.next(&m)
				if err == nil && !ok {
					err = w.fill()
				}
				if err != nil {
					t.Errorf("reader %d: %v", i, err)
					return
				}
				if !ok {
					continue
				}
				if m.ID < next || m.Data[7] != byte(m.ID) {
					t.Errorf("reader %d: %v, want %d or later", i, m, next)
					return
				}
				next = m.ID + 1
				received[i]++
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	var p []byte
	for id := range uint32(number) {
		m := hub.Ext(id, 0, 0, 0, 0, 0, 0, 0, byte(id))
		if p = appendPacket(p, &m); len(p) > maxWrite || id == number-1 {
			if _, err := sender.Write(p); err != nil {
				t.Fatal(err)
			}
			p = p[:0]
		}
	}
	last := hub.Ext(number, 0, 0, 0, 0, 0, 0, 0, byte(number&255))
	for ended := false; !ended; { // it may be lost, too
		sender.Write(appendPacket(nil, &last))
		select {
		case <-done:
			ended = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	// The server counts a moment after it has put a message on the channel, or has
	// written it.
	until(t, "counts that agree", func() bool {
		st := s.Stats()
		return received[0]+received[1] <= st.Sent && st.Received > number && st.Sent+st.Dropped <= 3*st.Received
	})
}

// What is in the channel's hands when the server ends is still sent.
func TestTheEndOfAServerSendsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Queue: 8})
		conn := b.pipes.dial(t)
		synctest.Wait()
		for _, m := range numbered(40) {
			send(t, b.node, m)
		}
		synctest.Wait() // the channel waits for the client now
		go b.end()
		synctest.Wait()
		c := collect(conn)
		synctest.Wait()
		got := c.messages(t)
		if n := b.Stats().Dropped; len(got) != 40 || n != 0 {
			t.Errorf("%d messages received and %d dropped of 40", len(got), n)
		}
		for i := range got {
			if !got[i].Equal(numbered(40)[i]) {
				t.Fatalf("message %d is %v", i, got[i])
			}
		}
		time.Sleep(haste)
	})
}

func TestAQuietClientKeepsLittleMemory(t *testing.T) {
	total := 0
	o := newOutflow(4096*packetLen, func(p []byte) int {
		total += len(p)
		return len(p)
	})
	one := []hub.Message{hub.Std(1, 2, 3)}
	if n := testing.AllocsPerRun(100, func() {
		o.put(one)
		o.give()
	}); n > 0 {
		t.Errorf("%v allocations a message", n)
	}
	tiny := newOutflow(8*packetLen, func(p []byte) int { return len(p) })
	if n := testing.AllocsPerRun(100, func() {
		tiny.put(one)
		tiny.give()
	}); n > 0 {
		t.Errorf("%v allocations a message with a small queue", n)
	}
	total = 0
	o.put(numbered(4096))
	o.give()
	if total != 4096*packetLen {
		t.Errorf("%d bytes of packets were written", total)
	}
	if n := cap(o.buf) + cap(o.spare); n > smallSpace {
		t.Errorf("%d bytes are kept", n)
	}
}

// Whatever the network takes at once, all packets are written once and in order.
func TestPacketsAreWrittenInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written []byte
		take := 0
		o := newOutflow(100*packetLen, func(p []byte) int {
			take = (take*7 + 5) % 200
			n := min(take, len(p))
			written = append(written, p[:n]...)
			return n
		})
		done := make(chan struct{})
		go func() {
			defer close(done)
			var b []byte
			var rest int
			for {
				if b, rest = o.take(b); b == nil {
					return
				}
				time.Sleep(time.Millisecond)
				written = append(written, b[rest:]...)
			}
		}()
		all := numbered(5000)
		stop := make(chan struct{})
		for msgs := all; len(msgs) > 0; {
			n := min(len(msgs), 1+len(msgs)%37)
			for batch := msgs[:n]; ; {
				if batch = o.put(batch); len(batch) == 0 {
					break
				}
				o.give()
				if !o.wait(stop) {
					t.Fatal("there is no room")
				}
			}
			msgs = msgs[n:]
			if len(msgs)%3 == 0 {
				o.give()
			}
		}
		o.end()
		<-done
		if got, errs := decodeAll(written); errs != nil || !slices.Equal(got, all) {
			t.Errorf("%d messages, %v; want %d", len(got), errs, len(all))
		}
	})
}
