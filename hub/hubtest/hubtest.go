package hubtest

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// patience is how long anything here waits for what should come at once.
const patience = 5 * time.Second

// New returns a hub whose log is the log of the test. When the test ends the
// hub is closed, and the test fails if a goroutine is left that was not there
// before New, be it the hub's or the test's own. A subtest answers for what it
// starts; where it fails, the test that runs it is not searched as well.
//
// Not for tests that call t.Parallel. Where a test makes several hubs, the
// search for leaks takes place when the last of them has been closed.
func New(t testing.TB) *hub.Hub {
	t.Helper()
	return newHub(t, leakPatience)
}

func newHub(t testing.TB, forLeaks time.Duration) *hub.Hub {
	t.Helper()
	if k := ofTest(t); k.leaks == nil {
		k.leaks = watchLeaks(forLeaks)
	}
	h := hub.New(&hub.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(func() {
		var err error
		if hang := within(patience, "closing the hub", func() { err = h.Close() }); hang != nil {
			t.Error(hang)
		} else if err != nil {
			t.Errorf("closing the hub: %v", err)
		}
	})
	return h
}

// Open returns a new subscriber on the channel of h called name. It is closed
// when the test ends. An error ends the test.
func Open(t testing.TB, h *hub.Hub, name string, o *hub.SubscriberOptions) *hub.Subscriber {
	t.Helper()
	ofTest(t) // it may get a hub yet, whose search is to come behind this Close
	var s *hub.Subscriber
	var err error
	if hang := within(patience, "open "+name, func() { s, err = h.Open(name, o) }); hang != nil {
		t.Fatal(hang)
	}
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	t.Cleanup(func() {
		if hang := within(patience, "closing a subscriber of "+name, func() { s.Close() }); hang != nil {
			t.Error(hang)
		}
	})
	return s
}

// WaitPeers waits until there are exactly n subscribers on the channel, those of
// the test included. 0 waits for its end. If that takes more than 5 seconds the
// test ends, and tells who is there.
func WaitPeers(t testing.TB, h *hub.Hub, channel string, n int) {
	t.Helper()
	pause := 50 * time.Microsecond
	for start := time.Now(); ; {
		var channels []hub.ChannelInfo
		if hang := within(patience, "Hub.Channels", func() { channels = h.Channels() }); hang != nil {
			t.Fatal(hang)
		}
		count := 0
		for _, c := range channels {
			if c.Name == channel {
				count = c.Subscribers
			}
		}
		if count == n {
			return
		}
		if time.Since(start) >= patience {
			t.Fatalf("%d subscribers on channel %s after %v, want %d; open channels: %s",
				count, channel, patience, n, list(channels))
		}
		time.Sleep(pause)
		pause = min(2*pause, 10*time.Millisecond)
	}
}

// list names the channels and how many subscribers each has.
func list(channels []hub.ChannelInfo) string {
	if len(channels) == 0 {
		return "none"
	}
	var texts []string
	for _, c := range channels {
		texts = append(texts, fmt.Sprintf("%s (%d)", c.Name, c.Subscribers))
	}
	return strings.Join(texts, ", ")
}
