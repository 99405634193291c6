package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/google/go-cmp/cmp"
)

// pair returns a bus to send on and a subscriber that hears it.
func pair(t *testing.T) (*namedBus, *hub.Subscriber) {
	h := hubtest.New(t)
	rx := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{Queue: 1 << 20})
	return &namedBus{name: "front", Bus: hubtest.Open(t, h, "can0", nil)}, rx
}

// sentBy returns what s sends, as "at frame".
func sentBy(t *testing.T, s *sending) (got []string, err error) {
	synctest.Test(t, func(t *testing.T) {
		bus, rx := pair(t)
		begin := time.Now()
		err = s.run(t.Context(), bus)
		synctest.Wait()
		for rx.Stats().Queued > 0 {
			m, err := rx.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.Time().Sub(begin).String()+" "+m.String())
		}
	})
	return got, err
}

func TestSendKeepsItsTimes(t *testing.T) {
	a, b := hub.Std(0x123, 1), hub.Std(0x124, 2)
	both := []hub.Message{a, b}
	for _, tt := range []struct {
		name string
		s    sending
		want []string
	}{
		{"once", sending{frames: both, rounds: 1}, []string{"0s 123#01", "0s 124#02"}},
		{"rounds", sending{frames: both, rounds: 2}, []string{"0s 123#01", "0s 124#02", "0s 123#01", "0s 124#02"}},
		{"gap", sending{frames: both, rounds: 2, gap: 10 * time.Millisecond},
			[]string{"0s 123#01", "10ms 124#02", "20ms 123#01", "30ms 124#02"}},
		{"period", sending{frames: both, rounds: 2, period: time.Second},
			[]string{"0s 123#01", "0s 124#02", "1s 123#01", "1s 124#02"}},
		{"period with gap", sending{frames: both, rounds: 3, period: time.Second, gap: 400 * time.Millisecond},
			[]string{"0s 123#01", "400ms 124#02", "1s 123#01", "1.4s 124#02", "2s 123#01", "2.4s 124#02"}},
		{"lines", sending{lines: strings.NewReader("\n# two\n 123#01\r\n\n124#02"), gap: time.Millisecond},
			[]string{"0s 123#01", "1ms 124#02"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sentBy(t, &tt.s)
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSendNamesTheLineThatIsWrong(t *testing.T) {
	for _, tt := range []struct{ name, lines, want string }{
		{"bad frame", "123#01\n\n123#0\n123#02\n", "stdin, line 3: hub: frame"},
		{"long line", "123#01\n" + strings.Repeat("0", 1<<17), "stdin, line 2: bufio"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sentBy(t, &sending{lines: strings.NewReader(tt.lines)})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s...", err, tt.want)
			}
			if diff := cmp.Diff([]string{"0s 123#01"}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The gap is not made up for where the lines come late.
func TestSendKeepsTheGapBehindALateLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, rx := pair(t)
		in, lines := io.Pipe()
		go func() { // ends when run has read the lines
			io.WriteString(lines, "123#\n")
			time.Sleep(55 * time.Millisecond)
			io.WriteString(lines, "124#\n125#\n")
			lines.Close()
		}()
		s := sending{lines: in, gap: 50 * time.Millisecond}
		if err := s.run(t.Context(), bus); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		got := hubtest.Want(t, rx, hub.Std(0x123), hub.Std(0x124), hub.Std(0x125))
		for i := 1; i < len(got); i++ {
			if d := got[i].Time().Sub(got[i-1].Time()); d < s.gap {
				t.Errorf("frame %d came %v behind the one in front of it", i, d)
			}
		}
	})
}

func TestSendEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, lines := io.Pipe()
		for name, s := range map[string]*sending{
			"periodic":    {frames: []hub.Message{hub.Std(1)}, period: time.Second},
			"idle stdin":  {lines: in},
			"many rounds": {frames: []hub.Message{hub.Std(1)}, rounds: 1 << 62, gap: time.Second},
		} {
			bus, _ := pair(t)
			ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
			if err := s.run(ctx, bus); err != context.DeadlineExceeded {
				t.Errorf("%s: got %v", name, err)
			}
			stop()
		}
		lines.Close()
	})
}

func TestSendErrorsNameTheBus(t *testing.T) {
	bus, _ := pair(t)
	bus.Close()
	s := sending{frames: []hub.Message{hub.Std(0x123, 1)}, rounds: 1}
	err := s.run(t.Context(), bus)
	if !errors.Is(err, hub.ErrClosed) || err.Error() != "front: send 123#01: hub: closed" {
		t.Errorf("got %v", err)
	}
}
