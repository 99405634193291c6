package multicast_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/transport/multicast"
)

// marker is sent behind what is not to arrive: when it is there, the rest was.
var marker = hub.Std(0x7FE, 0xE0)

// rawSender returns a socket that sends datagrams of any kind to the group.
func rawSender(t testing.TB, group string) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", net.JoinHostPort(group, fmt.Sprint(multicast.DefaultPort)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func write(t testing.TB, c net.Conn, datagram []byte) {
	t.Helper()
	if _, err := c.Write(datagram); err != nil {
		t.Fatal(err)
	}
}

func TestOwnMessagesComeOnlyIfAskedFor(t *testing.T) {
	if !isolated(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			without := open(t, group, nil)
			with := open(t, group, &multicast.Options{OwnMessages: true})
			send(t, with, hub.Std(1))
			hubtest.Want(t, without, hub.Std(1)) // it was first on both sockets
			send(t, without, hub.Std(2))
			send(t, with, marker)

			got := hubtest.Want(t, with, hub.Std(1), hub.Std(2), marker)
			for i, own := range []bool{true, false, true} {
				if got[i].Flags&hub.Own != 0 != own {
					t.Errorf("message %d of the bus with own messages has Flags %v, want Own: %v", i, got[i].Flags, own)
				}
			}
			for _, m := range hubtest.Want(t, without, marker) {
				if m.Flags&hub.Own != 0 {
					t.Errorf("%v of another bus is marked Own", m)
				}
			}
			want := multicast.Stats{Sent: 1, Received: 2, Unwanted: 1}
			if got := without.Stats(); got != want {
				t.Errorf("Stats without own messages %+v, want %+v", got, want)
			}
			want = multicast.Stats{Sent: 2, Received: 3}
			if got := with.Stats(); got != want {
				t.Errorf("Stats with own messages %+v, want %+v", got, want)
			}
		})
	}
}

func TestBusWithoutFDPassesOverFDFrames(t *testing.T) {
	if !isolated(t) {
		return
	}
	a := open(t, multicast.DefaultGroup, nil)
	b := open(t, multicast.DefaultGroup, &multicast.Options{NoFD: true})
	send(t, a, hub.Std(1), hub.FD(2, make([]byte, 64)...), hub.RTR(3, 8))
	hubtest.Want(t, b, hub.Std(1), hub.RTR(3, 8))
	if got, want := b.Stats(), (multicast.Stats{Received: 2, Unwanted: 1}); got != want {
		t.Errorf("Stats %+v, want %+v", got, want)
	}
	if err := b.Send(t.Context(), hub.FD(2)); !errors.Is(err, hub.ErrInvalid) {
		t.Errorf("Send of a CAN FD frame = %v, want hub.ErrInvalid", err)
	}
}

func TestBusWithoutFDPassesOverOddFDFramesAsPythonDoes(t *testing.T) {
	if !isolated(t) {
		return
	}
	b := open(t, multicast.DefaultGroup, &multicast.Options{NoFD: true})
	c := rawSender(t, multicast.DefaultGroup)
	var ignored uint64
	for _, v := range malformedVectors(t) {
		if strings.HasPrefix(v.NoFD, "silently ignored") {
			write(t, c, golden.Hex(t, v.Wire))
			ignored++
		}
	}
	write(t, c, encode(t, marker))
	hubtest.Want(t, b, marker)
	if got, want := b.Stats(), (multicast.Stats{Received: 1, Unwanted: ignored}); got != want || ignored == 0 {
		t.Errorf("Stats %+v, want %+v", got, want)
	}
}

func TestFiltersLetErrorFramesThrough(t *testing.T) {
	if !isolated(t) {
		return
	}
	a := open(t, multicast.DefaultGroupIPv4, nil)
	b := open(t, multicast.DefaultGroupIPv4, &multicast.Options{
		Filters: []hub.Filter{{ID: 0x100, Mask: 0x700, StandardOnly: true}},
	})
	broken := hub.Message{ID: 0x20, Flags: hub.Error, Len: 8}
	send(t, a, hub.Std(0x101), hub.Std(0x201), hub.Ext(0x101), broken, hub.Std(0x1FF))
	hubtest.Want(t, b, hub.Std(0x101), broken, hub.Std(0x1FF))
	if got, want := b.Stats(), (multicast.Stats{Received: 3, Unwanted: 2}); got != want {
		t.Errorf("Stats %+v, want %+v", got, want)
	}
}

// A recorder is a log handler that keeps what it is told.
type recorder struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func (r *recorder) Handle(_ context.Context, rec slog.Record) error {
	line := rec.Message
	rec.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return nil
}

func TestMalformedDatagramsAreCountedAndHaveNoEffectOnTheNext(t *testing.T) {
	if !isolated(t) {
		return
	}
	log := &recorder{Handler: slog.NewTextHandler(nil, nil)}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, &multicast.Options{Logger: slog.New(log)})
			c := rawSender(t, group)
			var good, bad uint64
			for i, v := range malformedVectors(t) {
				// What follows is not affected, so it all comes in this order.
				var want []hub.Message
				wire := golden.Hex(t, v.Wire)
				if m, err := decode(wire); err == nil && m.Validate() == nil {
					want = append(want, m)
				} else {
					bad++
				}
				write(t, c, wire)
				next := hub.Std(uint32(i), byte(i))
				write(t, c, encode(t, next))
				want = append(want, next)
				good += uint64(len(want))
				hubtest.Want(t, b, want...)
			}
			if got, want := b.Stats(), (multicast.Stats{Received: good, Malformed: bad}); got != want {
				t.Errorf("Stats %+v, want %+v", got, want)
			}
		})
	}
	if len(log.lines) == 0 || !strings.Contains(log.lines[0], "datagram is not a frame from=") ||
		!strings.Contains(log.lines[0], "error=") {
		t.Errorf("the log has %q, want the first malformed datagram", log.lines)
	}
}

// Datagrams of the same size as those that Python cuts, and larger.
func TestDatagramsOf4096BytesAreReadAndLongerOnesAreNot(t *testing.T) {
	if !isolated(t) {
		return
	}
	b := open(t, multicast.DefaultGroupIPv4, nil)
	c := rawSender(t, multicast.DefaultGroupIPv4)
	padded := func(n int) []byte {
		head := []byte("\x82\xaearbitration_id\x01\xa7channel\xda")
		n -= len(head) + 2
		return append(append(head, byte(n>>8), byte(n)), make([]byte, n)...)
	}
	for _, n := range []int{4096, 4097, 5000, 20000} {
		write(t, c, padded(n))
	}
	write(t, c, encode(t, marker))
	hubtest.Want(t, b, hub.Ext(1), marker)
	if got, want := b.Stats(), (multicast.Stats{Received: 2, Malformed: 3}); got != want {
		t.Errorf("Stats %+v, want %+v", got, want)
	}
}

func TestMessagesThatTheSystemDropsAreCounted(t *testing.T) {
	if !isolated(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			a := open(t, group, nil)
			b := open(t, group, &multicast.Options{ReadBuffer: 1}) // as little as there is
			const burst = 5000
			for i := range burst {
				send(t, a, hub.Ext(uint32(i)))
			}
			got, last := uint64(0), -1
			for got+b.Stats().Dropped < burst {
				m, err := b.Recv(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if int(m.ID) <= last {
					t.Fatalf("message %d came behind %d", m.ID, last)
				}
				last = int(m.ID)
				got++
			}
			const sent = burst
			s := b.Stats()
			if s.Received != got || s.Received+s.Dropped != sent || s.Dropped == 0 {
				t.Errorf("%d sent, %d received, Stats %+v, want Received and Dropped to be all, and some dropped", sent, got, s)
			}
			t.Logf("%d sent, %d received, %d dropped", sent, got, s.Dropped)
		})
	}
}

func TestDroppedIsKnownAfterClose(t *testing.T) {
	if !isolated(t) {
		return
	}
	a := open(t, "", nil)
	b := open(t, "", &multicast.Options{ReadBuffer: 1})
	const burst = 5000
	for range burst {
		send(t, a, hub.Std(1))
	}
	b.Close()
	// What was in the system's buffer is gone without having been dropped.
	s := b.Stats()
	if s.Dropped < burst-s.Received-window || s.Dropped > burst-s.Received {
		t.Errorf("Stats %+v of %d messages, want nearly all of them in Received and Dropped", s, burst)
	}
}

func TestDroppedGoesOnWhereTheCountOfTheSystemBeginsAgain(t *testing.T) {
	const half = 1 << 31
	for _, c := range []struct {
		told []uint32
		want uint64
	}{
		{[]uint32{0, 3, 3, 7}, 7},
		{[]uint32{7, 3, 8}, 8}, // the one of a datagram that came before we asked
		{[]uint32{half - 1, 2 * (half - 1), 1<<32 - 1, 0, 5}, 1<<32 + 5},
		{[]uint32{half - 1, 2 * (half - 1), 1, 1<<32 - 1, 2}, 1<<32 + 2},
	} {
		if got := multicast.DroppedAfter(c.told...); got != c.want {
			t.Errorf("told %d: Dropped %d, want %d", c.told, got, c.want)
		}
	}
}

func TestTwoGroupsOnOnePortDoNotHearEachOther(t *testing.T) {
	if !isolated(t) {
		return
	}
	for family, other := range map[string]string{"IPv4": "239.1.2.3", "IPv6": "ff15::1"} {
		t.Run(family, func(t *testing.T) {
			a, b := open(t, groups[family], nil), open(t, groups[family], nil)
			c, d := open(t, other, nil), open(t, other, nil)
			send(t, a, hub.Std(1))
			send(t, c, hub.Std(2))
			send(t, a, marker)
			send(t, c, marker)
			hubtest.Want(t, b, hub.Std(1), marker)
			hubtest.Want(t, d, hub.Std(2), marker)
		})
	}
}

func TestTimestampIsWhenTheKernelReceivedIt(t *testing.T) {
	if !isolated(t) {
		return
	}
	a := open(t, multicast.DefaultGroupIPv4, nil)
	b := open(t, multicast.DefaultGroupIPv4, nil)
	send(t, a, marker)
	hubtest.Want(t, b, marker)
	// More than fit into the queue: the last ones are read when Recv has made
	// room for them, but they have arrived before.
	before := time.Now()
	m := hub.Std(1)
	m.Timestamp = 1_700_000_000_123_456_000 // it is not delivered
	const number = multicast.QueueLength + 200
	for range number {
		send(t, a, m)
	}
	after := time.Now()
	for i := range number {
		got, err := b.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if at := got.Time(); at.Before(before) || at.After(after) {
			t.Fatalf("message %d has the time %v, want one from %v to %v", i, at, before, after)
		}
	}
}
