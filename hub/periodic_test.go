package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A periodicTick is a message as its receiver sees it: when it came, counted
// from the start of the test, and its first data byte.
type periodicTick struct {
	at   time.Duration
	data byte
}

func (p periodicTick) String() string { return fmt.Sprintf("%v:%d", p.at, p.data) }

// A periodicRig is a hub with a sender and a receiver that has a large queue.
type periodicRig struct {
	*testing.T
	hub    *hub.Hub
	tx, rx *hub.Subscriber
	start  time.Time
}

// periodicBubble runs f in a bubble of its own. A deadlock fails this test alone.
func periodicBubble(t *testing.T, f func(r *periodicRig)) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("the bubble did not end: %v", p)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		r := &periodicRig{T: t, hub: hub.New(nil), start: time.Now()}
		defer r.hub.Close()
		r.tx = r.open(nil)
		r.rx = r.open(&hub.SubscriberOptions{Queue: 10000})
		f(r)
	})
}

func (r *periodicRig) open(o *hub.SubscriberOptions) *hub.Subscriber {
	r.Helper()
	s, err := r.hub.Open("can0", o)
	if err != nil {
		r.Fatal(err)
	}
	return s
}

func (r *periodicRig) begin(p *hub.Periodic) *hub.Task {
	r.Helper()
	task, err := r.tx.SendPeriodic(p)
	if err != nil {
		r.Fatal(err)
	}
	return task
}

// until lets fake time pass to this far from the start, and everything happen
// that is due by then.
func (r *periodicRig) until(at time.Duration) {
	time.Sleep(time.Until(r.start.Add(at)))
	synctest.Wait()
}

// ticks returns what came since it was last called.
func (r *periodicRig) ticks() (ticks []periodicTick) {
	r.Helper()
	synctest.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		m, err := r.rx.Recv(ctx)
		if err == context.Canceled {
			return ticks
		}
		if err != nil {
			r.Fatal(err)
		}
		ticks = append(ticks, periodicTick{m.Time().Sub(r.start), m.Data[0]})
	}
}

func (r *periodicRig) want(want ...periodicTick) {
	r.Helper()
	if got := r.ticks(); !slices.Equal(got, want) {
		r.Errorf("received %v, want %v", got, want)
	}
}

// ended checks that the task has ended, with this error.
func (r *periodicRig) ended(task *hub.Task, want error) {
	r.Helper()
	synctest.Wait()
	select {
	case <-task.Done():
	default:
		r.Error("the task has not ended")
	}
	if err := task.Err(); err != want {
		r.Errorf("Err: %v, want %v", err, want)
	}
}

func (r *periodicRig) running(task *hub.Task) {
	r.Helper()
	synctest.Wait()
	select {
	case <-task.Done():
		r.Error("the task has ended")
	default:
	}
	if err := task.Err(); err != nil {
		r.Errorf("Err of a task that runs: %v", err)
	}
}

// periodicRun returns ticks that are a period apart and all have the same data.
func periodicRun(first, period time.Duration, n int, data byte) []periodicTick {
	var ticks []periodicTick
	for i := range n {
		ticks = append(ticks, periodicTick{first + time.Duration(i)*period, data})
	}
	return ticks
}

// periodicPlan is one message 123 with one byte of data every 10 ms.
func periodicPlan(data byte) *hub.Periodic {
	return &hub.Periodic{Messages: []hub.Message{hub.Std(0x123, data)}, Period: 10 * time.Millisecond}
}

func TestPeriodicSendsTheFirstAtOnceAndThenOneEachPeriod(t *testing.T) {
	for _, period := range []time.Duration{1, time.Microsecond, 10 * time.Millisecond, 333333333, time.Hour, math.MaxInt64} {
		t.Run(period.String(), func(t *testing.T) {
			periodicBubble(t, func(r *periodicRig) {
				time.Sleep(3 * time.Millisecond)
				r.start = time.Now()
				plan := periodicPlan(1)
				plan.Period = period
				task := r.begin(plan)
				r.want(periodicTick{0, 1})
				if period == math.MaxInt64 {
					return
				}
				r.until(period - 1)
				r.want()
				r.until(period)
				r.want(periodicTick{period, 1})
				r.until(1000 * period)
				r.want(periodicRun(2*period, period, 999, 1)...)
				r.running(task)
			})
		})
	}
}

func TestPeriodicSendsItsMessagesInRotation(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(0)
		plan.Messages = []hub.Message{hub.Std(0x123, 1), hub.RTR(0x123, 2), hub.FD(0x123, 3)}
		plan.Count = 8
		r.begin(plan)
		plan.Messages[0] = hub.Std(0x123, 99) // ours again
		r.until(time.Second)
		want := []hub.Message{hub.Std(0x123, 1), hub.RTR(0x123, 2), hub.FD(0x123, 3)}
		for i := range 8 {
			m, err := r.rx.Recv(r.Context())
			if err != nil {
				r.Fatal(err)
			}
			if !m.Equal(want[i%3]) {
				r.Errorf("message %d: %v, want %v", i, m, want[i%3])
			}
			if at := m.Time().Sub(r.start); at != time.Duration(i)*10*time.Millisecond {
				r.Errorf("message %d came at %v, want %v", i, at, time.Duration(i)*10*time.Millisecond)
			}
		}
		r.want()
	})
}

func TestPeriodicEndsAfterCount(t *testing.T) {
	for _, count := range []int{1, 2, 3, 100} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			periodicBubble(t, func(r *periodicRig) {
				plan := periodicPlan(7)
				plan.Count = count
				task := r.begin(plan)
				last := time.Duration(count-1) * 10 * time.Millisecond
				if count > 1 {
					r.until(last - 1)
					r.running(task)
				}
				r.until(last)
				r.ended(task, nil) // it waits for nothing more
				r.until(time.Minute)
				r.want(periodicRun(0, 10*time.Millisecond, count, 7)...)
			})
		})
	}
}

// A task has a message at each whole period before Duration: their number is
// Duration divided by Period, rounded up.
func TestPeriodicEndsAfterDuration(t *testing.T) {
	for _, tt := range []struct {
		duration, period time.Duration
		count, want      int
	}{
		{1, 10 * time.Millisecond, 0, 1},
		{10*time.Millisecond - 1, 10 * time.Millisecond, 0, 1},
		{10 * time.Millisecond, 10 * time.Millisecond, 0, 1},
		{10*time.Millisecond + 1, 10 * time.Millisecond, 0, 2},
		{25 * time.Millisecond, 10 * time.Millisecond, 0, 3},
		{30 * time.Millisecond, 10 * time.Millisecond, 0, 3},
		{30*time.Millisecond + 1, 10 * time.Millisecond, 0, 4},
		{time.Second, 7 * time.Millisecond, 0, 143},
		{time.Second, 333333333, 0, 4},
		{time.Second, 10 * time.Millisecond, 5, 5},             // Count comes first
		{50 * time.Millisecond, 10 * time.Millisecond, 6, 5},   // Duration comes first
		{50*time.Millisecond + 1, 10 * time.Millisecond, 6, 6}, // both at once
		{1, time.Hour, 0, 1},
	} {
		t.Run(fmt.Sprintf("%v/%v/%d", tt.duration, tt.period, tt.count), func(t *testing.T) {
			periodicBubble(t, func(r *periodicRig) {
				plan := periodicPlan(7)
				plan.Period, plan.Duration, plan.Count = tt.period, tt.duration, tt.count
				task := r.begin(plan)
				r.until(tt.period * time.Duration(tt.want))
				r.ended(task, nil)
				r.until(10 * time.Hour)
				r.want(periodicRun(0, tt.period, tt.want, 7)...)
			})
		})
	}
}

func TestDelayHoldsTheFirstMessageAndIsNoPartOfDuration(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(7)
		plan.Delay, plan.Duration = 25*time.Millisecond, 25*time.Millisecond
		task := r.begin(plan)
		r.until(25*time.Millisecond - 1)
		r.want()
		r.until(time.Second)
		r.want(periodicRun(25*time.Millisecond, 10*time.Millisecond, 3, 7)...)
		r.ended(task, nil)
	})
}

func TestTaskCanBeEndedDuringDelay(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(7)
		plan.Delay = time.Hour
		stopped, closed := r.begin(plan), r.begin(plan)
		r.until(time.Minute)
		stopped.Stop()
		r.ended(stopped, nil)
		r.tx.Close()
		r.ended(closed, hub.ErrClosed)
		r.until(2 * time.Hour)
		r.want()
	})
}

// Resume sends at once, also where the rest of Delay would be longer, and
// Duration counts from that first message.
func TestDurationCountsFromTheFirstMessageThatResumeSent(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(7)
		plan.Delay, plan.Duration = time.Second, 30*time.Millisecond
		task := r.begin(plan)
		r.until(5 * time.Millisecond)
		task.Pause()
		r.until(100 * time.Millisecond)
		task.Resume()
		r.until(time.Minute)
		r.want(periodicRun(100*time.Millisecond, 10*time.Millisecond, 3, 7)...)
		r.ended(task, nil)
	})
}

// Who waits for Done must not wait for a message that will never be sent.
func TestPeriodicIsDoneWhenDurationHasPassed(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(7)
		plan.Period, plan.Duration = time.Hour, time.Second
		task := r.begin(plan)
		r.until(time.Second)
		r.ended(task, nil)
	})
}

func TestModifyCountsInTheMessageFromTheFirstOn(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(40)
		plan.Count = 4
		plan.Modify = func(m *hub.Message) { m.Data[0]++ }
		r.begin(plan)
		r.until(time.Second)
		r.want(periodicTick{0, 41}, periodicTick{10 * time.Millisecond, 42}, periodicTick{20 * time.Millisecond, 43}, periodicTick{30 * time.Millisecond, 44})
		if got := plan.Messages[0]; got != hub.Std(0x123, 40) {
			r.Errorf("the caller's message is now %v", got)
		}
	})
}

func TestModifyGetsEachMessageOfTheRotationAgain(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(0)
		plan.Messages = []hub.Message{hub.Std(0x123, 10), hub.Std(0x123, 20)}
		plan.Count = 6
		plan.Modify = func(m *hub.Message) { m.Data[0]++ }
		r.begin(plan)
		r.until(time.Second)
		var data []byte
		for _, tick := range r.ticks() {
			data = append(data, tick.data)
		}
		if want := []byte{11, 21, 12, 22, 13, 23}; !slices.Equal(data, want) {
			r.Errorf("data %d, want %d", data, want)
		}
	})
}

func TestModifyMustLeaveTheIdentifierAlone(t *testing.T) {
	for name, change := range map[string]func(*hub.Message){
		"another identifier": func(m *hub.Message) { m.ID++ },
		"extended":           func(m *hub.Message) { m.Flags |= hub.Extended },
		"invalid identifier": func(m *hub.Message) { m.ID = 0x800 },
		"invalid length":     func(m *hub.Message) { m.Len = 9 },
		"invalid flags":      func(m *hub.Message) { m.Flags |= hub.BRS },
	} {
		t.Run(name, func(t *testing.T) {
			periodicBubble(t, func(r *periodicRig) {
				n := 0
				plan := periodicPlan(7)
				plan.Modify = func(m *hub.Message) {
					if n++; n == 3 {
						change(m)
					}
				}
				task := r.begin(plan)
				r.until(20*time.Millisecond - 1)
				r.running(task)
				r.until(20 * time.Millisecond)
				select {
				case <-task.Done():
				default:
					r.Fatal("the task has not ended")
				}
				err := task.Err()
				if err == nil || errors.Is(err, hub.ErrClosed) {
					r.Errorf("Err: %v, want what is wrong with the message", err)
				}
				if invalid := strings.HasPrefix(name, "invalid"); errors.Is(err, hub.ErrInvalid) != invalid {
					r.Errorf("Err: %v; does it match ErrInvalid? want %v", err, invalid)
				}
				r.until(time.Second)
				r.want(periodicRun(0, 10*time.Millisecond, 2, 7)...)
				// The subscriber is none the worse for it.
				r.begin(&hub.Periodic{Messages: []hub.Message{hub.Std(1, 8)}, Period: time.Second})
				r.want(periodicTick{time.Second, 8})
			})
		})
	}
}

func TestModifyMayEndItsOwnTask(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(r *periodicRig, task *hub.Task)
		err  error
	}{
		{"Stop", func(_ *periodicRig, task *hub.Task) { task.Stop() }, nil},
		{"Subscriber.Close", func(r *periodicRig, _ *hub.Task) { r.tx.Close() }, hub.ErrClosed},
		{"Hub.Close", func(r *periodicRig, _ *hub.Task) { r.hub.Close() }, hub.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			periodicBubble(t, func(r *periodicRig) {
				tasks := make(chan *hub.Task, 1)
				plan := periodicPlan(7)
				n := 0
				plan.Modify = func(*hub.Message) {
					if n++; n == 3 {
						tt.end(r, <-tasks)
					}
				}
				task := r.begin(plan)
				tasks <- task
				r.until(time.Minute)
				r.ended(task, tt.err)
				if n != 3 {
					r.Errorf("Modify was called %d times, want 3", n)
				}
			})
		})
	}
}

func TestCloseDoesNotWaitForAModifyThatIsRunning(t *testing.T) {
	for _, name := range []string{"Subscriber.Close", "Hub.Close"} {
		t.Run(name, func(t *testing.T) {
			periodicBubble(t, func(r *periodicRig) {
				plan := periodicPlan(7)
				plan.Modify = func(*hub.Message) { time.Sleep(time.Minute) }
				task := r.begin(plan)
				r.until(time.Second)
				if name == "Hub.Close" {
					r.hub.Close()
				} else {
					r.tx.Close()
				}
				if d := time.Since(r.start); d != time.Second {
					r.Errorf("closed after %v, want 1s", d)
				}
				r.until(time.Minute)
				r.ended(task, hub.ErrClosed)
			})
		})
	}
}

func TestUpdateChangesTheMessagesAndKeepsTheSchedule(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		task := r.begin(periodicPlan(1))
		r.until(15 * time.Millisecond)
		m := []hub.Message{hub.Std(0x123, 2, 0, 0)}
		if err := task.Update(m...); err != nil {
			r.Fatal(err)
		}
		m[0] = hub.Std(0x123, 99) // ours again
		r.until(35 * time.Millisecond)
		r.want(periodicTick{0, 1}, periodicTick{10 * time.Millisecond, 1}, periodicTick{20 * time.Millisecond, 2}, periodicTick{30 * time.Millisecond, 2})
		for _, data := range []byte{3, 4, 5} { // the last one counts
			if err := task.Update(hub.Std(0x123, data)); err != nil {
				r.Fatal(err)
			}
		}
		r.until(45 * time.Millisecond)
		r.want(periodicTick{40 * time.Millisecond, 5})
	})
}

func TestUpdateKeepsTheTurnOfTheRotation(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(0)
		plan.Messages = []hub.Message{hub.Std(0x123, 1), hub.Std(0x123, 2), hub.Std(0x123, 3)}
		plan.Count = 7
		task := r.begin(plan)
		r.until(35 * time.Millisecond)
		if err := task.Update(hub.Std(0x123, 11), hub.Std(0x123, 12), hub.Std(0x123, 13)); err != nil {
			r.Fatal(err)
		}
		r.until(time.Second)
		var data []byte
		for _, tick := range r.ticks() {
			data = append(data, tick.data)
		}
		if want := []byte{1, 2, 3, 1, 12, 13, 11}; !slices.Equal(data, want) {
			r.Errorf("data %d, want %d", data, want)
		}
	})
}

func TestUpdateRefusesAnotherCountOrIdentifier(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(0)
		plan.Messages = []hub.Message{hub.Std(0x123, 1), hub.Std(0x123, 2)}
		task := r.begin(plan)
		for name, messages := range map[string][]hub.Message{
			"none":               nil,
			"one":                {hub.Std(0x123, 9)},
			"three":              {hub.Std(0x123, 9), hub.Std(0x123, 9), hub.Std(0x123, 9)},
			"another identifier": {hub.Std(0x124, 9), hub.Std(0x124, 9)},
			"two identifiers":    {hub.Std(0x123, 9), hub.Std(0x124, 9)},
			"extended":           {hub.Ext(0x123, 9), hub.Ext(0x123, 9)},
			"invalid":            {hub.Std(0x123, 9), hub.Std(0x123, make([]byte, 9)...)},
		} {
			err := task.Update(messages...)
			if err == nil {
				r.Errorf("%s: no error", name)
			}
			if errors.Is(err, hub.ErrInvalid) != (name == "invalid") {
				r.Errorf("%s: error %v", name, err)
			}
		}
		r.until(15 * time.Millisecond)
		r.want(periodicTick{0, 1}, periodicTick{10 * time.Millisecond, 2}) // as if nothing had been asked
		r.running(task)
		task.Stop()
		<-task.Done()
		if err := task.Update(hub.Std(0x123, 3), hub.Std(0x123, 4)); err != hub.ErrClosed {
			r.Errorf("Update after the end: %v, want %v", err, hub.ErrClosed)
		}
	})
}

func TestPauseHoldsATaskAndResumeSendsAtOnce(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(7)
		plan.Count = 8
		task := r.begin(plan)
		r.until(14 * time.Millisecond)
		task.Pause()
		r.until(time.Minute)
		r.want(periodicRun(0, 10*time.Millisecond, 2, 7)...)
		r.running(task)
		task.Resume()
		r.want(periodicTick{time.Minute, 7})
		r.until(time.Minute + 25*time.Millisecond)
		r.want(periodicRun(time.Minute+10*time.Millisecond, 10*time.Millisecond, 2, 7)...)
		task.Pause()
		r.until(2 * time.Minute)
		r.want()
		task.Resume()
		r.until(time.Hour)
		r.want(periodicRun(2*time.Minute, 10*time.Millisecond, 3, 7)...) // pauses do not count as messages
		r.ended(task, nil)
	})
}

func TestPauseIsNotCountedInDuration(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(7)
		plan.Duration = 100 * time.Millisecond
		task := r.begin(plan)
		var want []periodicTick
		// Each round takes 14 ms of the task's time: messages at 0 and 10.
		for round := range 7 {
			at := time.Duration(round) * time.Second
			r.until(at)
			task.Resume()
			want = append(want, periodicRun(at, 10*time.Millisecond, 2, 7)...)
			r.until(at + 14*time.Millisecond)
			task.Pause()
			synctest.Wait()
			r.running(task)
		}
		// 98 ms are over. Nothing ends while the task is paused.
		r.until(time.Hour)
		r.running(task)
		task.Resume()
		want = append(want, periodicTick{time.Hour, 7})
		r.until(time.Hour + 10*time.Millisecond)
		r.ended(task, nil)
		r.want(want...)
	})
}

func TestPauseBeforeTheFirstMessageHoldsItToo(t *testing.T) {
	// Pause may come before or after the task's goroutine has begun: then the
	// first message is out already.
	periodicBubble(t, func(r *periodicRig) {
		task := r.begin(periodicPlan(7))
		task.Pause()
		r.until(time.Minute)
		first := r.ticks()
		if len(first) > 1 || len(first) == 1 && first[0].at != 0 {
			r.Errorf("received %v from a paused task, want the first at most", first)
		}
		task.Resume()
		r.until(time.Minute + 15*time.Millisecond)
		r.want(periodicRun(time.Minute, 10*time.Millisecond, 2, 7)...)
	})
}

func TestSpuriousPauseAndResumeChangeNothing(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		plan := periodicPlan(7)
		plan.Duration = 50 * time.Millisecond
		task := r.begin(plan)
		for i := range 24 { // not paused
			r.until(time.Duration(i) * time.Millisecond)
			task.Resume()
			task.Resume()
		}
		r.want(periodicRun(0, 10*time.Millisecond, 3, 7)...)
		r.until(24 * time.Millisecond)
		for i := range 50 { // paused already
			task.Pause()
			task.Pause()
			r.until(24*time.Millisecond + time.Duration(i)*700*time.Microsecond)
		}
		r.until(time.Second)
		r.want()
		for range 5 { // resumed already
			task.Resume()
			synctest.Wait()
		}
		r.until(time.Minute)
		// 24 ms of 50 are over: the rest has room for 3.
		r.want(periodicRun(time.Second, 10*time.Millisecond, 3, 7)...)
		r.ended(task, nil)
		task.Pause()
		task.Resume()
		task.Stop()
		r.ended(task, nil)
	})
}

func TestStopEndsATask(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(r *periodicRig, task *hub.Task)
		want   []periodicTick
	}{
		{"at once", func(*periodicRig, *hub.Task) {}, nil},
		{"in a period", func(r *periodicRig, _ *hub.Task) { r.until(25 * time.Millisecond) }, periodicRun(0, 10*time.Millisecond, 3, 7)},
		{"paused", func(r *periodicRig, task *hub.Task) {
			r.until(25 * time.Millisecond)
			task.Pause()
			r.until(time.Second)
		}, periodicRun(0, 10*time.Millisecond, 3, 7)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			periodicBubble(t, func(r *periodicRig) {
				task := r.begin(periodicPlan(7))
				tt.before(r, task)
				now := time.Now()
				task.Stop()
				task.Stop()
				<-task.Done()
				if d := time.Since(now); d != 0 {
					r.Errorf("it took %v", d)
				}
				r.ended(task, nil)
				task.Resume()
				r.until(time.Minute)
				got := r.ticks()
				if tt.want == nil && len(got) == 1 && got[0].at == 0 {
					return // the first was out already
				}
				if !slices.Equal(got, tt.want) {
					r.Errorf("received %v, want %v", got, tt.want)
				}
				// Its subscriber goes on.
				if err := r.tx.Send(r.Context(), hub.Std(1, 8)); err != nil {
					r.Error(err)
				}
				r.want(periodicTick{time.Minute, 8})
			})
		})
	}
}

// periodicJam makes the rig's channel wait: a subscriber with room for one
// message holds it, and the inbox has room for one send. The task's first
// message is then in that queue, the channel waits with the second, the third
// is in the inbox, and the task waits with the fourth, from 30 ms on.
func periodicJam(t *testing.T, f func(r *periodicRig, jam *hub.Subscriber)) {
	t.Helper()
	periodicBubble(t, func(r *periodicRig) {
		r.tx.Close()
		r.rx.Close()
		if err := r.hub.Create("can0", &hub.ChannelOptions{Inbox: 1}); err != nil {
			r.Fatal(err)
		}
		r.tx = r.open(nil)
		r.rx = r.open(&hub.SubscriberOptions{Queue: 10000})
		jam := r.open(&hub.SubscriberOptions{Queue: 1})
		synctest.Wait()
		f(r, jam)
	})
}

// periodicFree takes all that there is for s, from now on, without delay.
func periodicFree(r *periodicRig, s *hub.Subscriber) {
	go func() {
		for range s.All(context.Background()) {
		}
	}()
	synctest.Wait()
}

// The bus is blocked for 3.5 periods, from 30 ms to 65 ms: the message of 30 ms
// waits, those of 40, 50 and 60 ms are late.
func TestPeriodicSkipsWholePeriodsThatItMissed(t *testing.T) {
	periodicJam(t, func(r *periodicRig, jam *hub.Subscriber) {
		plan := periodicPlan(0)
		plan.Modify = func(m *hub.Message) { m.Data[0]++ }
		task := r.begin(plan)
		r.until(65 * time.Millisecond)
		r.want(periodicTick{0, 1}, periodicTick{10 * time.Millisecond, 2})
		periodicFree(r, jam)
		// 20 to 60 are skipped: the channel was busy with the one before.
		r.want()
		r.until(95 * time.Millisecond)
		r.want(periodicTick{70 * time.Millisecond, 3}, periodicTick{80 * time.Millisecond, 4}, periodicTick{90 * time.Millisecond, 5})
		r.running(task)
	})
}

func TestPeriodicCatchesUpWhatItMissedIfAsked(t *testing.T) {
	periodicJam(t, func(r *periodicRig, jam *hub.Subscriber) {
		plan := periodicPlan(0)
		plan.CatchUp = true
		plan.Modify = func(m *hub.Message) { m.Data[0]++ }
		task := r.begin(plan)
		r.until(65 * time.Millisecond)
		r.want(periodicTick{0, 1}, periodicTick{10 * time.Millisecond, 2})
		periodicFree(r, jam)
		var late []periodicTick
		for data := byte(3); data <= 7; data++ { // of 20 to 60 ms
			late = append(late, periodicTick{65 * time.Millisecond, data})
		}
		r.want(late...)
		r.until(95 * time.Millisecond)
		r.want(periodicTick{70 * time.Millisecond, 8}, periodicTick{80 * time.Millisecond, 9}, periodicTick{90 * time.Millisecond, 10})
		r.running(task)
	})
}

func TestPeriodicCatchesUpBeforeCountEndsIt(t *testing.T) {
	for _, tt := range []struct {
		catchUp bool
		last    time.Duration
	}{
		{true, 90 * time.Millisecond},
		{false, 140 * time.Millisecond}, // five were skipped
	} {
		t.Run(fmt.Sprintf("CatchUp=%v", tt.catchUp), func(t *testing.T) {
			periodicJam(t, func(r *periodicRig, jam *hub.Subscriber) {
				plan := periodicPlan(7)
				plan.Count, plan.CatchUp = 10, tt.catchUp
				task := r.begin(plan)
				r.until(65 * time.Millisecond)
				periodicFree(r, jam)
				<-task.Done()
				if d := time.Since(r.start); d != tt.last {
					r.Errorf("ended at %v, want %v", d, tt.last)
				}
				if got := r.ticks(); len(got) != 10 {
					r.Errorf("received %v, want 10", got)
				}
			})
		})
	}
}

func TestDurationEndsATaskWhoseBusWasBlocked(t *testing.T) {
	for _, catchUp := range []bool{false, true} {
		t.Run(fmt.Sprintf("CatchUp=%v", catchUp), func(t *testing.T) {
			periodicJam(t, func(r *periodicRig, jam *hub.Subscriber) {
				plan := periodicPlan(7)
				plan.Duration, plan.CatchUp = 60*time.Millisecond, catchUp
				task := r.begin(plan)
				r.until(65 * time.Millisecond)
				periodicFree(r, jam)
				r.ended(task, nil)
				r.until(time.Second)
				want := []periodicTick{{0, 7}, {10 * time.Millisecond, 7}}
				if catchUp { // what the inbox had taken
					want = append(want, periodicTick{65 * time.Millisecond, 7}, periodicTick{65 * time.Millisecond, 7})
				}
				r.want(want...)
			})
		})
	}
}

func TestTaskThatWaitsForABlockedBusCanBeEnded(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(r *periodicRig, task *hub.Task)
		err  error
	}{
		{"Stop", func(_ *periodicRig, task *hub.Task) { task.Stop() }, nil},
		{"Subscriber.Close", func(r *periodicRig, _ *hub.Task) { r.tx.Close() }, hub.ErrClosed},
		{"Hub.Close", func(r *periodicRig, _ *hub.Task) { r.hub.Close() }, hub.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			periodicJam(t, func(r *periodicRig, _ *hub.Subscriber) {
				task := r.begin(periodicPlan(7))
				r.until(time.Minute)
				r.running(task) // no stall: somebody else should receive
				tt.end(r, task)
				r.ended(task, tt.err)
				if d := time.Since(r.start); d != time.Minute {
					r.Errorf("it took %v", d-time.Minute)
				}
			})
		})
	}
}

func TestTasksWithOneIdentifierAreIndependent(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		first := r.begin(periodicPlan(1))
		r.until(3 * time.Millisecond)
		second := r.begin(periodicPlan(2))
		r.until(25 * time.Millisecond)
		r.want(periodicTick{0, 1}, periodicTick{3 * time.Millisecond, 2},
			periodicTick{10 * time.Millisecond, 1}, periodicTick{13 * time.Millisecond, 2},
			periodicTick{20 * time.Millisecond, 1}, periodicTick{23 * time.Millisecond, 2})
		if err := first.Update(hub.Std(0x123, 11)); err != nil {
			r.Fatal(err)
		}
		second.Pause()
		r.until(45 * time.Millisecond)
		r.want(periodicTick{30 * time.Millisecond, 11}, periodicTick{40 * time.Millisecond, 11})
		first.Stop()
		second.Resume()
		r.until(60 * time.Millisecond)
		r.want(periodicTick{45 * time.Millisecond, 2}, periodicTick{55 * time.Millisecond, 2})
		r.ended(first, nil)
		r.running(second)
	})
}

func TestCloseEndsAllTasks(t *testing.T) {
	for _, name := range []string{"Subscriber.Close", "Hub.Close"} {
		t.Run(name, func(t *testing.T) {
			periodicBubble(t, func(r *periodicRig) {
				running := r.begin(periodicPlan(1))
				paused := r.begin(periodicPlan(2))
				stopped := r.begin(periodicPlan(3))
				r.until(15 * time.Millisecond)
				paused.Pause()
				stopped.Stop()
				synctest.Wait()
				if name == "Hub.Close" {
					r.hub.Close()
				} else {
					r.tx.Close()
				}
				// Close has waited for them.
				for who, task := range map[string]*hub.Task{"running": running, "paused": paused} {
					select {
					case <-task.Done():
					default:
						r.Errorf("the %s task has not ended", who)
					}
					if err := task.Err(); err != hub.ErrClosed {
						r.Errorf("Err of the %s task: %v, want %v", who, err, hub.ErrClosed)
					}
					if err := task.Update(hub.Std(0x123)); err != hub.ErrClosed {
						r.Errorf("Update of the %s task: %v, want %v", who, err, hub.ErrClosed)
					}
				}
				r.ended(stopped, nil)
				if d := time.Since(r.start); d != 15*time.Millisecond {
					r.Errorf("Close took %v", d-15*time.Millisecond)
				}
				if _, err := r.tx.SendPeriodic(periodicPlan(4)); err != hub.ErrClosed {
					r.Errorf("SendPeriodic after Close: %v, want %v", err, hub.ErrClosed)
				}
			})
		})
	}
}

func TestSendPeriodicRefusesAPlanThatCannotBe(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		one := []hub.Message{hub.Std(0x123)}
		for name, plan := range map[string]*hub.Periodic{
			"no plan":         nil,
			"no messages":     {Period: 1},
			"no period":       {Messages: one},
			"negative period": {Messages: one, Period: -1},
			"delay":           {Messages: one, Period: 1, Delay: -1},
			"duration":        {Messages: one, Period: 1, Duration: -1},
			"count":           {Messages: one, Period: 1, Count: -1},
			"two identifiers": {Messages: []hub.Message{hub.Std(1), hub.Std(2)}, Period: 1},
			"two formats":     {Messages: []hub.Message{hub.Std(1), hub.Ext(1)}, Period: 1},
			"invalid":         {Messages: []hub.Message{hub.Std(0x800)}, Period: 1},
		} {
			task, err := r.tx.SendPeriodic(plan)
			if err == nil || task != nil {
				r.Errorf("%s: task %v, error %v, want an error alone", name, task, err)
			}
			if errors.Is(err, hub.ErrInvalid) != (name == "invalid") {
				r.Errorf("%s: error %v", name, err)
			}
		}
		listener := r.open(&hub.SubscriberOptions{ListenOnly: true})
		if _, err := listener.SendPeriodic(periodicPlan(1)); err != hub.ErrListenOnly {
			r.Errorf("listen-only: %v, want %v", err, hub.ErrListenOnly)
		}
		r.until(time.Minute)
		r.want()
	})
}

// What simulations live on: no rounding, no drift, nothing left out.
func TestHourOf10msTrafficIs360000MessagesWithoutJitter(t *testing.T) {
	periodicBubble(t, func(r *periodicRig) {
		r.rx.Close()
		rx := r.open(nil)
		r.start = time.Now()
		plan := periodicPlan(0)
		plan.Duration = time.Hour
		task := r.begin(plan)
		const total = 360000
		n := 0
		ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
		defer cancel()
		for m := range rx.All(ctx) {
			at, now := time.Duration(n)*10*time.Millisecond, time.Since(r.start)
			if n++; m.Seq != uint64(n) || m.Time().Sub(r.start) != at || now != at {
				r.Fatalf("message %d has Seq %d, is stamped %v and came at %v, want %v", n, m.Seq, m.Time().Sub(r.start), now, at)
			}
		}
		if n != total {
			r.Errorf("received %d messages, want %d", n, total)
		}
		r.ended(task, nil)
		if got := r.tx.Stats().Sent; got != total {
			r.Errorf("Sent %d, want %d", got, total)
		}
		if got := rx.Stats(); got.Received != total || got.Dropped != 0 {
			r.Errorf("stats %+v, want %d received, none dropped", got, total)
		}
	})
}

// What a blocked bus makes a task leave out is counted.
func TestATaskCountsWhatItSkips(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		full := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
		tx := attachSender(t, h, "can0")
		task, err := tx.SendPeriodic(&hub.Periodic{Messages: []hub.Message{hub.Std(1)}, Period: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if sent, skipped := tx.Stats().Sent, task.Skipped(); sent != 2 || skipped != 99 {
			t.Errorf("%d sent and %d skipped in a second, want 2 and 99", sent, skipped)
		}
		go func() {
			for range full.All(context.Background()) {
			}
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if sent, skipped := tx.Stats().Sent, task.Skipped(); sent != 102 || skipped != 99 {
			t.Errorf("%d sent and %d skipped with a reader, want 102 and 99", sent, skipped)
		}
	})
}
