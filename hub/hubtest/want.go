package hubtest

import (
	"context"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// Want receives as many messages as it is given and fails the test if they are
// not these, in this order. It returns what it received, so that a test can also
// look at Timestamp, Seq and the flag Own.
//
// Messages are compared as [hub.Message.Equal] does: by their frames. Own does
// not count either, for a subscriber that sees its own messages gets them marked
// and a test writes down what it sent; whether a message is marked is for the
// test to ask.
//
// Other messages than these are an error, and the test goes on behind them. If
// one has not come after 5 seconds, or the bus returns an error, the test ends,
// and tells what came and what did not.
func Want(t testing.TB, bus hub.Bus, messages ...hub.Message) []hub.Message {
	t.Helper()
	var got []hub.Message
	for range messages {
		m, err := recv(t, bus, patience)
		switch {
		case err == context.DeadlineExceeded:
			t.Fatalf("received %d of %d messages, then none for %v (-want +got):\n%s",
				len(got), len(messages), patience, diff(messages, got))
		case err != nil:
			t.Fatalf("received %d of %d messages, then error %q (-want +got):\n%s",
				len(got), len(messages), err, diff(messages, got))
		}
		got = append(got, m)
	}
	if d := diff(messages, got); d != "" {
		t.Errorf("received other messages (-want +got):\n%s", d)
	}
	return got
}

// quiet is how long WantNone listens.
const quiet = 50 * time.Millisecond

// WantNone fails the test if a message comes within 50 milliseconds. In a
// synctest bubble these pass when all goroutines are idle, so there WantNone is
// exact: it misses no message that is under way, and also reports one that a
// timer sends within that time. Outside a slow machine can hide one from it.
func WantNone(t testing.TB, bus hub.Bus) {
	t.Helper()
	m, err := recv(t, bus, quiet)
	switch {
	case err == nil:
		t.Errorf("received %s, want no message", text(m))
	case err != context.DeadlineExceeded:
		t.Fatalf("received error %q, want no message", err)
	}
}

// recv receives one message. The context is not that of the test, which is done
// when the test's cleanup functions run. A bus that does not look at it ends the
// test.
func recv(t testing.TB, bus hub.Bus, d time.Duration) (m hub.Message, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if hang := within(d+graceTime, "Recv", func() { m, err = bus.Recv(ctx) }); hang != nil {
		t.Fatal(hang)
	}
	return m, err
}
