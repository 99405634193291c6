package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// A stage has a player, two channels that it plays on, and what came of it.
type stage struct {
	*player
	h      *hub.Hub
	stderr bytes.Buffer

	mu  sync.Mutex
	got []string // "channel@ms frame"
}

// newStage returns one for a log. Channel x goes to a and y to b, if mapped, or
// else all to a.
func newStage(t *testing.T, log string, mapped bool) *stage {
	s := &stage{player: &player{}, h: hubtest.New(t)}
	s.log = logReading{path: "-", in: strings.NewReader(log), loops: 1, talk: &talker{out: &s.stderr}}
	if err := s.log.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := &namedBus{name: "a", url: "hub:a", Bus: hubtest.Open(t, s.h, "a", nil)}
	b := &namedBus{name: "b", url: "hub:b", Bus: hubtest.Open(t, s.h, "b", nil)}
	if mapped {
		s.to([]string{"x", "y"}, []*namedBus{a, b})
	} else {
		s.to(nil, []*namedBus{a})
	}
	begin := time.Now()
	for _, channel := range []string{"a", "b"} {
		node := hubtest.Open(t, s.h, channel, nil)
		go func() { // ends with the hub
			for m := range node.C() {
				s.mu.Lock()
				s.got = append(s.got, fmt.Sprintf("%s@%d %v", channel, time.Since(begin).Milliseconds(), m))
				s.mu.Unlock()
			}
		}()
	}
	return s
}

func (s *stage) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(want, s.got); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

const drive = `(100.000) x 001#
(100.010) y 002#
(100.020) x 20000004#0001000000000000
rubbish
(100.050) z 003#
(100.100) x 004#
`

func TestPlaySendsTheMappedChannelsAtTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, drive, true)
		if err := s.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.want(t, "a@0 001#", "b@10 002#", "a@100 004#")
		const summary = "3 frames sent in 100ms (30/s); passed over: 1 error frame, 1 frame of z, 1 entry that could not be read"
		if got := s.summary(100 * time.Millisecond); got != summary {
			t.Errorf("summary %q, want %q", got, summary)
		}
		if got := s.stderr.String(); !strings.HasPrefix(got, "canhub: stdin:4:1: ") || strings.Count(got, "\n") != 1 {
			t.Errorf("stderr %q, want the place of the bad line", got)
		}
		if err := s.failure(); err == nil || err.Error() != "stdin: 1 entry could not be read" {
			t.Errorf("failure %v", err)
		}
	})
}

func TestPlaySendsAllChannelsToOneBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, drive, false)
		s.errorFrames = true
		s.pace.Speed = 2
		if err := s.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.want(t, "a@0 001#", "a@5 002#", "a@10 20000004#0001000000000000", "a@25 003#", "a@50 004#")
	})
}

func TestPlayFromTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, drive, false)
		s.log.from, s.log.to = 10*time.Millisecond, 100*time.Millisecond
		if err := s.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.want(t, "a@0 002#", "a@40 003#")
	})
}

func TestPlayAsOftenAsAskedFor(t *testing.T) {
	path := t.TempDir() + "/x.log"
	write(t, path, "(1.000) x 001#\nrubbish\n(1.010) x 002#\n")
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "", false)
		s.log.path, s.log.loops = path, 3
		if err := s.log.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer s.log.close()
		if err := s.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.want(t, "a@0 001#", "a@10 002#", "a@10 001#", "a@20 002#", "a@20 001#", "a@30 002#")
		if s.log.unread.n != 1 {
			t.Errorf("%d bad lines, want 1: they are the same each time", s.log.unread.n)
		}
	})
}

func TestPlayForEverEndsIfThereIsNothing(t *testing.T) {
	path := t.TempDir() + "/x.log"
	write(t, path, "(1.000) x 001#\n")
	for name, without := range map[string]func(*stage){
		"filter":  func(s *stage) { s.log.sel, _ = parseSelection("--filter", []string{"7FF"}) },
		"channel": func(s *stage) { s.to([]string{"none"}, []*namedBus{s.one}); s.one = nil },
		"part":    func(s *stage) { s.log.from = time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "", false)
				s.log.path, s.log.loops = path, -1
				without(s)
				if err := s.log.open(t.Context()); err != nil {
					t.Fatal(err)
				}
				defer s.log.close()
				if err := s.run(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.want(t)
			})
		})
	}
}

func TestPlayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, drive, false)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := s.run(ctx); err != context.DeadlineExceeded {
			t.Errorf("run = %v, want the ctx's error", err)
		}
		s.want(t, "a@0 001#", "a@10 002#")
	})
}

func TestPlayKeepsLiveInputThatEndsWithAnInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "", false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		in, feed := io.Pipe()
		defer feed.Close() // ends the goroutine that reads it
		s.log.in = in
		if err := s.log.open(ctx); err != nil {
			t.Fatal(err)
		}
		go io.WriteString(feed, "(1.0) x 001#\n") // and then nothing
		if err := s.run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("run = %v, want the ctx's error", err)
		}
		s.want(t, "a@0 001#")
	})
}

// press sends keys to a player, each when all is quiet.
func press(t *testing.T, p *player) func(keys string) {
	c := make(chan byte)
	p.keys, p.hold = c, true
	return func(keys string) {
		for _, key := range []byte(keys) {
			c <- key
			synctest.Wait()
		}
	}
}

func TestStepSendsAFrameForEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, drive, false)
		var shown strings.Builder
		s.showStep = &shown
		keys := press(t, s.player)
		done := make(chan error)
		go func() { done <- s.run(t.Context()) }()
		synctest.Wait()
		time.Sleep(time.Second)
		keys("x ") // only the second is for a frame
		time.Sleep(time.Second)
		keys("\r")
		s.want(t, "a@1000 001#", "a@2000 002#")
		if want := "(0000000100.000000) x 001#\n(0000000100.010000) y 002#\n"; shown.String() != want {
			t.Errorf("shown %q, want %q", shown.String(), want)
		}
		keys("q")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestStepGoesOnAtSpeedAndHoldsWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, drive, false)
		keys := press(t, s.player)
		done := make(chan error)
		go func() { done <- s.run(t.Context()) }()
		synctest.Wait()
		keys("g")
		time.Sleep(60 * time.Millisecond)
		keys(" ") // while it waits for 004
		time.Sleep(time.Second)
		s.want(t, "a@0 001#", "a@10 002#", "a@50 003#")
		keys("g")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		s.want(t, "a@0 001#", "a@10 002#", "a@50 003#", "a@1060 004#")
	})
}

func TestStepEndsWhilePlayingAtSpeed(t *testing.T) {
	for _, end := range []string{"q", "\x03"} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, drive, false)
			keys := press(t, s.player)
			done := make(chan error)
			go func() { done <- s.run(t.Context()) }()
			synctest.Wait()
			keys("gx")
			time.Sleep(60 * time.Millisecond)
			keys(end)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			s.want(t, "a@0 001#", "a@10 002#", "a@50 003#")
		})
	}
}

// picky refuses one identifier and fails at another.
type picky struct{ hub.Bus }

var errGone = errors.New("gone")

func (p picky) Send(ctx context.Context, m hub.Message) error {
	switch m.ID {
	case 2:
		return fmt.Errorf("%w: not this one", hub.ErrInvalid)
	case 3:
		return errGone
	}
	return p.Bus.Send(ctx, m)
}

func TestPlayCountsRefusalsAndEndsWithAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, drive, false)
		s.one.Bus = picky{s.one.Bus}
		err := s.run(t.Context())
		if !errors.Is(err, errGone) || err.Error() != "a: send 003#: gone" {
			t.Errorf("run = %v, want the failure with the bus and the frame", err)
		}
		s.want(t, "a@0 001#")
		if s.refused != 1 || !strings.Contains(s.stderr.String(), "canhub: a: send 002#: ") {
			t.Errorf("%d refused, stderr %q", s.refused, s.stderr.String())
		}
		if err := s.failure(); err == nil || err.Error() != "stdin: 1 entry could not be read; 1 frame refused by the bus" {
			t.Errorf("failure %v", err)
		}
	})
}

// A node that does not receive would stall a channel.
func TestPlayDoesNotStallTheBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "", false)
		other := hubtest.Open(t, s.h, "a", &hub.SubscriberOptions{SendOnly: true})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := drained(t.Context(), []*namedBus{s.one}, func() error {
			for range 20000 { // more than the queue of the player's node and the inbox
				if err := other.Send(ctx, hub.Std(7)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestPlayCountsChannelsOnlyUpToALimit(t *testing.T) {
	p := &player{unmapped: make(map[string]uint64)}
	for i := range 5000 {
		p.pass(fmt.Sprint("c", i))
	}
	if n := len(p.unmapped); n != maxChannels+1 || p.unmapped["others"] != 5000-maxChannels {
		t.Errorf("%d channels, %d others", n, p.unmapped["others"])
	}
	if text := p.summary(0); len(text) > 1000 {
		t.Errorf("the summary has %d bytes", len(text))
	}
}

func TestRoutes(t *testing.T) {
	for _, tt := range []struct {
		args     string
		channels []string
		err      string
	}{
		{args: "multicast:"},
		{args: "log:x?speed=2"},
		{args: "0=hub:a x=hub:b?own=1", channels: []string{"0", "x"}},
		{args: "hub:a hub:b", err: "2 buses: say which channels go to them, as in can0=hub:a"},
		{args: "x=hub:a hub:b", err: "want CHANNEL=BUS for all buses, or one BUS for all channels"},
		{args: "x=hub:a x=hub:b", err: "channel x goes to two buses"},
	} {
		channels, err := routes(strings.Fields(tt.args))
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("%s: error %v, want %q", tt.args, err, tt.err)
			}
			continue
		}
		if diff := cmp.Diff(tt.channels, channels); err != nil || diff != "" {
			t.Errorf("%s: %v, -want +got:\n%s", tt.args, err, diff)
		}
	}
}

func TestParseSpeedAndLoops(t *testing.T) {
	for text, want := range map[string]float64{"max": math.Inf(1), "0.5": 0.5, "10": 10} {
		if got, err := parseSpeed(text); got != want || err != nil {
			t.Errorf("speed %s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "NaN", "Inf", "1e999", "fast"} {
		if got, err := parseSpeed(text); err == nil {
			t.Errorf("speed %s: %v", text, got)
		}
	}
	for _, text := range []string{"", "0", "-1", "1.5", "ever"} {
		if got, err := parseLoops(text); err == nil {
			t.Errorf("loop %s: %v", text, got)
		}
	}
}

func TestTheDrawnLineGivesWayToOthers(t *testing.T) {
	var out strings.Builder
	talk := &talker{out: &out}
	talk.draw("12345")
	talk.draw("123")
	talk.say("hello")
	talk.draw("4")
	if want := "\r12345\r123  \r   \rcanhub: hello\n\r4"; out.String() != want {
		t.Errorf("written %q, want %q", out.String(), want)
	}
}

func TestProgressLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		time.Sleep(10 * time.Second)
		for _, tt := range []struct {
			width      int
			read, size int64
			want       string
		}{
			{80, 50, 100, " 50% [############............]  10s  1000 frames  100/s"},
			{80, 0, 0, "  10s  1000 frames  100/s"},
			{10, 200, 100, "100% [###"},
		} {
			if got := progressLine(tt.width, tt.read, tt.size, begin, 1000, "frames"); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		}
	})
}

func TestALineIsFollowedUntilStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		talk := &talker{out: &out}
		n := 0
		stop := talk.follow(func(int) string { n++; return "x" })
		time.Sleep(time.Second + time.Millisecond)
		stop()
		if n != 10 || !strings.HasSuffix(out.String(), "\r \r") {
			t.Errorf("drawn %d times in a second, want 10; then %q", n, out.String())
		}
	})
}

func TestRawTerminalLineEnds(t *testing.T) {
	var out strings.Builder
	if n, err := (crlf{&out}).Write([]byte("a\nb\n")); n != 4 || err != nil || out.String() != "a\r\nb\r\n" {
		t.Errorf("%d, %v, %q", n, err, out.String())
	}
}
