package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// The tests in this file hold the hub to what users of python-can's virtual bus
// expect. A number is that of a behaviour that python-can's own tests pin; they
// are listed with the test, and at the end those that do not bear on a hub. The
// tests behind them are about defects known there.

// bubble runs f in a bubble of fake time with a hub that is closed at its end.
func bubble(t *testing.T, f func(t *testing.T, h *hub.Hub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		f(t, h)
	})
}

func attach(t testing.TB, h *hub.Hub, channel string, o *hub.SubscriberOptions) *hub.Subscriber {
	t.Helper()
	s, err := h.Open(channel, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// attachSender returns a subscriber that receives nothing, so that nobody has
// to wait for it.
func attachSender(t testing.TB, h *hub.Hub, channel string) *hub.Subscriber {
	t.Helper()
	return attach(t, h, channel, &hub.SubscriberOptions{Filters: []hub.Filter{{Invert: true}}})
}

// transmit sends messages one by one.
func transmit(t testing.TB, s *hub.Subscriber, messages ...hub.Message) {
	t.Helper()
	for _, m := range messages {
		if err := s.Send(context.Background(), m); err != nil {
			t.Fatalf("Send(%v): %v", m, err)
		}
	}
}

func transmitBatch(t testing.TB, s *hub.Subscriber, messages []hub.Message) {
	t.Helper()
	if err := s.SendBatch(context.Background(), messages); err != nil {
		t.Fatalf("SendBatch: %v", err)
	}
}

// canceled returns a ctx that makes Recv a poll.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func recvWithin(s *hub.Subscriber, d time.Duration) (hub.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return s.Recv(ctx)
}

// drain returns what s has queued, or the rest of it when the hub is closed.
func drain(t *testing.T, s *hub.Subscriber) []hub.Message {
	t.Helper()
	ctx := canceled()
	var got []hub.Message
	for {
		m, err := s.Recv(ctx)
		if err != nil {
			if err != context.Canceled && err != hub.ErrClosed {
				t.Errorf("Recv: %v", err)
			}
			return got
		}
		got = append(got, m)
	}
}

// drainBatches is drain with RecvBatch.
func drainBatches(t *testing.T, s *hub.Subscriber) []hub.Message {
	t.Helper()
	ctx := canceled()
	var got []hub.Message
	for {
		msgs, err := s.RecvBatch(ctx)
		if err != nil {
			if err != context.Canceled && err != hub.ErrClosed {
				t.Errorf("RecvBatch: %v", err)
			}
			return got
		}
		got = append(got, msgs...)
	}
}

// drainC returns what comes out of C without waiting for anything but the hub.
func drainC(t *testing.T, s *hub.Subscriber) []hub.Message {
	t.Helper()
	c := s.C()
	var got []hub.Message
	for {
		synctest.Wait()
		select {
		case m, ok := <-c:
			if !ok {
				return got
			}
			got = append(got, m)
		default:
			return got
		}
	}
}

// drainSlowly is drain with time for the hub's goroutines in between.
func drainSlowly(t *testing.T, s *hub.Subscriber) []hub.Message {
	t.Helper()
	var got []hub.Message
	for {
		m, err := recvWithin(s, time.Millisecond)
		if err != nil {
			return got
		}
		got = append(got, m)
	}
}

func sameFrames(a, b []hub.Message) bool {
	return slices.EqualFunc(a, b, hub.Message.Equal)
}

func seqs(messages []hub.Message) []uint64 {
	var s []uint64
	for _, m := range messages {
		s = append(s, m.Seq)
	}
	return s
}

// offsets returns when messages were sent, counted from start.
func offsets(messages []hub.Message, start time.Time) []time.Duration {
	var d []time.Duration
	for _, m := range messages {
		d = append(d, m.Time().Sub(start))
	}
	return d
}

// every returns n times, one each period from 0 on.
func every(period time.Duration, n int) []time.Duration {
	var d []time.Duration
	for i := range n {
		d = append(d, time.Duration(i)*period)
	}
	return d
}

func startTask(t *testing.T, s *hub.Subscriber, p *hub.Periodic) *hub.Task {
	t.Helper()
	task, err := s.SendPeriodic(p)
	if err != nil {
		t.Fatalf("SendPeriodic: %v", err)
	}
	return task
}

// 1.
func TestAnIdleBusGivesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		rx := attach(t, h, "can0", nil)
		start := time.Now()
		if m, err := recvWithin(rx, 100*time.Millisecond); err != context.DeadlineExceeded {
			t.Errorf("Recv = %v, %v, want DeadlineExceeded", m, err)
		}
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Errorf("Recv returned after %v, want 100ms", d)
		}
		if m, err := rx.Recv(canceled()); err != context.Canceled {
			t.Errorf("Recv = %v, %v, want Canceled", m, err)
		}
	})
}

// 2.
func TestASecondCloseIsSilent(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		s := attach(t, h, "can0", nil)
		if err := errors.Join(s.Close(), s.Close(), h.Close(), h.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
}

// 3, 12 and 13.
func TestTimestampsAreTheWallClock(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		start := time.Now()
		for _, d := range []time.Duration{0, 2 * time.Second, 1, 123456789} {
			time.Sleep(d)
			want := time.Now().UnixNano()
			transmit(t, tx, hub.Std(1))
			synctest.Wait()
			time.Sleep(time.Minute) // receiving late changes nothing
			got := drain(t, rx)
			if len(got) != 1 || got[0].Timestamp != want {
				t.Fatalf("received %v at %v, want one message at %d", got, offsets(got, start), want)
			}
		}
	})
}

// 4 to 7, 9 and 10.
func TestEveryKindOfFrameArrivesAsItWasSent(t *testing.T) {
	brs := hub.FD(0x123, make([]byte, 48)...)
	brs.Flags |= hub.BRS
	esi := hub.FD(0x18FEF100, make([]byte, 12)...)
	esi.Flags |= hub.ESI
	frames := []hub.Message{
		hub.Std(0x7FF, 1, 2, 3, 4, 5, 6, 7, 8),
		hub.Ext(0x1FFFFFFF, 1, 2, 3, 4, 5, 6, 7, 8),
		hub.Ext(0x123, 1),
		hub.RTR(0x123, 4),
		hub.RTR(0x12345, 8),
		hub.Std(0x123, 1, 2, 3),
		hub.FD(0x123, make([]byte, 64)...),
		brs, esi,
		{ID: 0x004, Flags: hub.Error, Len: 8, Data: [64]byte{1: 1}},
	}
	bubble(t, func(t *testing.T, h *hub.Hub) {
		a, b := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		for _, way := range [][2]*hub.Subscriber{{a, b}, {b, a}} {
			for _, m := range frames {
				transmit(t, way[0], m)
				got, err := recvWithin(way[1], time.Second)
				if err != nil || !got.Equal(m) {
					t.Errorf("sent %v, received %v, %v", m, got, err)
				}
			}
		}
	})
}

// 8.
func TestEveryReceiverOwnsItsData(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		others := []*hub.Subscriber{attach(t, h, "can0", nil), attach(t, h, "can0", nil)}
		m := hub.Std(1, 1, 2, 3)
		transmit(t, tx, m)
		m.Data[0] = 99
		synctest.Wait()
		for _, s := range append(others, tx) {
			got := drain(t, s)
			if len(got) != 1 || !got[0].Equal(hub.Std(1, 1, 2, 3)) {
				t.Fatalf("%s received %v, want 001#010203", s.Name(), got)
			}
			clear(got[0].Bytes())
			got[0].ID = 0
		}

		// SendBatch copies too.
		batch := []hub.Message{hub.Std(1, 1), hub.Std(2, 2)}
		transmitBatch(t, tx, batch)
		clear(batch)
		synctest.Wait()
		for _, s := range others {
			if got := drain(t, s); !sameFrames(got, []hub.Message{hub.Std(1, 1), hub.Std(2, 2)}) {
				t.Errorf("%s received %v", s.Name(), got)
			}
		}
	})
}

// 14.
func TestATaskEndsWithItsDuration(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		duration, period time.Duration
		want             int
	}{
		{10 * ms, 3 * ms, 4}, // at 0, 3, 6 and 9
		{100 * ms, 11 * ms, 10},
		{1000 * ms, 400 * ms, 3},
		{1000 * ms, 500 * ms, 2}, // none at the end itself
		{1000 * ms, 1000 * ms, 1},
		{1000 * ms, 2000 * ms, 1},
		{1, 1, 1},
		{1000 * ms, 1 * ms, 1000},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%v/%v", tt.duration, tt.period), func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", &hub.SubscriberOptions{Queue: 2000})
				start := time.Now()
				task := startTask(t, tx, &hub.Periodic{Messages: numbered(1, 1), Period: tt.period, Duration: tt.duration})
				time.Sleep(10 * time.Second)
				select {
				case <-task.Done():
				default:
					t.Fatal("the task has not ended")
				}
				if err := task.Err(); err != nil {
					t.Errorf("Err = %v, want nil", err)
				}
				if got, want := offsets(drain(t, rx), start), every(tt.period, tt.want); !slices.Equal(got, want) {
					t.Errorf("sent at %v, want %v", got, want)
				}
			})
		})
	}
}

// 16.
func TestManySendersAndReceiversLoseNothing(t *testing.T) {
	manySendersAndReceivers(t, nil, 1000)
}

// 17.
func TestManySendersAndReceiversWithAFilter(t *testing.T) {
	// Of the identifiers 0 to 999 those whose lowest bit is set.
	manySendersAndReceivers(t, []hub.Filter{{ID: 1, Mask: 1}}, 500)
}

func manySendersAndReceivers(t *testing.T, filters []hub.Filter, want int) {
	h := hub.New(nil)
	defer h.Close()
	const senders, receivers, each = 100, 100, 10
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	payload := func(id uint32) []byte { return []byte{byte(id), byte(id >> 8), 0xA5, byte(id * 7)} }
	orders := make([][]uint64, receivers)
	var wg sync.WaitGroup
	for i := range receivers {
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Filters: filters})
		wg.Go(func() {
			seen := make(map[uint32]bool)
			for range want {
				m, err := rx.Recv(ctx)
				if err != nil {
					t.Errorf("%s has %d of %d messages: %v", rx.Name(), len(seen), want, err)
					return
				}
				if seen[m.ID] || !m.Equal(hub.Std(m.ID, payload(m.ID)...)) {
					t.Errorf("%s received %v twice or damaged", rx.Name(), m)
				}
				seen[m.ID] = true
				orders[i] = append(orders[i], m.Seq<<32|uint64(m.ID))
			}
		})
	}
	for i := range senders {
		tx := attachSender(t, h, "can0")
		wg.Go(func() {
			for k := range each {
				id := uint32(i*each + k)
				if err := tx.Send(ctx, hub.Std(id, payload(id)...)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, order := range orders {
		if !slices.Equal(order, orders[0]) {
			t.Fatalf("receiver %d saw another order than receiver 0", i)
		}
	}
}

// 18: what is_rx tells there, Own tells here.
func TestOwnMessagesAreMarkedAsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		a := attach(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		b := attach(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		c := attach(t, h, "can0", nil)
		lie := hub.Std(2)
		lie.Flags |= hub.Own // what a sender says of it does not count
		transmit(t, a, hub.Std(1), lie)
		transmitBatch(t, b, []hub.Message{hub.Std(3), {ID: 4, Flags: hub.Own}})
		if err := c.SendWait(context.Background(), lie); err != nil {
			t.Fatal(err)
		}
		task := startTask(t, c, &hub.Periodic{Messages: []hub.Message{lie}, Period: 1, Count: 1})
		<-task.Done()
		synctest.Wait()
		for s, want := range map[*hub.Subscriber]string{
			a: "1 own 2 own 3 4 2 2", b: "1 2 3 own 4 own 2 2", c: "1 2 3 4",
		} {
			var got []string
			for _, m := range drain(t, s) {
				got = append(got, fmt.Sprint(m.ID))
				if m.Flags&hub.Own != 0 {
					got = append(got, "own")
				}
			}
			if got := strings.Join(got, " "); got != want {
				t.Errorf("%s received %s, want %s", s.Name(), got, want)
			}
		}
	})
}

// 19: it is the sender's setting.
func TestKeepTimestampsIsTheSendersSetting(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		stamping := attach(t, h, "can0", nil)
		keeping := attach(t, h, "can0", &hub.SubscriberOptions{KeepTimestamps: true})
		rx := attach(t, h, "can0", nil)
		m := stamped(hub.Std(1), 42, 7)
		now := time.Now().UnixNano()
		// Between each other, so that they are forwarded together.
		transmit(t, stamping, m)
		transmit(t, keeping, m)
		transmitBatch(t, stamping, []hub.Message{m, m})
		transmitBatch(t, keeping, []hub.Message{m, hub.Std(1)})
		transmit(t, stamping, m)
		if err := keeping.SendWait(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		startTask(t, keeping, &hub.Periodic{Messages: []hub.Message{m}, Period: 1, Count: 1})
		synctest.Wait()
		want := []int64{now, 42, now, now, 42, 0, now, 42, 42}
		for i, m := range drain(t, rx) {
			if i >= len(want) || m.Timestamp != want[i] || m.Seq != uint64(i)+1 {
				t.Errorf("message %d has time %d and number %d, want times %v", i, m.Timestamp, m.Seq, want)
			}
		}
	})
}

// 20 to 22: more of this is in filter_test.go.
func TestFiltersAsPythonCanSetsThem(t *testing.T) {
	tests := []struct {
		name    string
		filters []hub.Filter
		m       hub.Message
		want    bool
	}{
		{"none", nil, hub.Ext(0xDEADBEF), true},
		{"empty", []hub.Filter{}, hub.Ext(0xDEADBEF), true},
		{"one extended identifier", []hub.Filter{{ID: 0x0123, Mask: 0x1FFFFFFF, ExtendedOnly: true}}, hub.Ext(0x0123), true},
		{"another one", []hub.Filter{{ID: 0x0123, Mask: 0x1FFFFFFF, ExtendedOnly: true}}, hub.Ext(0x0124), false},
		{"the same, standard", []hub.Filter{{ID: 0x0123, Mask: 0x1FFFFFFF, ExtendedOnly: true}}, hub.Std(0x0123), false},
		{"0xFFFFFFFF", []hub.Filter{{ID: 0xFFFFFFFF, Mask: 0x1FFFFFFF}}, hub.Ext(0x1FFFFFFF), true},
		{"0xFFFFFFFF and another", []hub.Filter{{ID: 0xFFFFFFFF, Mask: 0x1FFFFFFF}}, hub.Ext(0x1FFFFFFE), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
				rx.SetFilters(tt.filters...)
				transmit(t, tx, tt.m)
				synctest.Wait()
				if got := len(drain(t, rx)) == 1; got != tt.want {
					t.Errorf("%v came through: %t, want %t", tt.m, got, tt.want)
				}
			})
		})
	}
}

// 23.
func TestATaskIsOnTimeToTheNanosecond(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		m := hub.Ext(0x123, 0, 1, 2, 3, 4, 5, 6, 7)
		start := time.Now()
		task := startTask(t, tx, &hub.Periodic{Messages: []hub.Message{m}, Period: 10 * time.Millisecond})
		time.Sleep(time.Second - 1)
		task.Stop()
		<-task.Done()
		got := drain(t, rx)
		if want := every(10*time.Millisecond, 100); !slices.Equal(offsets(got, start), want) {
			t.Errorf("%d messages at %v, want 100, 10ms apart", len(got), offsets(got, start))
		}
		for _, g := range got {
			if !g.Equal(m) {
				t.Errorf("received %v, want %v", g, m)
			}
		}
		time.Sleep(time.Minute)
		if got := drain(t, rx); len(got) != 0 {
			t.Errorf("%v came after Stop", got)
		}
	})
}

// 24 to 26: a subscriber's tasks run side by side and each ends for itself;
// Close ends those that are left, whether or not the caller has kept them.
func TestTasksEndOneByOneAndAllWithClose(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		var tasks []*hub.Task
		for id := range uint32(10) {
			tasks = append(tasks, startTask(t, tx, &hub.Periodic{Messages: numbered(id, id), Period: 10 * time.Millisecond}))
		}
		for range 3 { // nobody keeps these
			startTask(t, tx, &hub.Periodic{Messages: numbered(100, 100), Period: 10 * time.Millisecond})
		}
		count := func(d time.Duration) map[uint32]int {
			time.Sleep(d)
			n := make(map[uint32]int)
			for _, m := range drain(t, rx) {
				n[m.ID]++
			}
			return n
		}
		if got := count(50*time.Millisecond - 1); len(got) != 11 || got[0] != 5 || got[9] != 5 || got[100] != 15 {
			t.Errorf("in 50ms %v, want 5 of each, and 15 of those of three tasks", got)
		}
		for _, task := range tasks[:5] {
			task.Stop()
			<-task.Done()
		}
		if got := count(50 * time.Millisecond); len(got) != 6 || got[5] != 5 || got[9] != 5 || got[100] != 15 {
			t.Errorf("with half of them stopped %v, want 5 each of 5 to 9 and 15 of 100", got)
		}
		tx.Close()
		for i, task := range tasks {
			select {
			case <-task.Done():
			default:
				t.Errorf("task %d has not ended when Close returns", i)
			}
			want := error(nil)
			if i >= 5 {
				want = hub.ErrClosed
			}
			if err := task.Err(); err != want {
				t.Errorf("task %d: Err = %v, want %v", i, err, want)
			}
		}
		if got := count(time.Hour); len(got) != 0 {
			t.Errorf("after Close %v, want nothing", got)
		}
	})
}

// 27 and 31.
func TestATaskCanBePausedAndResumedAgainAndAgain(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		const period = 10 * time.Millisecond
		start := time.Now()
		task := startTask(t, tx, &hub.Periodic{Messages: numbered(1, 1), Period: period, Duration: 110 * time.Millisecond})
		for round := range 4 {
			time.Sleep(2*period + period/2)
			task.Resume() // of a running task: harmless
			synctest.Wait()
			if got := offsets(drain(t, rx), start); !slices.Equal(got, every(period, 3)) {
				t.Errorf("round %d: sent at %v, want 0, 10 and 20ms", round, got)
			}
			task.Pause()
			task.Pause()
			time.Sleep(time.Hour)
			if got := drain(t, rx); len(got) != 0 {
				t.Errorf("round %d: %v came during the pause", round, got)
			}
			select {
			case <-task.Done():
				t.Fatalf("round %d: the task ended during the pause: %v", round, task.Err())
			default:
			}
			start = time.Now()
			task.Resume()
		}
		// It ran 4 times 25 ms, so 10 ms of its duration are left.
		<-task.Done()
		if got := offsets(drain(t, rx), start); !slices.Equal(got, every(period, 1)) || task.Err() != nil {
			t.Errorf("in the last 10ms sent at %v, Err = %v", got, task.Err())
		}
	})
}

// 27: who wants it once more starts it once more.
func TestAPeriodicCanBeSentAgain(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		p := &hub.Periodic{Messages: numbered(1, 1), Period: time.Millisecond, Count: 3}
		for range 3 {
			start := time.Now()
			<-startTask(t, tx, p).Done()
			synctest.Wait()
			if got := offsets(drain(t, rx), start); !slices.Equal(got, every(time.Millisecond, 3)) {
				t.Errorf("sent at %v, want 0, 1 and 2ms", got)
			}
		}
	})
}

// 28.
func TestATaskTellsWhyItEnded(t *testing.T) {
	run := func(t *testing.T, p hub.Periodic, end func(tx *hub.Subscriber, task *hub.Task)) (err error) {
		bubble(t, func(t *testing.T, h *hub.Hub) {
			tx := attach(t, h, "can0", nil)
			p.Messages, p.Period = numbered(1, 1), time.Second
			task := startTask(t, tx, &p)
			if err := task.Err(); err != nil && p.Modify == nil {
				t.Errorf("Err = %v while the task runs, want nil", err)
			}
			end(tx, task)
			<-task.Done()
			err = task.Err()
		})
		return err
	}
	nothing := func(*hub.Subscriber, *hub.Task) {}
	sleep := func(tx *hub.Subscriber) { time.Sleep(time.Minute + 1) }
	if err := run(t, hub.Periodic{}, func(tx *hub.Subscriber, task *hub.Task) { sleep(tx); task.Stop(); task.Stop() }); err != nil {
		t.Errorf("after Stop Err = %v, want nil", err)
	}
	if err := run(t, hub.Periodic{Count: 5}, nothing); err != nil {
		t.Errorf("after Count Err = %v, want nil", err)
	}
	if err := run(t, hub.Periodic{Duration: time.Minute}, nothing); err != nil {
		t.Errorf("after Duration Err = %v, want nil", err)
	}
	if err := run(t, hub.Periodic{}, func(tx *hub.Subscriber, task *hub.Task) { sleep(tx); tx.Close() }); err != hub.ErrClosed {
		t.Errorf("after Close Err = %v, want ErrClosed", err)
	}
	bad := hub.Periodic{Modify: func(m *hub.Message) { m.Len = 9 }}
	if err := run(t, bad, nothing); !errors.Is(err, hub.ErrInvalid) || !strings.Contains(err.Error(), "Len 9") {
		t.Errorf("after a bad Modify Err = %v, want one that matches ErrInvalid and names Len 9", err)
	}
	moved := hub.Periodic{Modify: func(m *hub.Message) { m.ID++ }}
	if err := run(t, moved, nothing); err == nil || !strings.Contains(err.Error(), "0x2") {
		t.Errorf("after Modify changed the identifier Err = %v, want one that names it", err)
	}
}

// 29.
func TestModifyChangesEachMessageFromTheFirstOn(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		messages := []hub.Message{hub.Std(1, 0)}
		<-startTask(t, tx, &hub.Periodic{
			Messages: messages, Period: time.Millisecond, Count: 100,
			Modify: func(m *hub.Message) { m.Data[0]++ },
		}).Done()
		synctest.Wait()
		got := drain(t, rx)
		if len(got) != 100 {
			t.Fatalf("%d messages, want 100", len(got))
		}
		for i, m := range got {
			if !m.Equal(hub.Std(1, byte(i+1))) {
				t.Errorf("message %d is %v, want the byte %d", i, m, i+1)
			}
		}
		if messages[0] != hub.Std(1, 0) {
			t.Errorf("the caller's message became %v", messages[0])
		}
	})
}

// 30.
func TestATaskSendsSeveralMessagesInRotation(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		start := time.Now()
		<-startTask(t, tx, &hub.Periodic{
			Messages: []hub.Message{hub.Std(1, 1), hub.Std(1, 2), hub.RTR(1, 3)}, Period: time.Millisecond, Count: 7,
		}).Done()
		synctest.Wait()
		got := drain(t, rx)
		want := []hub.Message{
			hub.Std(1, 1), hub.Std(1, 2), hub.RTR(1, 3), hub.Std(1, 1), hub.Std(1, 2), hub.RTR(1, 3), hub.Std(1, 1),
		}
		if !sameFrames(got, want) || !slices.Equal(offsets(got, start), every(time.Millisecond, 7)) {
			t.Errorf("sent %v at %v, want %v each millisecond", got, offsets(got, start), want)
		}
	})
}

// 30.
func TestATaskThatMakesNoSenseIsRefused(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	s := attach(t, h, "can0", nil)
	one := numbered(1, 1)
	for name, tt := range map[string]struct {
		p    *hub.Periodic
		want string
	}{
		"nil":                   {nil, "no messages"},
		"no messages":           {&hub.Periodic{Period: 1}, "no messages"},
		"empty list":            {&hub.Periodic{Messages: []hub.Message{}, Period: 1}, "no messages"},
		"two identifiers":       {&hub.Periodic{Messages: numbered(1, 2), Period: 1}, "message 2 of 2"},
		"standard and extended": {&hub.Periodic{Messages: []hub.Message{hub.Std(1), hub.Ext(1)}, Period: 1}, "message 2 of 2"},
		"an invalid message":    {&hub.Periodic{Messages: numbered(0x800, 0x800), Period: 1}, "0x800"},
		"no period":             {&hub.Periodic{Messages: one}, "Period 0s"},
		"negative period":       {&hub.Periodic{Messages: one, Period: -time.Second}, "Period -1s"},
		"negative duration":     {&hub.Periodic{Messages: one, Period: 1, Duration: -time.Second}, "Duration -1s"},
		"negative delay":        {&hub.Periodic{Messages: one, Period: 1, Delay: -time.Second}, "Delay -1s"},
		"negative count":        {&hub.Periodic{Messages: one, Period: 1, Count: -3}, "Count -3"},
	} {
		t.Run(name, func(t *testing.T) {
			task, err := s.SendPeriodic(tt.p)
			if err == nil {
				task.Stop()
				t.Fatal("SendPeriodic took it")
			}
			if task != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("SendPeriodic = %v, %q, want %q in the error", task, err, tt.want)
			}
		})
	}
}

// 32.
func TestTwoTasksWithOneIdentifierAreIndependent(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		a := startTask(t, tx, &hub.Periodic{Messages: []hub.Message{hub.Std(1, 0xA)}, Period: 10 * time.Millisecond})
		startTask(t, tx, &hub.Periodic{Messages: []hub.Message{hub.Std(1, 0xB)}, Period: 20 * time.Millisecond})
		count := func() (n [2]int) {
			time.Sleep(100 * time.Millisecond)
			for _, m := range drain(t, rx) {
				n[m.Data[0]-0xA]++
			}
			return n
		}
		time.Sleep(time.Millisecond)
		if got := count(); got != [2]int{11, 6} {
			t.Errorf("in 101ms %v, want 11 and 6", got)
		}
		a.Stop()
		if got := count(); got != [2]int{0, 5} {
			t.Errorf("with the first one stopped %v in 100ms, want 0 and 5", got)
		}
	})
}

// 33.
func TestUpdateChangesTheDataAndKeepsTheSchedule(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		start := time.Now()
		task := startTask(t, tx, &hub.Periodic{Messages: []hub.Message{hub.Std(1, 1), hub.Std(1, 2)}, Period: 10 * time.Millisecond, Count: 8})
		time.Sleep(35 * time.Millisecond)
		next := []hub.Message{hub.Std(1, 3), hub.Std(1, 4, 4)}
		if err := task.Update(next...); err != nil {
			t.Fatal(err)
		}
		clear(next)
		for name, msgs := range map[string][]hub.Message{
			"none":               nil,
			"too few":            {hub.Std(1)},
			"too many":           {hub.Std(1), hub.Std(1), hub.Std(1)},
			"another identifier": {hub.Std(1), hub.Std(2)},
			"other identifiers":  {hub.Std(2), hub.Std(2)},
			"extended":           {hub.Ext(1), hub.Ext(1)},
			"invalid":            {hub.Std(1), {ID: 1, Len: 9}},
		} {
			if err := task.Update(msgs...); err == nil {
				t.Errorf("%s: Update took %v", name, msgs)
			}
		}
		<-task.Done()
		synctest.Wait()
		got := drain(t, rx)
		want := []hub.Message{
			hub.Std(1, 1), hub.Std(1, 2), hub.Std(1, 1), hub.Std(1, 2),
			hub.Std(1, 3), hub.Std(1, 4, 4), hub.Std(1, 3), hub.Std(1, 4, 4),
		}
		if !sameFrames(got, want) || !slices.Equal(offsets(got, start), every(10*time.Millisecond, 8)) {
			t.Errorf("sent %v at %v, want %v each 10ms", got, offsets(got, start), want)
		}
	})
}

// 40.
func TestASubscriberOfAClosedHubStillDrains(t *testing.T) {
	receive := map[string]func(t *testing.T, s *hub.Subscriber) []hub.Message{
		"Recv": drain, "RecvBatch": drainBatches,
		"C": func(t *testing.T, s *hub.Subscriber) (got []hub.Message) {
			for m := range s.C() {
				got = append(got, m)
			}
			return got
		},
		"All": func(t *testing.T, s *hub.Subscriber) (got []hub.Message) {
			for m := range s.All(context.Background()) {
				got = append(got, m)
			}
			return got
		},
	}
	for way, receive := range receive {
		for _, usedC := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%t", way, usedC), func(t *testing.T) {
				bubble(t, func(t *testing.T, h *hub.Hub) {
					tx := attach(t, h, "can0", nil)
					rx := attach(t, h, "can0", nil)
					small := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 2})
					if usedC {
						rx.C()
					}
					// More than small has room for: the channel waits, and yet
					// delivers all that it has accepted.
					transmit(t, tx, numbered(1, 10)...)
					transmitBatch(t, tx, numbered(11, 100))
					synctest.Wait()
					h.Close()
					if got := receive(t, small); !sameFrames(got, numbered(1, 100)) {
						t.Errorf("the one with the full queue received %d messages %v, want 100", len(got), got)
					}
					if usedC && way == "C" {
						return // what did not fit C is left to Recv
					}
					if got := receive(t, rx); !sameFrames(got, numbered(1, 100)) {
						t.Errorf("received %d messages %v, want 100", len(got), got)
					}
				})
			})
		}
	}
}

// 42.
func TestMixedFramesKeepTheirOrder(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
	frame := func(i int) hub.Message {
		id := uint32(i * 0x3F1)
		switch i % 4 {
		case 0:
			return hub.Std(id&0x7FF, byte(i), byte(i>>8))
		case 1:
			return hub.Ext(id, byte(i))
		case 2:
			return hub.RTR(id&0x7FF, uint8(i%9))
		}
		return hub.RTR(0x800+id, uint8(i%9))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 512 {
			if err := tx.Send(ctx, frame(i)); err != nil {
				t.Error(err)
			}
		}
	})
	for i := range 512 {
		m, err := rx.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !m.Equal(frame(i)) || m.Seq != uint64(i)+1 {
			t.Errorf("message %d is %v with number %d, want %v", i, m, m.Seq, frame(i))
		}
	}
	wg.Wait()
}

// 42.
func TestSendingWithNobodyListeningWorks(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		for range 1000 {
			transmit(t, tx, hub.Std(1))
		}
		if err := tx.SendWait(context.Background(), hub.Std(1)); err != nil {
			t.Errorf("SendWait = %v", err)
		}
		if got := tx.Stats(); got.Sent != 1001 {
			t.Errorf("Stats = %+v, want 1001 sent", got)
		}
		rx := attach(t, h, "can0", nil) // who comes later gets nothing of it
		synctest.Wait()
		if got := drain(t, rx); len(got) != 0 {
			t.Errorf("received %d messages that were sent before Open", len(got))
		}
	})
}

// 45.
func TestSendAndRecvAfterCloseReturnErrClosed(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		a, b := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		transmit(t, b, hub.Std(1))
		synctest.Wait()
		a.Close()
		if err := a.Send(context.Background(), hub.Std(1)); err != hub.ErrClosed {
			t.Errorf("Send = %v, want ErrClosed", err)
		}
		if m, err := a.Recv(context.Background()); err != hub.ErrClosed {
			t.Errorf("Recv = %v, %v, want ErrClosed", m, err)
		}
	})
}

// 46.
func TestAMessageWithoutDataIsAMessage(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		transmit(t, tx, hub.Message{})
		m, err := recvWithin(rx, 100*time.Millisecond)
		if err != nil || !m.Equal(hub.Message{}) || m.Seq != 1 {
			t.Errorf("Recv = %v, %v, want 000#", m, err)
		}
		if m, err := recvWithin(rx, 100*time.Millisecond); err != context.DeadlineExceeded {
			t.Errorf("Recv = %v, %v, want DeadlineExceeded", m, err)
		}
	})
}

// 48: more of this is in text_test.go; 47 is in message_test.go.
func TestAReceivedMessageSurvivesSerialising(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		transmit(t, tx, hub.Ext(0x18FEF100, 1, 2, 3))
		synctest.Wait()
		sent := drain(t, tx)
		b, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		var got []hub.Message
		if err := json.Unmarshal(b, &got); err != nil || !slices.Equal(got, sent) {
			t.Errorf("%s becomes %v, %v, want %v", b, got, err, sent)
		}
	})
}

// 53: a bridge between two channels by hand; the pump itself is tested where it
// is.
func TestWhatIsPassedOnDoesNotComeBack(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		a, b := attach(t, h, "can0", nil), attach(t, h, "can1", nil)
		left, right := attach(t, h, "can0", nil), attach(t, h, "can1", nil)
		var wg sync.WaitGroup
		pass := func(from, to *hub.Subscriber) {
			wg.Go(func() {
				for m := range from.All(context.Background()) {
					if err := to.Send(context.Background(), m); err != nil {
						t.Error(err)
					}
				}
			})
		}
		pass(left, right)
		pass(right, left)
		transmit(t, a, hub.Std(1))
		transmit(t, b, hub.Std(2))
		synctest.Wait()
		if got := drain(t, b); !sameFrames(got, numbered(1, 1)) {
			t.Errorf("can1 received %v, want 001# once", got)
		}
		if got := drain(t, a); !sameFrames(got, numbered(2, 2)) {
			t.Errorf("can0 received %v, want 002# once", got)
		}
		left.Close()
		right.Close()
		wg.Wait()
	})
}

// 53.
func TestAChannelVanishesWithItsLastSubscriber(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		if err := h.Create("standing", nil); err != nil {
			t.Fatal(err)
		}
		a, b := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		c := attach(t, h, "standing", nil)
		names := func() string {
			var names []string
			for _, info := range h.Channels() {
				names = append(names, fmt.Sprint(info.Name, " ", info.Subscribers))
			}
			return strings.Join(names, ", ")
		}
		for _, step := range []struct {
			close *hub.Subscriber
			want  string
		}{{nil, "can0 2, standing 1"}, {a, "can0 1, standing 1"}, {b, "standing 1"}, {b, "standing 1"}, {c, "standing 0"}} {
			if step.close != nil {
				step.close.Close()
			}
			if got := names(); got != step.want {
				t.Errorf("Channels: %s, want %s", got, step.want)
			}
		}
		// A new channel of an old name begins anew.
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		transmit(t, tx, hub.Std(1))
		if m, err := recvWithin(rx, time.Second); err != nil || m.Seq != 1 || tx.Name() != "can0/1" {
			t.Errorf("%s received %v with number %d, %v", rx.Name(), m, m.Seq, err)
		}
	})
}

// 54.
func TestThereIsAlwaysAChannelToOpen(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	if h.Channels() == nil || len(h.Channels()) != 0 {
		t.Errorf("Channels = %#v, want none, and not nil", h.Channels())
	}
	for i := range 5 {
		name := h.FreeName()
		for _, info := range h.Channels() {
			if info.Name == name {
				t.Errorf("FreeName = %q, which is in use", name)
			}
		}
		attach(t, h, name, nil)
		if got := len(h.Channels()); got != i+1 {
			t.Errorf("%d channels, want %d", got, i+1)
		}
	}
}

// The defects known there, one by one.

func TestPoliciesAreExplicitAndLossesCounted(t *testing.T) {
	tests := []struct {
		policy  hub.Policy
		want    []hub.Message // of 10, received by a queue of 4
		dropped uint64
	}{
		{hub.Block, numbered(1, 10), 0},
		{hub.DropOldest, numbered(7, 10), 6},
		{hub.DropNewest, numbered(1, 4), 6},
	}
	for _, tt := range tests {
		for _, batch := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/%t", tt.policy, batch), func(t *testing.T) {
				bubble(t, func(t *testing.T, h *hub.Hub) {
					tx := attach(t, h, "can0", nil)
					rx := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 4, Policy: tt.policy})
					quick := attach(t, h, "can0", nil)
					if batch {
						transmitBatch(t, tx, numbered(1, 10))
					} else {
						transmit(t, tx, numbered(1, 10)...)
					}
					synctest.Wait()
					if got := rx.Stats(); got.Queued != 4 || got.Capacity != 4 || got.Dropped != tt.dropped {
						t.Errorf("Stats = %+v, want 4 of 4 queued and %d dropped", got, tt.dropped)
					}
					if got := drainSlowly(t, rx); !sameFrames(got, tt.want) {
						t.Errorf("received %v, want %v", got, tt.want)
					}
					// And it cost nobody else anything.
					if got := drain(t, quick); !sameFrames(got, numbered(1, 10)) {
						t.Errorf("the other received %v, want all", got)
					}
					if got := quick.Stats(); got.Dropped != 0 || got.Received != 10 {
						t.Errorf("Stats of the other = %+v, want 10 received", got)
					}
				})
			})
		}
	}
}

func TestSendWaitNamesWhoMissedTheMessage(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		attach(t, h, "can0", &hub.SubscriberOptions{Name: "patient", Queue: 1, BlockFor: time.Second})
		quick := attach(t, h, "can0", nil)
		attach(t, h, "can0", &hub.SubscriberOptions{Name: "lazy", Queue: 1, Policy: hub.DropNewest})
		latest := attach(t, h, "can0", &hub.SubscriberOptions{Name: "latest", Queue: 1, Policy: hub.DropOldest})
		attach(t, h, "can0", &hub.SubscriberOptions{Name: "deaf", Queue: 1, Policy: hub.DropNewest, Filters: []hub.Filter{only(9)}})
		if err := tx.SendWait(context.Background(), hub.Std(1)); err != nil {
			t.Fatalf("SendWait = %v, want nil: everybody has room", err)
		}
		start := time.Now()
		err := tx.SendWait(context.Background(), hub.Std(2))
		var missed *hub.DeliveryError
		if !errors.As(err, &missed) {
			t.Fatalf("SendWait = %v, want a *DeliveryError", err)
		}
		slices.Sort(missed.Missed)
		if !slices.Equal(missed.Missed, []string{"lazy", "patient"}) {
			t.Errorf("missed by %q, want lazy and patient", missed.Missed)
		}
		for _, name := range missed.Missed {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("SendWait = %q, want %s in it", err, name)
			}
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("SendWait took %v, want 1s", d)
		}
		if got := drain(t, quick); !sameFrames(got, numbered(1, 2)) {
			t.Errorf("quick received %v, want both", got)
		}
		if got := drain(t, latest); !sameFrames(got, numbered(2, 2)) {
			t.Errorf("latest received %v, want 002#", got)
		}
	})
}

// There, five receivers with a limit of a second cost five seconds.
func TestTheLimitsOfSeveralFullSubscribersRunAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		for range 5 {
			attach(t, h, "can0", &hub.SubscriberOptions{Queue: 1, BlockFor: time.Second})
		}
		if err := tx.SendWait(context.Background(), hub.Std(1)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err := tx.SendWait(context.Background(), hub.Std(2))
		var missed *hub.DeliveryError
		if !errors.As(err, &missed) || len(missed.Missed) != 5 {
			t.Errorf("SendWait = %v, want a *DeliveryError with five names", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("SendWait took %v, want 1s", d)
		}
		// Who has been given up costs nothing any more.
		start = time.Now()
		if err := tx.SendWait(context.Background(), hub.Std(3)); !errors.As(err, &missed) {
			t.Errorf("SendWait = %v, want a *DeliveryError", err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("the next SendWait took %v, want no time", d)
		}
	})
}

func TestAPeerThatLeavesDuringASendCostsNobodyElse(t *testing.T) {
	for leaver := range 3 {
		bubble(t, func(t *testing.T, h *hub.Hub) {
			tx := attach(t, h, "can0", nil)
			var peers []*hub.Subscriber
			for i := range 3 {
				o := &hub.SubscriberOptions{}
				if i == leaver {
					o.Queue = 1
				}
				peers = append(peers, attach(t, h, "can0", o))
			}
			transmitBatch(t, tx, numbered(1, 100))
			synctest.Wait() // the channel waits for the one that will leave
			transmit(t, tx, numbered(101, 110)...)
			peers[leaver].Close()
			transmit(t, tx, numbered(111, 120)...)
			synctest.Wait()
			for i, p := range peers {
				if got := drain(t, p); i != leaver && !sameFrames(got, numbered(1, 120)) {
					t.Errorf("peer %d received %v, want 1 to 120 while peer %d left", i, got, leaver)
				}
			}
		})
	}
}

func TestPeersThatComeAndGoCostNobodyElse(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const n = 20_000
	var stay, churn sync.WaitGroup
	var stop atomic.Bool
	for range 4 {
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 16})
		stay.Go(func() {
			defer rx.Close()
			for i := range n {
				m, err := rx.Recv(ctx)
				if err != nil || m.Seq != uint64(i)+1 || m.ID != uint32(i)%0x800 {
					t.Errorf("message %d is %v with number %d, %v", i, m, m.Seq, err)
					return
				}
			}
		})
	}
	for range 3 {
		churn.Go(func() {
			for !stop.Load() {
				s := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 1})
				s.Recv(ctx)
				s.Close()
			}
		})
	}
	tx := attach(t, h, "can0", nil)
	for i := range n {
		if err := tx.Send(ctx, hub.Std(uint32(i)%0x800)); err != nil {
			t.Fatal(err)
		}
	}
	stay.Wait()
	stop.Store(true)
	gone := make(chan struct{})
	go func() {
		churn.Wait()
		close(gone)
	}()
	for { // those that come and go may be waiting for a message
		select {
		case <-gone:
			return
		default:
		}
		if err := tx.Send(ctx, hub.Std(0)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAllReceiversSeeOneOrder(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const senders, each = 8, 500
	var wg sync.WaitGroup
	orders := make([][]uint32, 4)
	for i := range orders {
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 1 << (2 * i)})
		wg.Go(func() {
			for len(orders[i]) < senders*each {
				var msgs []hub.Message
				var err error
				if i%2 == 0 {
					msgs, err = rx.RecvBatch(ctx)
				} else {
					var m hub.Message
					m, err = rx.Recv(ctx)
					msgs = []hub.Message{m}
				}
				if err != nil {
					t.Errorf("receiver %d: %v", i, err)
					return
				}
				for _, m := range msgs {
					orders[i] = append(orders[i], m.ID)
					if m.Seq != uint64(len(orders[i])) {
						t.Errorf("receiver %d: message %d has number %d", i, len(orders[i]), m.Seq)
					}
				}
			}
		})
	}
	for k := range uint32(senders) {
		tx := attachSender(t, h, "can0")
		wg.Go(func() {
			for i := range uint32(each) {
				if err := tx.Send(ctx, hub.Ext(k<<16|i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i, order := range orders {
		if !slices.Equal(order, orders[0]) {
			t.Errorf("receiver %d saw another order than receiver 0", i)
		}
	}
	// The order is that of each sender, too.
	next := make(map[uint32]uint32)
	for _, id := range orders[0] {
		if k := id >> 16; id&0xFFFF != next[k] {
			t.Errorf("sender %d: message %d where %d was due", k, id&0xFFFF, next[k])
		}
		next[id>>16]++
	}
}

func TestCloseFromAnotherGoroutineWakesAReceiveWithoutLimit(t *testing.T) {
	receive := map[string]func(s *hub.Subscriber) error{
		"Recv":      func(s *hub.Subscriber) error { _, err := s.Recv(context.Background()); return err },
		"RecvBatch": func(s *hub.Subscriber) error { _, err := s.RecvBatch(context.Background()); return err },
		"C": func(s *hub.Subscriber) error {
			if _, ok := <-s.C(); ok {
				return errors.New("a message came")
			}
			return hub.ErrClosed
		},
		"All": func(s *hub.Subscriber) error {
			for range s.All(context.Background()) {
				return errors.New("a message came")
			}
			return hub.ErrClosed
		},
		"Recv behind C": func(s *hub.Subscriber) error { s.C(); _, err := s.Recv(context.Background()); return err },
	}
	for way, receive := range receive {
		for _, closeHub := range []bool{false, true} {
			t.Run(way, func(t *testing.T) {
				bubble(t, func(t *testing.T, h *hub.Hub) {
					s := attach(t, h, "can0", nil)
					got := make(chan error)
					go func() { got <- receive(s) }()
					synctest.Wait()
					start := time.Now()
					if closeHub {
						h.Close()
					} else {
						s.Close()
					}
					if err := <-got; err != hub.ErrClosed || time.Since(start) != 0 {
						t.Errorf("%s ended with %v after %v, want ErrClosed at once", way, err, time.Since(start))
					}
				})
			})
		}
	}
}

// RecvBatch takes several messages in a row under DropOldest, and Close may
// come at any moment of that.
func TestCloseEndsARecvBatchThatIsBusy(t *testing.T) {
	for _, policy := range []hub.Policy{hub.DropOldest, hub.DropNewest, hub.Block} {
		t.Run(policy.String(), func(t *testing.T) {
			for round := range 100 {
				h := hub.New(nil)
				tx := attach(t, h, "can0", nil)
				rx := attach(t, h, "can0", &hub.SubscriberOptions{Policy: policy, Queue: 64})
				var wg sync.WaitGroup
				wg.Go(func() {
					for tx.Send(context.Background(), hub.Std(1)) == nil {
						runtime.Gosched() // or one processor alone would be its
					}
				})
				ended := make(chan error, 1)
				busy := make(chan struct{}) // closed when so many messages have come
				go func() {
					for n, isBusy := 0, false; ; {
						if n >= round && !isBusy {
							isBusy = true
							close(busy)
						}
						msgs, err := rx.RecvBatch(context.Background())
						if err != nil {
							ended <- err
							return
						}
						n += len(msgs)
					}
				}()
				<-busy
				for range round % 7 {
					runtime.Gosched()
				}
				rx.Close()
				select {
				case err := <-ended:
					if err != hub.ErrClosed {
						t.Errorf("RecvBatch = %v, want ErrClosed", err)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("round %d: RecvBatch has not ended 10s after Close", round)
				}
				h.Close()
				wg.Wait()
			}
		})
	}
}

func TestAPollFindsTheMessageBehindOthers(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		early := attach(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{only(100)}})
		late := attach(t, h, "can0", nil)
		transmit(t, tx, numbered(1, 100)...)
		synctest.Wait()
		late.SetFilters(only(100))
		for _, s := range []*hub.Subscriber{early, late} {
			if m, err := s.Recv(canceled()); err != nil || m.ID != 100 {
				t.Errorf("Recv with a done ctx = %v, %v, want 064#", m, err)
			}
			if m, err := s.Recv(canceled()); err != context.Canceled {
				t.Errorf("another Recv = %v, %v, want Canceled", m, err)
			}
		}
	})
}

// What is queued comes out under a done ctx, also when C has been called.
func TestAPollGetsAllThatIsQueued(t *testing.T) {
	receive := map[string]func(t *testing.T, s *hub.Subscriber) []hub.Message{"Recv": drain, "RecvBatch": drainBatches}
	for way, receive := range receive {
		for _, usedC := range []bool{false, true} {
			for _, policy := range []hub.Policy{hub.Block, hub.DropOldest, hub.DropNewest} {
				for _, queue := range []int{2, 256} {
					t.Run(fmt.Sprintf("%s/%t/%v/%d", way, usedC, policy, queue), func(t *testing.T) {
						bubble(t, func(t *testing.T, h *hub.Hub) {
							tx := attach(t, h, "can0", nil)
							rx := attach(t, h, "can0", &hub.SubscriberOptions{Policy: policy, Queue: queue})
							if usedC {
								rx.C()
							}
							transmit(t, tx, numbered(1, uint32(queue))...)
							synctest.Wait()
							if got := receive(t, rx); !sameFrames(got, numbered(1, uint32(queue))) {
								t.Errorf("polled %d messages, want %d; Stats = %+v", len(got), queue, rx.Stats())
							}
						})
					})
				}
			}
		}
	}
}

func TestMessagesQueuedBeforeAFilterChangeDoNotComeOut(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
		transmit(t, tx, numbered(1, 10)...)
		synctest.Wait()
		rx.SetFilters(only(7))
		if got := drain(t, rx); !sameFrames(got, numbered(7, 7)) {
			t.Errorf("received %v, want 007#", got)
		}
	})
}

func TestAnInvertedFilterLeavesOutItsIdentifier(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{{ID: 2, Mask: 0x7FF, Invert: true}}})
		transmit(t, tx, numbered(1, 3)...)
		synctest.Wait()
		if got := drain(t, rx); !sameFrames(got, []hub.Message{hub.Std(1), hub.Std(3)}) {
			t.Errorf("received %v, want 001# and 003#", got)
		}
	})
}

// There, a task that was held up for half a second sends 50 messages at once.
func TestATaskThatIsHeldUpSkipsOrCatchesUp(t *testing.T) {
	const period, stall = 10 * time.Millisecond, 500 * time.Millisecond
	for _, catchUp := range []bool{false, true} {
		// The task itself is busy from 100 to 600 ms.
		t.Run(fmt.Sprintf("busy/%t", catchUp), func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
				n := 0
				start := time.Now()
				startTask(t, tx, &hub.Periodic{
					Messages: numbered(1, 1), Period: period, Duration: time.Second, CatchUp: catchUp,
					Modify: func(*hub.Message) {
						if n++; n == 11 {
							time.Sleep(stall)
						}
					},
				})
				time.Sleep(time.Minute)
				got := drain(t, rx)
				checkSchedule(t, offsets(got, start), 600*time.Millisecond, catchUp)
				if want := 100; catchUp && len(got) != want {
					t.Errorf("%d messages, want %d", len(got), want)
				}
			})
		})
		// The channel waits for somebody else from 100 to 600 ms.
		t.Run(fmt.Sprintf("bus blocked/%t", catchUp), func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
				slow := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 10})
				start := time.Now()
				startTask(t, tx, &hub.Periodic{Messages: numbered(1, 1), Period: period, Duration: time.Second, CatchUp: catchUp})
				time.Sleep(600*time.Millisecond - 1)
				go func() {
					time.Sleep(time.Nanosecond)
					for range slow.All(context.Background()) {
					}
				}()
				time.Sleep(time.Minute)
				got := drain(t, rx)
				checkSchedule(t, offsets(got, start), 600*time.Millisecond, catchUp)
				if want := 100; catchUp && len(got) != want {
					t.Errorf("%d messages, want %d", len(got), want)
				}
			})
		})
	}
}

// checkSchedule checks when a task sent that has a period of 10 ms and was held
// up until end.
func checkSchedule(t *testing.T, sent []time.Duration, end time.Duration, catchUp bool) {
	t.Helper()
	atEnd := 0
	for i, d := range sent {
		if d == end {
			atEnd++
		}
		if d%(10*time.Millisecond) != 0 || i > 0 && d < sent[i-1] {
			t.Errorf("message %d was sent at %v, which is not in the schedule", i, d)
		}
	}
	// Skipping, two may be in hand: the one that was held up and the one that
	// is due now, and one more in the channel.
	if !catchUp && atEnd > 3 {
		t.Errorf("%d messages were sent at once after the stall, want at most 3: %v", atEnd, sent)
	}
	if catchUp && atEnd < 45 {
		t.Errorf("%d messages were sent at once after the stall, want all that were due: %v", atEnd, sent)
	}
	// Afterwards the schedule goes on.
	if n := len(sent); n == 0 || sent[n-1] != 990*time.Millisecond || slices.Index(sent, 610*time.Millisecond) != n-39 {
		t.Errorf("after the stall the schedule does not go on: %v", sent)
	}
}

func TestNothingInvalidIsSent(t *testing.T) {
	invalid := []hub.Message{
		hub.Std(0x12345678, make([]byte, 20)...),
		hub.Std(0x800),
		hub.Ext(0x20000000),
		hub.Std(1, make([]byte, 9)...),
		hub.FD(1, make([]byte, 9)...),
		{ID: 1, Flags: hub.BRS},
		{ID: 1, Flags: hub.Remote | hub.FDF},
		{ID: 1, Flags: hub.Error | hub.Remote},
		{ID: 1, Flags: 0x80},
		{ID: 1, Timestamp: -1},
	}
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		rx := attach(t, h, "can0", nil)
		ctx := context.Background()
		for _, m := range invalid {
			_, periodic := tx.SendPeriodic(&hub.Periodic{Messages: []hub.Message{m}, Period: time.Second})
			for name, err := range map[string]error{
				"Send":             tx.Send(ctx, m),
				"SendWait":         tx.SendWait(ctx, m),
				"SendBatch":        tx.SendBatch(ctx, []hub.Message{m}),
				"SendBatch, last":  tx.SendBatch(ctx, []hub.Message{hub.Std(1), hub.Std(2), m}),
				"SendBatch, first": tx.SendBatch(ctx, []hub.Message{m, hub.Std(1)}),
				"SendPeriodic":     periodic,
			} {
				if !errors.Is(err, hub.ErrInvalid) {
					t.Errorf("%s(%#v) = %v, want an error that matches ErrInvalid", name, m, err)
				}
			}
		}
		err := tx.SendBatch(ctx, []hub.Message{hub.Std(1), hub.Std(2), hub.Std(0x800)})
		if err == nil || !strings.Contains(err.Error(), "3 of 3") {
			t.Errorf("SendBatch = %v, want it to tell which message is wrong", err)
		}
		synctest.Wait()
		for _, s := range []*hub.Subscriber{tx, rx} {
			if got := drain(t, s); len(got) != 0 {
				t.Errorf("%s received %v, want nothing", s.Name(), got)
			}
		}
		if got := tx.Stats().Sent; got != 0 {
			t.Errorf("%d messages counted as sent, want 0", got)
		}
	})
}

// What users ask for there and do not have.

func TestStatsShowTheDepthOfTheQueue(t *testing.T) {
	for _, usedC := range []bool{false, true} {
		t.Run(fmt.Sprint("C used: ", usedC), func(t *testing.T) {
			bubble(t, func(t *testing.T, h *hub.Hub) {
				tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", &hub.SubscriberOptions{Queue: 100})
				if usedC {
					rx.C()
				}
				for i := 1; i <= 10; i++ {
					transmit(t, tx, hub.Std(1))
					synctest.Wait()
					if got := rx.Stats(); got.Queued != i || got.Received != 0 || got.Capacity != 100 {
						t.Errorf("Stats = %+v, want %d of 100 queued and none received", got, i)
					}
				}
				for i := 1; i <= 10; i++ {
					if _, err := rx.Recv(context.Background()); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if got := rx.Stats(); got.Queued != 10-i || got.Received != uint64(i) {
						t.Errorf("Stats = %+v, want %d queued and %d received", got, 10-i, i)
					}
				}
				if got := tx.Stats(); got.Sent != 10 {
					t.Errorf("Stats = %+v, want 10 sent", got)
				}
			})
		})
	}
}

func TestOneClockForBothDirections(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		a := attach(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		b := attach(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
		for range 10 {
			transmit(t, a, hub.Std(1))
			transmit(t, b, hub.Std(2))
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		fromA, fromB := drain(t, a), drain(t, b)
		if len(fromA) != 20 || len(fromB) != 20 {
			t.Fatalf("received %d and %d messages, want 20", len(fromA), len(fromB))
		}
		for i := range fromA {
			fromA[i].Flags &^= hub.Own
			fromB[i].Flags &^= hub.Own
			if fromA[i] != fromB[i] {
				t.Errorf("message %d is %#v to one and %#v to the other", i, fromA[i], fromB[i])
			}
		}
	})
}

func TestErrorFramesTravelOnTheBusAndTellOfLosses(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attach(t, h, "can0", nil)
		rx := attach(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{only(1)}})
		lossy := attach(t, h, "can0", &hub.SubscriberOptions{Queue: 2, Policy: hub.DropNewest, ErrorFrames: true})
		busError := hub.Message{ID: 0x088, Flags: hub.Error, Len: 8, Data: [64]byte{2: 4, 3: 2}}
		transmit(t, tx, hub.Std(2), busError, hub.Std(3), hub.Std(4))
		synctest.Wait()
		if got := drain(t, rx); !sameFrames(got, []hub.Message{busError}) {
			t.Errorf("received %v, want %v", got, busError)
		}
		overflow := hub.Message{ID: 0x004, Flags: hub.Error, Len: 8, Data: [64]byte{1: 1}}
		got := drain(t, lossy)
		if !sameFrames(got, []hub.Message{hub.Std(2), busError, overflow}) {
			t.Errorf("received %v, want the receive overflow at the end", got)
		}
		if last := len(got) - 1; last >= 0 && got[last].Time().Year() == 1970 {
			t.Errorf("the receive overflow has the time %v", got[last].Time())
		}
		if s := lossy.Stats(); s.Dropped != 2 {
			t.Errorf("Stats = %+v, want 2 dropped", s)
		}
	})
}

// An overflow is told only where something was lost.
func TestWhereNothingIsLostNoOverflowIsTold(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	tx := attach(t, h, "can0", nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const n = 50_000
	var wg sync.WaitGroup
	for i := range 4 {
		rx := attach(t, h, "can0", &hub.SubscriberOptions{ErrorFrames: true, Queue: 1 << (2 * i)})
		wg.Go(func() {
			for i := range n {
				m, err := rx.Recv(ctx)
				if err != nil || m.Flags != 0 {
					t.Errorf("message %d is %v, %v; dropped %d", i, m, err, rx.Stats().Dropped)
					return
				}
			}
		})
	}
	for range n {
		if err := tx.Send(ctx, hub.Std(1)); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

// Whoever has called C and reads no more costs Close a tenth of a second, no matter
// how many of them there are.
func TestCloseOfTheHubHardlyWaitsForAbandonedC(t *testing.T) {
	bubble(t, func(t *testing.T, h *hub.Hub) {
		tx := attachSender(t, h, "can0")
		var abandoned []*hub.Subscriber
		for range 5 {
			rx := attach(t, h, "can0", nil)
			rx.C()
			abandoned = append(abandoned, rx)
		}
		transmit(t, tx, numbered(1, 200)...)
		synctest.Wait()
		start := time.Now()
		h.Close()
		if d := time.Since(start); d != time.Second/10 {
			t.Errorf("Close took %v, want 100ms", d)
		}
		for _, rx := range abandoned { // what it holds is not lost
			if got := drain(t, rx); !sameFrames(got, numbered(1, 200)) {
				t.Errorf("%s received %d messages afterwards, want 200", rx.Name(), len(got))
			}
		}
	})
}

// These behaviours of the list do not bear on the hub:
//
//	11      file descriptors: a Go program selects on C
//	15      receiving own messages over UDP: package multicast
//	34-39   Notifier, Listener and readers: C, All and a goroutine each
//	41      readers and writers by suffix: package canlog
//	43, 56  configuration files: the command
//	44      cleaning up what was dropped: who opens closes
//	49-52   replay of logs: package canlog and the command
//	55      arguments: the command
//	57      rotating logs: package canlog
//	58      loopback of sockets: package socketcan
//	59      the viewer: package monitor
