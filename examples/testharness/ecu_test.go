package testharness_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/examples/testharness"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// bench runs a test against the control unit, on a bus of its own.
//
// Everything is born inside the bubble: the hub, the unit's goroutine, the
// context. There time is fake. It stands still while any goroutine has
// something to do, and leaps to the next timer when all wait.
func bench(t *testing.T, test func(t *testing.T, tester *hub.Subscriber)) {
	synctest.Test(t, func(t *testing.T) {
		// The hub is closed when the test ends, and a goroutine that is left
		// over then fails it.
		h := hubtest.New(t)
		unit := hubtest.Open(t, h, "can0", nil)
		tester := hubtest.Open(t, h, "can0", nil)

		// t.Context is done when the test ends, and with it the unit.
		go testharness.Serve(t.Context(), unit)
		test(t, tester)
	})
}

func send(t *testing.T, bus hub.Bus, m hub.Message) {
	t.Helper()
	if err := bus.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// The frames of the conversation. A number in front says how many bytes follow.
var (
	openSession  = hub.Std(0x7E0, 2, 0x10, 0x03)
	sessionOpen  = hub.Std(0x7E8, 6, 0x50, 0x03, 0x00, 0x32, 0x01, 0xF4)
	readSession  = hub.Std(0x7E0, 3, 0x22, 0xF1, 0x86)
	inDefault    = hub.Std(0x7E8, 4, 0x62, 0xF1, 0x86, 0x01)
	inExtended   = hub.Std(0x7E8, 4, 0x62, 0xF1, 0x86, 0x03)
	closeWindow  = hub.Std(0x7E0, 4, 0x31, 0x01, 0x02, 0x01)
	windowCloses = hub.Std(0x7E8, 4, 0x71, 0x01, 0x02, 0x01)
	notNow       = hub.Std(0x7E8, 3, 0x7F, 0x31, 0x7F)
	present      = hub.Std(0x7E0, 2, 0x3E, 0x80)
)

// The usual test: send a frame, say which frames come back.
func TestWindowClosesInTheExtendedSessionOnly(t *testing.T) {
	bench(t, func(t *testing.T, tester *hub.Subscriber) {
		send(t, tester, closeWindow)
		hubtest.Want(t, tester, notNow)

		send(t, tester, openSession)
		send(t, tester, closeWindow)
		hubtest.Want(t, tester, sessionOpen, windowCloses)
	})
}

// Five seconds that take no time. And they are exact: the session is there one
// nanosecond before its end, which no test against a real clock could tell.
func TestSessionEndsAfterFiveSeconds(t *testing.T) {
	bench(t, func(t *testing.T, tester *hub.Subscriber) {
		send(t, tester, openSession)
		hubtest.Want(t, tester, sessionOpen)

		time.Sleep(5*time.Second - 1)
		send(t, tester, readSession) // which also makes the five seconds start again
		hubtest.Want(t, tester, inExtended)

		// Now the unit's timer and this sleep end at the same instant. Wait
		// returns when the unit, too, has done what it does then.
		time.Sleep(5 * time.Second)
		synctest.Wait()
		send(t, tester, readSession)
		hubtest.Want(t, tester, inDefault)
	})
}

// An hour at a workshop: the tester says every four seconds that it is there.
func TestTesterPresentKeepsTheSession(t *testing.T) {
	bench(t, func(t *testing.T, tester *hub.Subscriber) {
		send(t, tester, openSession)
		hubtest.Want(t, tester, sessionOpen)

		task, err := tester.SendPeriodic(&hub.Periodic{
			Messages: []hub.Message{present},
			Period:   4 * time.Second,
			Duration: time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		<-task.Done()
		send(t, tester, readSession)
		hubtest.Want(t, tester, inExtended) // and nothing before it: 80 wants no answer
	})
}

// In a bubble, that nothing comes is certain and takes no time.
func TestRequestsThatGetNoAnswer(t *testing.T) {
	for name, m := range map[string]hub.Message{
		"to another unit":         hub.Std(0x7E1, 2, 0x3E, 0x00),
		"29-bit identifier":       hub.Ext(0x7E0, 2, 0x3E, 0x00),
		"remote frame":            hub.RTR(0x7E0, 3),
		"no data":                 hub.Std(0x7E0),
		"longer than the frame":   hub.Std(0x7E0, 3, 0x22, 0xF1),
		"first of several frames": hub.Std(0x7E0, 0x10, 0x14, 0x2E, 0xF1, 0x90, 1, 2, 3),
		"unknown, to all":         hub.Std(0x7DF, 1, 0x99),
	} {
		t.Run(name, func(t *testing.T) {
			bench(t, func(t *testing.T, tester *hub.Subscriber) {
				send(t, tester, m)
				hubtest.WantNone(t, tester)
			})
		})
	}
}

// When something has one answer for each request, a table says it best.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct{ request, answer hub.Message }{
		"present":                {hub.Std(0x7E0, 2, 0x3E, 0x00), hub.Std(0x7E8, 2, 0x7E, 0x00)},
		"present, to all":        {hub.Std(0x7DF, 2, 0x3E, 0x00), hub.Std(0x7E8, 2, 0x7E, 0x00)},
		"unknown service":        {hub.Std(0x7E0, 1, 0x99), hub.Std(0x7E8, 3, 0x7F, 0x99, 0x11)},
		"unknown session":        {hub.Std(0x7E0, 2, 0x10, 0x55), hub.Std(0x7E8, 3, 0x7F, 0x10, 0x12)},
		"no session":             {hub.Std(0x7E0, 1, 0x10), hub.Std(0x7E8, 3, 0x7F, 0x10, 0x13)},
		"no session, to all":     {hub.Std(0x7DF, 1, 0x10), hub.Std(0x7E8, 3, 0x7F, 0x10, 0x13)},
		"unknown value":          {hub.Std(0x7E0, 3, 0x22, 0xF1, 0x90), hub.Std(0x7E8, 3, 0x7F, 0x22, 0x31)},
		"the default session":    {readSession, inDefault},
		"padded to eight bytes":  {hub.Std(0x7E0, 2, 0x3E, 0x00, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC), hub.Std(0x7E8, 2, 0x7E, 0x00)},
		"a routine at this time": {closeWindow, notNow},
	} {
		t.Run(name, func(t *testing.T) {
			bench(t, func(t *testing.T, tester *hub.Subscriber) {
				send(t, tester, c.request)
				hubtest.Want(t, tester, c.answer)
				hubtest.WantNone(t, tester)
			})
		})
	}
}

// Serve tells why it has ended.
func TestServeEndsWithItsContextOrItsBus(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(cancel context.CancelFunc, bus hub.Bus)
		want error
	}{
		"context": {func(cancel context.CancelFunc, _ hub.Bus) { cancel() }, context.Canceled},
		"bus":     {func(_ context.CancelFunc, bus hub.Bus) { bus.Close() }, hub.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bus := hubtest.Open(t, hubtest.New(t), "can0", nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error, 1)
				go func() { ended <- testharness.Serve(ctx, bus) }()

				synctest.Wait() // now it waits for a request
				c.end(cancel, bus)
				if err := <-ended; err != c.want {
					t.Errorf("Serve returned %v, want %v", err, c.want)
				}
			})
		})
	}
}
