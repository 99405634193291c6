package main

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A coming is what one contender did when a subscriber came and went all the
// time while a publisher sent to others.
type coming struct {
	perSecond series // opened and closed
	with      series // deliveries per second to the others
	kept      series // with / the same without anybody coming or going
	err       error
}

// comeAndGo opens and closes a subscriber until stop.
func comeAndGo(sys system, stop <-chan struct{}) (n int, err error) {
	for {
		select {
		case <-stop:
			return n, nil
		default:
		}
		if err := sys.(churner).churn(); err != nil {
			return n, err
		}
		n++
	}
}

func canChurn(ct *contender) bool {
	switch ct {
	case hubRecv, chatHub, mutexHub, cskr, dustin, moby, tailscale, natsServer:
		return true
	}
	return false
}

// A nuisance is a subscriber under a drop policy that does not keep up.
type nuisance struct {
	name   string
	beside func(system, <-chan struct{}) (int, error)
}

var nuisances = []nuisance{
	{"one under DropNewest that never receives", neverReceives(hub.DropNewest)},
	{"one under DropOldest that never receives", neverReceives(hub.DropOldest)},
	{"one under DropOldest that receives one message per millisecond", receivesSlowly},
	{"one under DropOldest after the other that never receives and leaves after a millisecond", leaves},
}

// Each returns how many messages the subscriber lost: that has to be some.

func neverReceives(p hub.Policy) func(system, <-chan struct{}) (int, error) {
	return func(sys system, stop <-chan struct{}) (int, error) {
		s, err := sys.(*hubSystem).hub.Open("can0", &hub.SubscriberOptions{Policy: p})
		if err != nil {
			return 0, err
		}
		<-stop
		return int(s.Stats().Dropped), s.Close()
	}
}

func receivesSlowly(sys system, stop <-chan struct{}) (int, error) {
	s, err := sys.(*hubSystem).hub.Open("can0", &hub.SubscriberOptions{Policy: hub.DropOldest})
	if err != nil {
		return 0, err
	}
	done, cancel := context.WithCancel(background)
	cancel() // Recv takes what is there, and does not wait
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return int(s.Stats().Dropped), s.Close()
		case <-tick.C:
			s.Recv(done)
		}
	}
}

func leaves(sys system, stop <-chan struct{}) (dropped int, err error) {
	for {
		s, err := sys.(*hubSystem).hub.Open("can0", &hub.SubscriberOptions{Policy: hub.DropOldest})
		if err != nil {
			return 0, err
		}
		stopped := false
		select {
		case <-stop:
			stopped = true
		case <-time.After(time.Millisecond):
		}
		dropped += int(s.Stats().Dropped)
		if err := s.Close(); err != nil || stopped {
			return dropped, err
		}
	}
}

// crowd is what many idle channels with one subscriber each cost.
type crowd struct {
	channels      int
	open, close   time.Duration
	bytes         float64 // of heap and stack, per channel
	goroutines    float64 // per channel
	closedCleanly bool
}

func measureCrowd(channels int) (c crowd, err error) {
	c.channels = channels
	names := make([]string, channels)
	for i := range names {
		names[i] = fmt.Sprintf("can%d", i)
	}
	subs := make([]*hub.Subscriber, channels)
	before, goroutines := memory(), runtime.NumGoroutine()
	h := hub.New(nil)
	start := time.Now()
	for i, name := range names {
		if subs[i], err = h.Open(name, nil); err != nil {
			return c, err
		}
	}
	c.open = time.Since(start)
	c.bytes = float64(memory()-before) / float64(channels)
	c.goroutines = float64(runtime.NumGoroutine()-goroutines) / float64(channels)
	start = time.Now()
	if err := h.Close(); err != nil {
		return c, err
	}
	c.close = time.Since(start)
	runtime.KeepAlive(subs)
	c.closedCleanly = runtime.NumGoroutine() <= goroutines
	return c, nil
}

// measureBigQueue returns the bytes that a subscriber with the largest queue costs
// when it is opened.
func measureBigQueue() (float64, error) {
	const subscribers = 8
	h := hub.New(nil)
	defer h.Close()
	if _, err := h.Open("can0", nil); err != nil {
		return 0, err
	}
	subs := make([]*hub.Subscriber, subscribers)
	before := memory()
	for i := range subs {
		var err error
		if subs[i], err = h.Open("can0", &hub.SubscriberOptions{Queue: largestQueue}); err != nil {
			return 0, err
		}
	}
	bytes := float64(memory()-before) / subscribers
	runtime.KeepAlive(subs)
	return max(0, bytes), nil
}

const largestQueue = 1 << 20

// memory returns the bytes of heap and stacks in use.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// measureDay simulates d of a message every 10 ms in fake time, and returns how
// long that took.
//
// synctest.Test wants a T, which it uses to derive that of the bubble and to
// pass on a failure. A zero T does, as long as nothing fails: what goes wrong is
// returned as an error.
func measureDay(d time.Duration) (took time.Duration, err error) {
	start := time.Now()
	synctest.Test(new(testing.T), func(t *testing.T) { err = traffic(d) })
	return time.Since(start), err
}

func traffic(d time.Duration) error {
	const period = 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(background, d)
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
	if _, err = tx.SendPeriodic(&hub.Periodic{
		Messages: []hub.Message{hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8)},
		Period:   period,
		Duration: d,
	}); err != nil {
		return err
	}
	n := 0
	for m := range rx.All(ctx) {
		if late := m.Time().Sub(start) - time.Duration(n)*period; late != 0 {
			return fmt.Errorf("message %d is %v late", n+1, late)
		}
		n++
	}
	if want := int(d / period); n != want {
		return fmt.Errorf("received %d messages, want %d", n, want)
	}
	return nil
}
