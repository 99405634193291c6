package hub_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// BenchmarkHourOf10msTraffic simulates an hour of one message every 10 ms, sent
// by a periodic task and received by one subscriber, in a bubble of its own each
// time. The metric is what the hour costs in real time.
func BenchmarkHourOf10msTraffic(b *testing.B) {
	const messages = 360000
	for b.Loop() {
		if err := hourInBubble(time.Hour, messages); err != nil {
			b.Fatal(err)
		}
	}
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(seconds/float64(b.N), "s/hour")
	b.ReportMetric(float64(b.N)*messages/seconds, "messages/s")
	b.ReportMetric(0, "ns/op") // s/hour says the same and can be read
}

// hourInBubble simulates 10 ms traffic for d and checks that it is so many
// messages and all are on time.
//
// A benchmark has no T of its own, and synctest.Test wants one. It uses it to
// derive the T of the bubble and to pass on a failure, so a zero T does as long
// as nothing fails: what goes wrong in the bubble is returned as an error, and
// nobody calls a method of the T but Context.
func hourInBubble(d time.Duration, want int) (err error) {
	synctest.Test(new(testing.T), func(t *testing.T) {
		err = hourTraffic(t.Context(), d, want)
	})
	return err
}

func hourTraffic(ctx context.Context, d time.Duration, want int) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	h := hub.New(nil)
	defer h.Close()
	tx, err := h.Open("can0", nil)
	if err != nil {
		return err
	}
	rx, err := h.Open("can0", nil)
	if err != nil {
		return err
	}
	start := time.Now()
	_, err = tx.SendPeriodic(&hub.Periodic{
		Messages: []hub.Message{hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8)},
		Period:   10 * time.Millisecond,
		Duration: d,
	})
	if err != nil {
		return err
	}
	n := 0
	for m := range rx.All(ctx) {
		if late := m.Time().Sub(start) - time.Duration(n)*10*time.Millisecond; late != 0 {
			return fmt.Errorf("message %d is %v late", n+1, late)
		}
		n++
	}
	if n != want {
		return fmt.Errorf("received %d messages, want %d", n, want)
	}
	return nil
}

// A failure in the bubble must fail the benchmark, and not get lost with its T.
func TestHourBenchmarkTellsWhatIsWrong(t *testing.T) {
	if err := hourInBubble(time.Minute, 6000); err != nil {
		t.Error(err)
	}
	if err := hourInBubble(time.Minute, 6001); err == nil {
		t.Error("no error for a wrong number of messages")
	}
}
