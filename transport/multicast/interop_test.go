package multicast_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/internal/live"
	"github.com/canhub-go/canhub/transport/multicast"
)

// isLive returns true if a test with a live python-can is to be run here.
func isLive(t *testing.T) bool {
	t.Helper()
	live.Wanted(t)
	return isolated(t)
}

// startPython returns when the node is on the bus.
func startPython(t *testing.T, group, stdin string, mode ...string) *live.Peer {
	t.Helper()
	cmd := live.Python(t, append([]string{"testdata/peer.py", group}, mode...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return live.Start(t, cmd)
}

// messages waits for the end of p and returns what it has received.
func messages(t *testing.T, p *live.Peer) (got []hub.Message) {
	t.Helper()
	for _, line := range p.Lines(t) {
		var f struct {
			golden.Frame
			Received float64 `json:"received"` // seconds, where python-can replaces the time
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("python printed %q: %v", line, err)
		}
		m := f.Message(t)
		if f.Timestamp == "" {
			m.Timestamp = int64(f.Received * 1e9)
		}
		got = append(got, m)
	}
	return got
}

// recvWith has python receive what send sends, and returns it. Whatever
// happens to the marker, another one follows.
func recvWith(t *testing.T, group string, b *multicast.Bus, send func(), filters ...string) []hub.Message {
	t.Helper()
	p := startPython(t, group, "", append([]string{"recv"}, filters...)...)
	send()
	ended := make(chan struct{})
	stopped := make(chan struct{}) // closed by the goroutine below
	go func() {
		defer close(stopped)
		for {
			if err := b.Send(context.Background(), marker); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	defer func() { close(ended); <-stopped }()
	return messages(t, p)
}

// vectorMessages are every kind of frame, as they come out of a Bus: an error
// frame of many classes is not marked Extended.
func vectorMessages(t *testing.T) (sent []golden.Frame, want []hub.Message) {
	t.Helper()
	for _, v := range goodVectors(t) {
		m := v.Frame.Message(t)
		if m.Flags&hub.Error != 0 && m.ID > 0x7FF {
			m.Flags &^= hub.Extended
		}
		sent = append(sent, *v.Frame)
		want = append(want, m)
	}
	return sent, want
}

func lines(t *testing.T, frames []golden.Frame) string {
	t.Helper()
	var b strings.Builder
	for _, f := range frames {
		line, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

func TestLivePythonReceivesEveryKindOfFrame(t *testing.T) {
	if !isLive(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, nil)
			_, msgs := vectorMessages(t)
			got := recvWith(t, group, b, func() { send(t, b, msgs...) })
			if len(got) != len(msgs) {
				t.Fatalf("python received %d messages, want %d", len(got), len(msgs))
			}
			for i, v := range goodVectors(t) {
				if want := v.Frame.Message(t); !got[i].Equal(want) {
					t.Errorf("%s: python received %v, want %v", v.Name, got[i], want)
				}
			}
		})
	}
}

func TestLivePythonSendsEveryKindOfFrame(t *testing.T) {
	if !isLive(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, nil)
			raw, err := net.ListenMulticastUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(group), Port: multicast.DefaultPort})
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Close()
			frames, want := vectorMessages(t)
			startPython(t, group, lines(t, frames), "send").Lines(t)
			hubtest.Want(t, b, want...)

			if err := raw.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, multicast.MaxDatagram)
			for i := range want {
				n, err := raw.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				if ours := encode(t, want[i]); !bytes.Equal(buf[:n], ours) {
					t.Errorf("%v: python sent\n%x\nthis package sends\n%x", want[i], buf[:n], ours)
				}
			}
		})
	}
}

// number is how many messages go each way as fast as they can.
const number = 10_000

func TestLiveStreamToPythonKeepsItsOrder(t *testing.T) {
	if !isLive(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b := open(t, group, nil)
			got := recvWith(t, group, b, func() {
				for i := range uint32(number) {
					send(t, b, hub.Ext(i, 1, 2, 3, 4, 5, 6, 7, 8))
				}
			})
			checkOrder(t, got)
			t.Logf("python received %d of %d messages, %d lost", len(got), number, number-len(got))
			if s := b.Stats(); s.Malformed != 0 {
				t.Errorf("Stats %+v", s)
			}
		})
	}
}

func TestLiveStreamFromPythonIsCompleteOrCounted(t *testing.T) {
	if !isLive(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			b, other := open(t, group, nil), open(t, group, nil)
			var frames []golden.Frame
			for i := range uint32(number) {
				frames = append(frames, golden.Frame{
					ID: i, Extended: true, Len: 8, Data: "0102030405060708", Timestamp: "0",
				})
			}
			p := startPython(t, group, lines(t, frames), "send")
			var got []hub.Message
			markers := uint64(0) // as in TestMessagesThatTheSystemDropsAreCounted
			for uint64(len(got))+b.Stats().Dropped < number+markers && !t.Failed() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				m, err := b.Recv(ctx)
				cancel()
				if err != nil {
					markers++
					send(t, other, hub.Ext(uint32(number+markers)))
					continue
				}
				got = append(got, m)
			}
			p.Lines(t)
			checkOrder(t, got)
			dropped := b.Stats().Dropped
			t.Logf("received %d of %d messages, %d dropped", number+markers-dropped, number+markers, dropped)
			if s := b.Stats(); s.Malformed != 0 || s.Received != uint64(len(got)) {
				t.Errorf("%d received, Stats %+v", len(got), s)
			}
		})
	}
}

// checkOrder fails the test where numbers do not grow, or nothing came at all.
func checkOrder(t *testing.T, got []hub.Message) {
	t.Helper()
	if len(got) == 0 {
		t.Fatal("nothing was received")
	}
	for i := 1; i < len(got); i++ {
		if got[i].ID <= got[i-1].ID {
			t.Fatalf("message %d came behind %d", got[i].ID, got[i-1].ID)
		}
	}
}
