package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/canhub-go/canhub/hub"
)

// TestHubDoesWhatTheModelSays runs random operations on a hub and on the model,
// one after the other, each in a bubble of its own that is quiet before the
// next one begins. So what each subscriber must see is known to the last
// message.
func TestHubDoesWhatTheModelSays(t *testing.T) {
	rounds := 20 // of 100 cases, or what -rapid.checks says
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		rapid.Check(t, func(rt *rapid.T) {
			plan := modelPlanGen.Draw(rt, "plan")
			log, err := modelRun(t, plan)
			if err != nil {
				rt.Fatalf("%s\n  %v", strings.Join(log, "\n"), err)
			}
		})
	}
}

// modelRun returns what was done, and what was wrong. Nothing in the bubble
// fails t: rapid wants to look for a shorter list first.
func modelRun(t *testing.T, plan modelPlan) (log []string, err error) {
	r := &modelRunner{}
	defer func() {
		if p := recover(); p != nil { // a deadlock of the bubble
			log, err = r.log, errors.Join(r.err, fmt.Errorf("panic: %v", p))
		}
	}()
	synctest.Test(t, func(*testing.T) {
		r.hub = hub.New(nil)
		r.run(plan)
	})
	return r.log, r.err
}

type modelPlan struct {
	inboxes [2]int // of channels made by Create; 0: made by Open
	ops     []modelOp
	end     modelEnd
}

type modelEnd struct {
	hubFirst bool
	modes    []int // how each subscriber reads the rest
}

type modelOp struct {
	kind    string
	sub     int // which one of those that are open
	n       int
	channel int
	opts    hub.SubscriberOptions
	filters []hub.Filter
	sends   []modelSend
	pause   time.Duration
}

type modelSend struct {
	sub  int
	wait bool
	msgs []hub.Message
}

// GoString keeps rapid's log short: the run prints what was done.
func (p modelPlan) GoString() string {
	return fmt.Sprintf("%d operations", len(p.ops))
}

var modelPlanGen = rapid.Custom(func(t *rapid.T) (p modelPlan) {
	for i := range p.inboxes {
		if rapid.IntRange(0, 2).Draw(t, "created") == 2 {
			p.inboxes[i] = rapid.SampledFrom([]int{1, 2, 3, 5, 64}).Draw(t, "inbox")
		}
	}
	for range rapid.IntRange(1, 3).Draw(t, "opens") {
		p.ops = append(p.ops, modelOpen(t))
	}
	p.ops = append(p.ops, rapid.SliceOfN(rapid.Custom(modelDrawOp), 1, 60).Draw(t, "ops")...)
	p.end.hubFirst = rapid.Bool().Draw(t, "hub first")
	p.end.modes = rapid.SliceOfN(rapid.IntRange(0, 3), 4, 4).Draw(t, "modes")
	return p
})

var modelKinds = func() (kinds []string) {
	for _, k := range []struct {
		kind   string
		weight int
	}{
		{"send", 10}, {"recv", 9}, {"batch", 4}, {"recvBatch", 4}, {"wait", 4}, {"burst", 4},
		{"filters", 4}, {"open", 4}, {"close", 2}, {"reader", 2}, {"c", 2}, {"batches", 2},
		{"cancel", 1}, {"sleep", 1}, {"bad", 1},
	} {
		kinds = append(kinds, slices.Repeat([]string{k.kind}, k.weight)...)
	}
	return kinds
}()

func modelDrawOp(t *rapid.T) modelOp {
	op := modelOp{kind: rapid.SampledFrom(modelKinds).Draw(t, "kind")}
	if op.kind == "open" {
		return modelOpen(t)
	}
	op.sub = rapid.IntRange(0, 11).Draw(t, "subscriber")
	switch op.kind {
	case "send", "wait", "bad":
		op.sends = []modelSend{{wait: op.kind == "wait", msgs: []hub.Message{modelDrawMessage(t)}}}
	case "batch":
		op.sends = []modelSend{{msgs: modelDrawMessages(t)}}
	case "burst":
		op.sends = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) modelSend {
			s := modelSend{sub: rapid.IntRange(0, 2).Draw(t, "subscriber")}
			if s.msgs = modelDrawMessages(t); len(s.msgs) == 1 {
				s.wait = rapid.IntRange(0, 4).Draw(t, "wait") == 4
			}
			return s
		}), 1, 8).Draw(t, "sends")
	case "recv", "recvBatch", "cancel":
		op.n = rapid.IntRange(1, 9).Draw(t, "n")
	case "filters":
		op.filters = modelDrawFilters(t)
	case "sleep":
		op.pause = rapid.SampledFrom([]time.Duration{time.Nanosecond, 400 * time.Millisecond, 3200 * time.Millisecond}).Draw(t, "pause")
	}
	return op
}

func modelOpen(t *rapid.T) modelOp {
	op := modelOp{kind: "open", channel: rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "channel")}
	op.opts.Queue = rapid.SampledFrom([]int{1, 2, 3, 4, 5, 6, 7, 8, 8, 40, 300}).Draw(t, "queue")
	op.opts.Policy = rapid.SampledFrom([]hub.Policy{hub.Block, hub.Block, hub.DropOldest, hub.DropNewest}).Draw(t, "policy")
	if op.opts.Policy == hub.DropOldest { // so that RecvBatch can return all of it
		op.opts.Queue = min(op.opts.Queue, 40)
	}
	op.opts.ErrorFrames = rapid.Bool().Draw(t, "error frames")
	switch rapid.IntRange(0, 9).Draw(t, "role") {
	case 0:
		op.opts.ListenOnly = true
	case 1, 2:
		op.opts.KeepTimestamps = true
	case 3, 4, 5:
		op.opts.OwnMessages = true
	case 6:
		op.opts.OwnMessages, op.opts.KeepTimestamps = true, true
	}
	if rapid.IntRange(0, 2).Draw(t, "filtered") == 2 {
		op.opts.Filters = modelDrawFilters(t)
	}
	return op
}

func modelDrawFilters(t *rapid.T) []hub.Filter {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) (f hub.Filter) {
		f.ID = rapid.Uint32Range(0x100, 0x103).Draw(t, "id")
		f.Mask = rapid.SampledFrom([]uint32{0x7FF, 1, 2, 0x1FFFFFFF, 0}).Draw(t, "mask")
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 4:
			f.StandardOnly = true
		case 5:
			f.ExtendedOnly = true
		case 6:
			f.Invert = true
		}
		return f
	}), 0, 2).Draw(t, "filters")
}

func modelDrawMessage(t *rapid.T) (m hub.Message) {
	id := rapid.Uint32Range(0x100, 0x103).Draw(t, "id")
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	default:
		m = hub.Std(id, 0, 0)
	case 5:
		m = hub.Ext(id, 0, 0)
	case 6:
		m = hub.FD(id, make([]byte, 12)...)
		m.Flags |= hub.BRS
	case 7:
		m = hub.RTR(id, 4)
	case 8:
		m = hub.Message{ID: id, Flags: hub.Error, Len: 8}
	case 9:
		m = hub.Std(id, 0, 0)
		m.Flags |= hub.Own // as if it had just been received
	}
	return m
}

func modelDrawMessages(t *rapid.T) []hub.Message {
	n := rapid.SampledFrom([]int{1, 2, 3, 4, 7, 15, 16, 17, 40}).Draw(t, "messages")
	return rapid.SliceOfN(rapid.Custom(modelDrawMessage), n, n).Draw(t, "messages")
}

// A modelRunner does the operations, in the bubble.
type modelRunner struct {
	hub       *hub.Hub
	hubClosed bool
	closedAt  time.Time    // when the hub's Close began
	chans     []*modelChan // in use
	subs      []*modelSub  // open ones
	opened    int
	messages  int // numbered to tell them apart
	log       []string
	err       error
}

func (r *modelRunner) logf(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf("%3d ", len(r.log)+1)+fmt.Sprintf(format, args...))
}

func (r *modelRunner) run(plan modelPlan) {
	for i, inbox := range plan.inboxes {
		if inbox > 0 {
			r.logf("create can%d, inbox %d", i, inbox)
			if r.err = r.hub.Create(fmt.Sprintf("can%d", i), &hub.ChannelOptions{Inbox: inbox}); r.err != nil {
				return
			}
			r.chans = append(r.chans, &modelChan{name: fmt.Sprintf("can%d", i), inbox: inbox, standing: true})
		}
	}
	for _, op := range plan.ops {
		if r.err = r.do(op); r.err != nil {
			break
		}
		if r.err = r.settle(); r.err != nil {
			break
		}
	}
	all := slices.Clone(r.subs)
	if r.err == nil {
		r.err = r.finish(plan.end)
	}
	if r.err == nil {
		return
	}
	for _, s := range all { // that the bubble can end
		for _, call := range s.calls {
			call.cancel()
		}
		if s.reader != nil {
			s.reader.cancel()
		}
	}
	r.hub.Close()
}

func (r *modelRunner) do(op modelOp) error {
	if op.kind == "open" {
		return r.open(op)
	}
	if op.kind == "sleep" {
		return r.sleep(op.pause)
	}
	if len(r.subs) == 0 {
		return nil
	}
	s := r.subs[op.sub%len(r.subs)]
	switch op.kind {
	case "send", "batch", "wait", "burst":
		r.send(s, op.sends)
	case "bad":
		return r.bad(s, op.sends[0].msgs[0])
	case "recv", "recvBatch":
		if s.reader == nil {
			r.logf("%s %s %d times", s.name, op.kind, op.n)
			return r.read(s, op.n, op.kind == "recvBatch")
		}
	case "c", "batches":
		if s.reader == nil {
			return r.startFeed(s, op.kind == "batches")
		}
	case "reader":
		return r.startReader(s)
	case "cancel":
		r.cancel(s, op.n)
	case "filters":
		return r.setFilters(s, op.filters)
	case "close":
		return r.close(s)
	}
	return nil
}

func (r *modelRunner) open(op modelOp) error {
	name := fmt.Sprintf("can%d", op.channel)
	i := slices.IndexFunc(r.chans, func(c *modelChan) bool { return c.name == name })
	if i < 0 {
		i = len(r.chans)
		r.chans = append(r.chans, &modelChan{name: name, inbox: 8})
	}
	c := r.chans[i]
	full := c.inboxAtMost() >= c.inbox
	if full && op.opts.Policy != hub.Block {
		return nil // it may join ahead of its turn, and what it loses then is unknown
	}
	r.opened++
	op.opts.Name = fmt.Sprintf("s%d", r.opened)
	o := op.opts
	r.logf("open %s on %s: %s", o.Name, name, modelOptions(o))
	before := time.Now()
	s, err := r.hub.Open(name, &op.opts)
	if err != nil {
		return err
	}
	if d := time.Since(before); d > 0 {
		return fmt.Errorf("Open waited %v", d)
	}
	m := &modelSub{s: s, name: o.Name, opts: o, ch: c, early: full, fwd: o.Filters, filters: o.Filters}
	c.subs = append(c.subs, m)
	c.order = append(c.order, &modelEntry{sub: m, join: true})
	c.control += 2
	r.subs = append(r.subs, m)
	return nil
}

func modelOptions(o hub.SubscriberOptions) string {
	b := fmt.Appendf(nil, "%v %d", o.Policy, o.Queue)
	for _, f := range []struct {
		text string
		is   bool
	}{
		{"own", o.OwnMessages}, {"keep", o.KeepTimestamps}, {"errors", o.ErrorFrames}, {"listen-only", o.ListenOnly},
		{modelFilters(o.Filters), len(o.Filters) > 0},
	} {
		if f.is {
			b = append(append(b, ' '), f.text...)
		}
	}
	return string(b)
}

// send starts calls, several of them in one goroutine one behind the other, by
// s and others on its channel.
func (r *modelRunner) send(s *modelSub, sends []modelSend) {
	c := s.ch
	var calls []*modelCall
	var run []func()
	for n, send := range sends {
		i := slices.Index(c.subs, s)
		from := c.subs[(i+send.sub)%len(c.subs)]
		if from.opts.ListenOnly {
			continue
		}
		if n > 0 && c.inboxAtMost() >= c.inbox { // it would keep those behind it from the inbox
			break
		}
		if n > 0 && calls != nil && calls[len(calls)-1].wait {
			break
		}
		call := &modelCall{sub: from, wait: send.wait, msgs: r.number(send.msgs, from)}
		var ctx context.Context
		ctx, call.cancel = context.WithCancel(context.Background())
		switch {
		case send.wait:
			call.text = "SendWait " + call.msgs[0].String()
		case len(call.msgs) == 1:
			call.text = "Send " + call.msgs[0].String()
		default:
			call.text = fmt.Sprintf("SendBatch %s and %d more", call.msgs[0], len(call.msgs)-1)
		}
		run = append(run, func() {
			switch {
			case call.wait:
				call.err = from.s.SendWait(ctx, call.msgs[0])
			case len(call.msgs) == 1:
				call.err = from.s.Send(ctx, call.msgs[0])
			default:
				call.err = from.s.SendBatch(ctx, call.msgs)
			}
			call.done.Store(true)
		})
		calls = append(calls, call)
		from.calls = append(from.calls, call)
		c.order = append(c.order, &modelEntry{call: call})
		r.logf("%s %s", from.name, call.text)
	}
	go func() {
		for _, f := range run {
			f()
		}
	}()
}

// number puts a running number into messages, to tell them apart.
func (r *modelRunner) number(msgs []hub.Message, from *modelSub) []hub.Message {
	msgs = slices.Clone(msgs)
	for i := range msgs {
		r.messages++
		m := &msgs[i]
		if m.Flags&hub.Remote == 0 {
			m.Data[0], m.Data[1] = byte(r.messages>>8), byte(r.messages)
		}
		m.Seq = 99 // of no meaning to a sender
		if from.opts.KeepTimestamps {
			m.Timestamp = int64(r.messages)
		}
	}
	return msgs
}

// bad makes calls that must fail at once and do nothing.
func (r *modelRunner) bad(s *modelSub, m hub.Message) error {
	r.logf("%s sends what must be refused", s.name)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	invalid := m
	invalid.ID = 0x20000000
	before := time.Now()
	if s.opts.ListenOnly {
		if err := s.s.Send(context.Background(), m); err != hub.ErrListenOnly {
			return fmt.Errorf("%s is listen-only: Send returned %v", s.name, err)
		}
	} else if err := s.s.SendBatch(context.Background(), []hub.Message{m, invalid}); !errors.Is(err, hub.ErrInvalid) {
		return fmt.Errorf("%s: SendBatch of an invalid message returned %v", s.name, err)
	}
	if err := s.s.Send(ctx, m); err != context.Canceled {
		return fmt.Errorf("%s: Send with a canceled ctx returned %v", s.name, err)
	}
	if err := s.s.SendWait(ctx, m); err != context.Canceled {
		return fmt.Errorf("%s: SendWait with a canceled ctx returned %v", s.name, err)
	}
	if d := time.Since(before); d > 0 {
		return fmt.Errorf("%s: refusing took %v", s.name, d)
	}
	return nil
}

var errModelDone = errors.New("nothing more")

// read receives n times what must be there, and polls once nothing must be.
func (r *modelRunner) read(s *modelSub, n int, batch bool) error {
	for range n {
		if !s.due() {
			if err := r.settle(); err != nil {
				return err
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		if !s.due() {
			cancel() // a poll
		}
		err := r.readOnce(ctx, s, batch)
		cancel()
		if err == errModelDone {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *modelRunner) readOnce(ctx context.Context, s *modelSub, batch bool) error {
	due := s.due()
	if err := s.endBatch(); err != nil {
		return err
	}
	var got []hub.Message
	var err error
	switch {
	case batch:
		got, err = s.s.RecvBatch(ctx)
		s.batch = modelBatch{got, slices.Clone(got)}
		if err == nil && len(got) == 0 {
			return fmt.Errorf("%s: RecvBatch returned no messages and no error", s.name)
		}
	case s.out != nil && s.handed%2 == 0:
		select {
		case m, ok := <-s.out:
			if got = []hub.Message{m}; !ok {
				got, err = nil, hub.ErrClosed
			}
		case <-ctx.Done():
			select { // both were ready
			case m := <-s.out:
				got = []hub.Message{m}
			default:
				err = ctx.Err()
			}
		}
	case s.outs != nil && s.handed%2 == 0:
		select {
		case msgs, ok := <-s.outs:
			if got = msgs; !ok {
				err = hub.ErrClosed
			}
		case <-ctx.Done():
			select { // both were ready
			case got = <-s.outs:
			default:
				err = ctx.Err()
			}
		}
		s.batch = modelBatch{got, slices.Clone(got)}
	default:
		var m hub.Message
		m, err = s.s.Recv(ctx)
		got = []hub.Message{m}
	}
	switch {
	case err != nil && err == ctx.Err():
		if due {
			return fmt.Errorf("%s received nothing; it expects %s", s.name, s.expects())
		}
		if err := s.seesNothing(); err != nil {
			return err
		}
		return errModelDone
	case err != nil:
		return fmt.Errorf("%s: receiving failed: %w", s.name, err)
	case !due || s.outs != nil || batch && s.out != nil:
		// It may have made room by throwing away what the filters refuse, or by
		// emptying the chan, and what came then is in got too.
		synctest.Wait()
		if err := r.advance(s.ch, false); err != nil {
			return err
		}
	}
	for _, m := range got {
		if err := s.sees(m); err != nil {
			return err
		}
	}
	if batch && s.opts.Policy == hub.DropOldest && got[0].Seq != 0 && !s.fed() && !s.loose {
		// All up to the next loss, and it has looked what follows that.
		for len(s.items) > 0 && !s.items[0].lost {
			if s.items[0].must() {
				return fmt.Errorf("%s: RecvBatch returned %d messages, and not %s behind them", s.name, len(got), modelText(s.items[0].m))
			}
			s.items = s.items[1:]
		}
		lost := 0
		for lost < len(s.items) && s.items[lost].lost {
			lost++
		}
		if lost > 0 && lost < len(s.items) && s.opts.ErrorFrames {
			s.items[lost].held = modelMatch(s.filters, s.items[lost].m)
			if !s.items[lost].held {
				s.items = slices.Delete(s.items, lost, lost+1)
			}
		}
	}
	return nil
}

func (r *modelRunner) startFeed(s *modelSub, batches bool) error {
	if s.fed() {
		return nil
	}
	if err := s.endBatch(); err != nil {
		return err
	}
	if batches {
		r.logf("%s Batches", s.name)
		s.outs = s.s.Batches()
	} else {
		r.logf("%s C", s.name)
		s.out = s.s.C()
	}
	s.ahead = cap(s.out)
	s.setLoose()
	return nil
}

// setLoose is for when somebody takes messages while they come.
func (s *modelSub) setLoose() {
	if s.opts.Policy == hub.Block || s.loose {
		return
	}
	s.loose = true
	s.discarded = 0
	s.looseLost = s.dropped - uint64(s.count(func(i *modelItem) bool { return i.lost }))
	s.looseMay = s.looseLost
}

// startReader has a Recv wait in a goroutine.
func (r *modelRunner) startReader(s *modelSub) error {
	if s.reader != nil || s.due() {
		return nil
	}
	if err := s.endBatch(); err != nil {
		return err
	}
	r.logf("%s Recv, waits", s.name)
	s.setLoose()
	ctx, cancel := context.WithCancel(context.Background())
	reader := &modelReader{cancel: cancel}
	s.reader = reader
	go func() {
		reader.m, reader.err = s.s.Recv(ctx)
		reader.done.Store(true)
	}()
	return nil
}

// cancel ends one of the calls of s that wait, or its Recv.
func (r *modelRunner) cancel(s *modelSub, n int) {
	if n <= len(s.calls) {
		call := s.calls[n-1]
		r.logf("%s cancels %s", s.name, call.text)
		call.canceled = true
		call.cancel()
	} else if s.reader != nil {
		r.logf("%s cancels its Recv", s.name)
		s.reader.cancel()
	}
}

func (r *modelRunner) setFilters(s *modelSub, filters []hub.Filter) error {
	c := s.ch
	if c.inboxAtMost() >= c.inbox {
		// The new filters may come into force before their turn. Let them refuse
		// all that those before them do, then it makes no difference.
		if s.opts.Policy != hub.Block {
			return nil
		}
		filters = []hub.Filter{{Invert: true}}
	}
	r.logf("%s SetFilters %s", s.name, modelFilters(filters))
	before := time.Now()
	s.s.SetFilters(filters...)
	if d := time.Since(before); d > 0 {
		return fmt.Errorf("%s: SetFilters waited %v", s.name, d)
	}
	s.setFilters(filters)
	s.haveRead = s.fed()
	c.order = append(c.order, &modelEntry{sub: s, filters: filters})
	c.control += 2
	return nil
}

func (r *modelRunner) sleep(d time.Duration) error {
	r.logf("sleep %v", d)
	before := make(map[*modelSub]int)
	for _, s := range r.subs {
		before[s] = s.waiting()
	}
	time.Sleep(d)
	synctest.Wait()
	if d < 2500*time.Millisecond {
		return nil
	}
	for _, c := range r.chans {
		var late []*modelSub
		for _, s := range c.subs {
			if s.mayBeLate() {
				late = append(late, s)
			}
		}
		if len(late) != 1 || !late[0].mustBeLate() {
			continue
		}
		// One call ends each second, the first a second after s has taken something;
		// and the channel knows that to a tenth of a second.
		if n, s := late[0].waiting(), late[0]; n > max(0, before[s]-int((d-time.Second/10)/time.Second)) {
			return fmt.Errorf("%s: %d of %d sends still wait, after %v in which the channel waited for %s", s.name, n, before[s], d, s.name)
		}
	}
	return nil
}

// waiting returns how many sends of s wait.
func (s *modelSub) waiting() (n int) {
	for _, call := range s.calls {
		if !call.done.Load() {
			n++
		}
	}
	return n
}

func (r *modelRunner) close(s *modelSub) error {
	r.logf("%s Close", s.name)
	before := time.Now()
	s.s.Close()
	if d := time.Since(before); d > 0 {
		return fmt.Errorf("%s: Close waited %v", s.name, d)
	}
	synctest.Wait()
	c := s.ch
	s.closed = true
	r.subs = slices.DeleteFunc(r.subs, func(o *modelSub) bool { return o == s })
	c.subs = slices.DeleteFunc(c.subs, func(o *modelSub) bool { return o == s })
	c.control++
	if err := r.settleCalls(c, s); err != nil {
		return err
	}
	if len(s.calls) > 0 {
		return fmt.Errorf("%s: %s still waits after Close", s.name, s.calls[0].text)
	}
	if s.reader != nil && (!s.reader.done.Load() || s.reader.err != hub.ErrClosed) {
		return fmt.Errorf("%s: Recv after Close: done %v, %v", s.name, s.reader.done.Load(), s.reader.err)
	}
	if len(c.subs) == 0 && !c.standing && !r.hubClosed { // it is gone, and the next one starts anew
		r.chans = slices.DeleteFunc(r.chans, func(o *modelChan) bool { return o == c })
	}
	return r.checkClosed(s)
}

// checkClosed makes calls after the end.
func (r *modelRunner) checkClosed(s *modelSub) error {
	if err := s.endBatch(); err != nil {
		return err
	}
	ctx := context.Background()
	_, recv := s.s.Recv(ctx)
	_, recvBatch := s.s.RecvBatch(ctx)
	for name, err := range map[string]error{
		"Recv": recv, "RecvBatch": recvBatch,
		"Send":     s.s.Send(ctx, hub.Std(1)),
		"SendWait": s.s.SendWait(ctx, hub.Std(1)),
	} {
		if err != hub.ErrClosed {
			return fmt.Errorf("%s: %s after Close returned %v", s.name, name, err)
		}
	}
	return s.checkStats(r.hubClosed)
}

// settle waits until the hub is quiet and compares.
func (r *modelRunner) settle() error {
	synctest.Wait()
	if infos := r.hub.Channels(); !r.hubClosed && len(infos) != len(r.chans) {
		return fmt.Errorf("Channels are %+v, want %d", infos, len(r.chans))
	}
	for _, c := range r.chans {
		if err := r.settleChan(c); err != nil {
			return err
		}
	}
	return nil
}

// advance brings the model to where the channel is.
func (r *modelRunner) advance(c *modelChan, check bool) error {
	for _, s := range c.subs {
		if err := s.accept(s.s.Stats().Sent); err != nil {
			return err
		}
	}
	var target uint64
	if r.hubClosed {
		target = c.accepted()
	} else {
		infos := r.hub.Channels()
		i := slices.IndexFunc(infos, func(i hub.ChannelInfo) bool { return i.Name == c.name })
		if i < 0 {
			return fmt.Errorf("there is no channel %s", c.name)
		}
		target = infos[i].Messages
	}
	for _, s := range c.subs {
		if check && s.mustBeLate() && target != c.seq && !r.hubClosed {
			return fmt.Errorf("channel %s went on to %d, and did not wait for %s, which expects %s", c.name, target, s.name, s.expects())
		}
	}
	now := time.Now()
	if r.hubClosed {
		now = r.closedAt
	}
	if err := c.forwardTo(target, now.UnixNano()); err != nil {
		return err
	}
	for _, s := range c.subs {
		s.recent = 0
	}
	return nil
}

// settleChan compares what can be known of a channel and its subscribers.
func (r *modelRunner) settleChan(c *modelChan) error {
	for _, s := range c.subs {
		if s.reader != nil && s.reader.done.Load() && s.reader.err == nil && s.reader.m.Seq > 0 && s.reader.m.Seq <= c.seq {
			if err := r.settleReader(s); err != nil {
				return err
			}
		}
	}
	if err := r.advance(c, true); err != nil {
		return err
	}
	for _, s := range c.subs {
		if err := r.settleReader(s); err != nil {
			return err
		}
	}
	for _, s := range slices.Clone(c.subs) {
		if err := r.settleCalls(c, s); err != nil {
			return err
		}
	}
	late := slices.ContainsFunc(c.subs, (*modelSub).mayBeLate)
	if !late {
		c.control = 0
		if all := c.accepted(); c.seq != all {
			return fmt.Errorf("channel %s stands at %d of %d, and nobody is late", c.name, c.seq, all)
		}
	}
	for _, s := range c.subs {
		for _, call := range s.calls {
			if !late || !call.accepted && c.inboxAtMost() < c.inbox {
				return fmt.Errorf("%s: %s waits for nothing", s.name, call.text)
			}
		}
		if err := s.checkStats(r.hubClosed); err != nil {
			return err
		}
	}
	return nil
}

// settleReader looks whether a waiting Recv has returned.
func (r *modelRunner) settleReader(s *modelSub) error {
	reader := s.reader
	switch {
	case reader == nil:
		return nil
	case !reader.done.Load():
		if s.due() {
			return fmt.Errorf("%s: Recv still waits; it expects %s", s.name, s.expects())
		}
		return nil
	}
	s.reader = nil
	reader.cancel()
	switch {
	case reader.err == nil:
		return s.sees(reader.m)
	case reader.err == context.Canceled && !r.hubClosed, reader.err == hub.ErrClosed && r.hubClosed:
		return s.seesNothing()
	}
	return fmt.Errorf("%s: a waiting Recv returned %v", s.name, reader.err)
}

// settleCalls judges the calls of s that have returned.
func (r *modelRunner) settleCalls(c *modelChan, s *modelSub) error {
	if err := s.accept(s.s.Stats().Sent); err != nil {
		return err
	}
	for _, call := range s.calls {
		if !call.done.Load() {
			continue
		}
		// What a Close has set free is not forwarded in the model yet.
		if !s.closed || errors.Is(call.err, hub.ErrClosed) {
			if err := c.ended(call, r.hubClosed); err != nil {
				return err
			}
		}
		call.cancel()
	}
	s.calls = slices.DeleteFunc(s.calls, func(call *modelCall) bool { return call.done.Load() })
	return nil
}

// finish receives everything that is left and closes everything.
func (r *modelRunner) finish(end modelEnd) error {
	all := slices.Clone(r.subs)
	if end.hubFirst {
		r.logf("close the hub")
		if err := r.closeHub(); err != nil {
			return err
		}
		if err := r.settle(); err != nil {
			return err
		}
		for i, s := range all {
			if err := r.drain(s, end.modes[i%len(end.modes)]); err != nil {
				return err
			}
		}
	} else {
		r.logf("receive all")
		for again, rounds := true, 0; again; rounds++ {
			again = false
			for i, s := range all {
				if s.reader != nil {
					s.reader.cancel()
					if err := r.settle(); err != nil {
						return err
					}
				}
				handed := s.handed
				if err := r.read(s, 1<<20, end.modes[i%len(end.modes)] == 1); err != nil {
					return err
				}
				if err := r.settle(); err != nil {
					return err
				}
				// One who refuses all that is queued takes it off in silence.
				queued := s.s.Stats().Queued > 0 && rounds < 1000
				again = again || s.handed != handed || queued
			}
		}
		for _, c := range r.chans {
			for _, e := range c.order {
				if e.call != nil {
					return fmt.Errorf("%s: %s is lost: accepted %v, channel %s stands at %d", e.call.sub.name, e.call.text, e.call.accepted, c.name, c.seq)
				}
			}
		}
		for _, s := range all {
			if err := s.checkDrained(); err != nil {
				return err
			}
		}
	}
	for _, s := range all {
		if err := r.close(s); err != nil {
			return err
		}
	}
	if infos := r.hub.Channels(); !end.hubFirst && len(infos) != len(r.chans) {
		return fmt.Errorf("Channels are %+v, want %d that stand", infos, len(r.chans))
	}
	if err := r.closeHub(); err != nil {
		return err
	}
	if _, err := r.hub.Open("can0", nil); err != hub.ErrClosed {
		return fmt.Errorf("Open after Close returned %v", err)
	}
	return nil
}

func (r *modelRunner) closeHub() error {
	most := time.Duration(0)
	for _, s := range r.subs {
		if s.fed() {
			most = max(most, time.Second/10)
		}
		if s.fed() && s.reader != nil { // it may take one while the hub closes
			most = 1100 * time.Millisecond
		}
	}
	before := time.Now()
	r.hub.Close()
	if d := time.Since(before); d > most {
		return fmt.Errorf("the hub's Close took %v, want at most %v", d, most)
	}
	if !r.hubClosed {
		r.hubClosed, r.closedAt = true, before
	}
	return nil
}

// drain receives what a subscriber still has after the hub was closed.
func (r *modelRunner) drain(s *modelSub, mode int) error {
	ctx := context.Background()
	r.logf("%s receives the rest, mode %d", s.name, mode)
	if err := s.endBatch(); err != nil {
		return err
	}
	if mode == 3 && !s.fed() {
		if len(s.items)%2 == 0 {
			s.out = s.s.C()
		} else {
			s.outs = s.s.Batches()
		}
	}
	if mode >= 2 && s.out != nil {
		for m := range s.out {
			if err := s.sees(m); err != nil {
				return err
			}
		}
	}
	if mode >= 2 && s.outs != nil {
		for msgs := range s.outs {
			for _, m := range msgs {
				if err := s.sees(m); err != nil {
					return err
				}
			}
		}
	}
	if mode == 1 {
		for {
			got, err := s.s.RecvBatch(ctx)
			if err == hub.ErrClosed {
				break
			}
			if err != nil {
				return err
			}
			for _, m := range got {
				if err := s.sees(m); err != nil {
					return err
				}
			}
		}
	}
	for m := range s.s.All(ctx) {
		if err := s.sees(m); err != nil {
			return err
		}
	}
	if s.due() {
		return fmt.Errorf("%s is at the end; it expects %s", s.name, s.expects())
	}
	return s.checkDrained()
}

// checkDrained compares what s lost with what its Stats say.
func (s *modelSub) checkDrained() error {
	got := s.s.Stats()
	if got.Received != s.handed || got.Queued != 0 {
		return fmt.Errorf("%s: Stats at the end are %+v, want Received %d and Queued 0", s.name, got, s.handed)
	}
	if !s.loose {
		if got.Dropped != s.dropped {
			return fmt.Errorf("%s: Stats at the end are %+v, want Dropped %d", s.name, got, s.dropped)
		}
		return nil
	}
	least, most := s.looseLost, s.looseMay+uint64(len(s.items))
	for n, i := range s.items {
		if i.lost || i.must() {
			if least++; s.opts.Policy == hub.DropOldest && n >= len(s.items)-s.opts.Queue {
				return fmt.Errorf("%s under DropOldest lost %s, one of the last %d", s.name, modelText(i.m), s.opts.Queue)
			}
		}
	}
	if got.Dropped < least || got.Dropped > most {
		return fmt.Errorf("%s: Stats at the end are %+v, want Dropped from %d to %d", s.name, got, least, most)
	}
	return nil
}
