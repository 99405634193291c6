package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// A logBuffer is a log that can be read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logBuffer) want(t *testing.T, n int, parts ...string) {
	t.Helper()
	if got := l.lines(parts); got != n {
		t.Errorf("%d lines of the log have %q, want %d:\n%s", got, parts, n, l.b.String())
	}
}

// lines counts those that have all parts.
func (l *logBuffer) lines(parts []string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
lines:
	for line := range strings.Lines(l.b.String()) {
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue lines
			}
		}
		n++
	}
	return n
}

func TestWhatTheOtherBusRefusesIsCountedLoggedAndPassedOver(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		b.onSend = func(_ context.Context, m hub.Message) error {
			switch {
			case m.ID == 2:
				return fmt.Errorf("too odd: %w", hub.ErrInvalid)
			case m.Flags&hub.FDF != 0:
				return fmt.Errorf("no FD here: %w", errors.ErrUnsupported)
			}
			return nil
		}
		var st bridge.Stats
		var log logBuffer
		run(t, a, b, &bridge.Options{Stats: &st, Logger: log.logger()})
		a.deliver(hub.Std(1), hub.Std(2), hub.Std(3))
		time.Sleep(time.Second) // there is a line a second
		a.deliver(hub.FD(4), hub.Std(5))
		synctest.Wait()
		b.wantSent(t, hub.Std(1), hub.Std(3), hub.Std(5))
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 5, Forwarded: 3, Refused: 2})
		log.want(t, 2, "refused")
		log.want(t, 1, "side=b", "002#", "too odd")
		log.want(t, 1, "side=b", "004##0", "no FD here")
	})
}

// Ten thousand a second for three seconds, and then the end.
func TestRefusedMessagesAreLoggedOnceASecondWithTheirCount(t *testing.T) {
	for _, d := range []bridge.Direction{
		{}, // b refuses
		{Rewrite: func(uint32, bool) (uint32, bool) { return 0x800, false }},
	} {
		bridge.Bubble(t, func(t *testing.T) {
			a, b := newFake(), newFake()
			b.onSend = func(context.Context, hub.Message) error { return errors.ErrUnsupported }
			var st bridge.Stats
			var log logBuffer
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				done <- bridge.Run(ctx, a, b, &bridge.Options{Stats: &st, Logger: log.logger(), AToB: d})
			}()
			for i := range 3 * 10_000 {
				a.deliver(hub.FD(uint32(i % 2000)))
				time.Sleep(100 * time.Microsecond)
			}
			cancel()
			<-done
			wantCounts(t, &st.AToB, bridge.Snapshot{Received: 30_000, Refused: 30_000})
			log.want(t, 4, "refused")
			log.want(t, 1, "message.frame=", "count=1\n")
			log.want(t, 2, "message.frame=", "count=10000\n")
			log.want(t, 1, "count=9999\n") // those that were left at the end
		})
	}
}

func TestStalledMessagesAreLoggedOnceASecondWithTheirCount(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		b.onSend = func(_ context.Context, m hub.Message) error {
			if m.ID < 500 {
				time.Sleep(time.Millisecond) // and once more
				return hub.ErrStalled
			}
			return nil
		}
		var st bridge.Stats
		var log logBuffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- bridge.Run(ctx, a, b, &bridge.Options{Queue: 1, Stats: &st, Logger: log.logger()})
		}()
		a.deliver(ids(0, 499)...)
		time.Sleep(time.Minute)
		a.deliver(hub.Ext(500)) // and it goes on
		synctest.Wait()
		cancel()
		<-done
		s := st.AToB.Snapshot()
		if s.Forwarded != 1 || s.Stalled != 500 {
			t.Errorf("counts %+v, want one forwarded and the others stalled", s)
		}
		log.want(t, 2, "buses wait for each other")
		log.want(t, 1, "message.frame=00000000#", "count=1\n")
		log.want(t, 1, "count=499\n")
	})
}

func TestOneInvalidMessageOfManyIsRefusedAlone(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		y := hubtest.Open(t, h, "b", nil)
		gone := newFake()
		gone.fail(hub.ErrClosed)
		a := newFake()
		var st bridge.Stats
		run(t, a, gone, &bridge.Options{Stats: &st, B: bridge.Side{
			Redial: func(context.Context) (hub.Bus, error) { return h.Open("b", nil) }}})
		// They come while b is away, so that a hub channel gets them all at once.
		bad := hub.Message{ID: 0x800}
		a.deliver(hub.Std(1), bad, hub.Std(2), bad, hub.Std(3))
		hubtest.Want(t, y, hub.Std(1), hub.Std(2), hub.Std(3))
		a.deliver(ids(4, 300)...)
		hubtest.Want(t, y, ids(4, 300)...)
		synctest.Wait()
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 302, Forwarded: 300, Refused: 2})
	})
}

func TestARewriteToWhatIsNoIdentifierIsRefused(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		var st bridge.Stats
		var log logBuffer
		run(t, a, b, &bridge.Options{Stats: &st, Logger: log.logger(), AToB: bridge.Direction{
			Rewrite: func(id uint32, extended bool) (uint32, bool) { return id << 8, extended }}})
		a.deliver(hub.Std(7), hub.Std(8), hub.Ext(0x1FFFFF))
		time.Sleep(time.Second)
		a.deliver(hub.Ext(0x200000))
		synctest.Wait()
		b.wantSent(t, hub.Std(0x700), hub.Ext(0x1FFFFF00))
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 4, Forwarded: 2, Refused: 2})
		log.want(t, 1, "side=a", "ID 0x800")
		log.want(t, 1, "side=a", "ID 0x20000000")
	})
}

func TestASlowBusMakesTheBridgeWaitAndLosesNothing(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		h := hubtest.New(t)
		x := hubtest.Open(t, h, "a", nil)
		b := newFake()
		b.onSend = func(context.Context, hub.Message) error { time.Sleep(time.Second); return nil }
		var st bridge.Stats
		run(t, hubtest.Open(t, h, "a", nil), b, &bridge.Options{Stats: &st, Queue: 2})
		send(t, x, ids(1, 1000)...)
		time.Sleep(time.Second / 2)
		if s := st.AToB.Snapshot(); s.Received == 1000 {
			t.Errorf("%+v: the bridge took everything and did not wait", s)
		}
		time.Sleep(1000 * time.Second)
		b.wantSent(t, ids(1, 1000)...)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 1000, Forwarded: 1000})
	})
}

func TestStaleMessagesOfASlowBusAreDropped(t *testing.T) {
	bridge.Bubble(t, func(t *testing.T) {
		a, b := newFake(), newFake()
		b.onSend = func(context.Context, hub.Message) error { time.Sleep(time.Second); return nil }
		var st bridge.Stats
		run(t, a, b, &bridge.Options{Stats: &st, LifeSpan: 3 * time.Second})
		a.deliver(ids(1, 9)...) // sent at 0, 1, 2 and 3 s: 3 s is not more than 3 s
		time.Sleep(10 * time.Second)
		b.wantSent(t, ids(1, 4)...)
		wantCounts(t, &st.AToB, bridge.Snapshot{Received: 9, Forwarded: 4, Stale: 5})
	})
}
