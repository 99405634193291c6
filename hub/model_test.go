package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// The model of a hub: plain slices, no goroutine, one message after the other.
// It is told what happens and says what every subscriber must see.
//
// One thing it takes from the hub: how far a channel has got ([hub.ChannelInfo]
// Messages). How many messages make a batch is the channel's own affair, and
// while it waits for a full queue that decides what the others have already.
// Everything else follows from the order of the sends.

// A modelChan is one channel. order holds what has its place in the order and
// is not forwarded yet; sends that wait for room in the inbox stand there too,
// not accepted.
type modelChan struct {
	name     string
	inbox    int
	standing bool
	seq      uint64
	order    []*modelEntry
	subs     []*modelSub // open ones
	control  int         // requests that may lie in the inbox, at most
}

// A modelEntry is a send, or else a subscriber that joins or has new filters.
type modelEntry struct {
	call    *modelCall
	sub     *modelSub
	join    bool
	filters []hub.Filter
}

// A modelCall is one Send, SendBatch or SendWait.
type modelCall struct {
	text      string
	sub       *modelSub
	wait      bool
	msgs      []hub.Message
	cancel    context.CancelFunc
	canceled  bool
	accepted  bool     // it is in the inbox, or was
	forwarded bool     // all of it
	seq       uint64   // of the last message then
	missed    []string // subscribers whose queue refused it
	mayMiss   []string // and those of whom that is not known

	done atomic.Bool // set by the call's goroutine, after err
	err  error
}

// A modelItem is one message for one subscriber.
type modelItem struct {
	m      hub.Message // as it must look there
	lost   bool        // the queue was full
	failed bool        // refused by filters that were set later: it need not come
	early  bool        // sent before Open returned: it need not come
	given  bool        // there was room when it was forwarded
	ahead  bool        // in the buffer of C, which new filters do not reach
	held   bool        // taken off the queue together with the error frame before it
}

func (i *modelItem) must() bool { return !i.lost && !i.failed && !i.early }

// A modelSub is one subscriber.
type modelSub struct {
	s       *hub.Subscriber
	name    string
	opts    hub.SubscriberOptions
	ch      *modelChan
	joined  bool
	early   bool         // it may have joined ahead of its turn
	fwd     []hub.Filter // what the channel judges by
	filters []hub.Filter // the latest
	closed  bool

	items     []*modelItem // not received
	discarded int          // DropNewest: those of items that are out of the queue
	handed    uint64       // messages received
	recent    int          // those of them that came when the channel was last known to be quiet
	sent      uint64
	dropped   uint64
	haveRead  bool // since the last look at its Stats

	calls  []*modelCall         // running
	reader *modelReader         // a Recv that waits
	out    <-chan hub.Message   // of C, or nil
	outs   <-chan []hub.Message // of Batches, or nil
	ahead  int                  // the size of its buffer
	batch  modelBatch

	// A drop policy with somebody who takes messages off the queue all the time:
	// which ones are lost is a matter of luck, so they are only counted.
	loose               bool
	looseLost, looseMay uint64 // lost for certain, at most
	frames              uint64 // error frames since the last message
}

// A modelReader is a Recv in a goroutine of its own.
type modelReader struct {
	cancel context.CancelFunc
	done   atomic.Bool // set by its goroutine, after these
	m      hub.Message
	err    error
}

// A modelBatch is a slice from RecvBatch, which stays as it is until the next
// receive call, and what was in it.
type modelBatch struct{ got, was []hub.Message }

// endBatch is to be called before a receive call.
func (s *modelSub) endBatch() error {
	b := s.batch
	s.batch = modelBatch{}
	if !slices.Equal(b.got, b.was) {
		return fmt.Errorf("%s: what RecvBatch had returned was changed before the next receive call", s.name)
	}
	return nil
}

var modelOverflow = hub.Message{ID: 4, Flags: hub.Error, Len: 8, Data: [64]byte{1: 1}}

func modelMatch(filters []hub.Filter, m hub.Message) bool {
	if len(filters) == 0 || m.Flags&hub.Error != 0 {
		return true
	}
	for _, f := range filters {
		extended := m.Flags&hub.Extended != 0
		if f.StandardOnly && extended || f.ExtendedOnly && !extended {
			continue
		}
		same := m.ID&f.Mask&0x1FFFFFFF == f.ID&f.Mask&0x1FFFFFFF
		if same != f.Invert {
			return true
		}
	}
	return false
}

// forwardTo hands messages to the subscribers until seq is target.
func (c *modelChan) forwardTo(target uint64, now int64) error {
	for len(c.order) > 0 {
		e := c.order[0]
		switch {
		case e.call == nil && e.join:
			e.sub.joined = true
		case e.call == nil:
			e.sub.fwd = e.filters
		case c.seq == target:
			return nil
		case !e.call.accepted:
			return fmt.Errorf("channel %s forwarded %d messages, accepted only %d", c.name, target, c.seq)
		case c.seq+uint64(len(e.call.msgs)) > target:
			return fmt.Errorf("channel %s stopped at %d, in the middle of one send of %d from %d", c.name, target, len(e.call.msgs), c.seq+1)
		default:
			for _, m := range e.call.msgs {
				c.forward(e.call, m, now)
			}
			e.call.forwarded, e.call.seq = true, c.seq
		}
		c.order = c.order[1:]
	}
	if c.seq != target {
		return fmt.Errorf("channel %s forwarded %d messages, was given only %d", c.name, target, c.seq)
	}
	return nil
}

func (c *modelChan) forward(call *modelCall, m hub.Message, now int64) {
	c.seq++
	m.Seq = c.seq
	m.Flags &^= hub.Own
	if !call.sub.opts.KeepTimestamps {
		m.Timestamp = now
	}
	for _, s := range c.subs {
		mine := s == call.sub
		if !s.joined && !s.early || mine && !s.opts.OwnMessages || !modelMatch(s.fwd, m) {
			continue
		}
		item := &modelItem{m: m, early: !s.joined, failed: !modelMatch(s.filters, m)}
		if mine {
			item.m.Flags |= hub.Own
		}
		for _, e := range c.order[1:] { // filters whose turn comes later
			if e.sub == s && !e.join && !modelMatch(e.filters, m) {
				item.failed = true
			}
		}
		s.offer(item, call)
	}
}

// offer does what the policy says.
func (s *modelSub) offer(item *modelItem, call *modelCall) {
	s.items = append(s.items, item)
	item.given = s.opts.Policy != hub.Block || s.queued()+s.recent <= s.opts.Queue
	switch {
	case s.loose:
		if s.opts.Policy == hub.DropNewest {
			call.mayMiss = append(call.mayMiss, s.name)
		}
	case s.opts.Policy == hub.DropNewest && s.queued() > s.opts.Queue:
		item.lost = true
		s.dropped++
		call.missed = append(call.missed, s.name)
	case s.opts.Policy == hub.DropOldest:
		var queued []*modelItem
		for _, i := range s.items {
			if !i.lost && !i.held {
				queued = append(queued, i)
			}
		}
		if len(queued) > s.opts.Queue {
			queued[0].lost = true
			s.dropped++
		}
	}
}

// queued returns how many of items are in the queue, the late ones of Block
// included.
func (s *modelSub) queued() int {
	n := -s.discarded
	for _, i := range s.items {
		if !i.lost {
			n++
		}
	}
	return n
}

func (s *modelSub) count(is func(*modelItem) bool) (n int) {
	for _, i := range s.items {
		if is(i) {
			n++
		}
	}
	return n
}

func (s *modelSub) setFilters(filters []hub.Filter) {
	s.filters = filters
	ahead := s.ahead
	for n, i := range s.items {
		if i.failed {
			ahead++ // it may be gone already
		}
		if !modelMatch(filters, i.m) {
			i.failed = true
			i.ahead = n < ahead
		}
	}
}

// mayBeLate and mustBeLate tell whether the channel waits for s.
func (s *modelSub) mayBeLate() bool {
	return s.opts.Policy == hub.Block && s.queued() > s.opts.Queue
}

func (s *modelSub) mustBeLate() bool {
	return s.opts.Policy == hub.Block && s.count((*modelItem).must) > s.opts.Queue
}

// fed reports whether a goroutine receives for C or Batches.
func (s *modelSub) fed() bool { return s.out != nil || s.outs != nil }

// due reports whether a receive call must have something to return.
func (s *modelSub) due() bool {
	return !s.loose && slices.ContainsFunc(s.items, func(i *modelItem) bool {
		return s.has(i) || i.lost && s.opts.ErrorFrames
	})
}

// has reports whether i is in the queue for certain, or comes into it when s
// reads. A channel gives everybody what there is room for; then it waits for
// those who are behind, one after the other.
func (s *modelSub) has(i *modelItem) bool {
	return i.must() && (i.given || !slices.ContainsFunc(s.ch.subs, func(o *modelSub) bool {
		return o != s && o.mayBeLate()
	}))
}

// sees is told what a receive call returned, and tells if that is wrong.
func (s *modelSub) sees(m hub.Message) error {
	s.haveRead = true
	if m.Seq == 0 {
		return s.seesFrame(m)
	}
	at := slices.IndexFunc(s.items, func(i *modelItem) bool { return i.m.Seq == m.Seq })
	if at < 0 {
		return fmt.Errorf("%s received %s, which is not for it or came before; it expects %s", s.name, modelText(m), s.expects())
	}
	item, skipped := s.items[at], s.items[:at]
	if item.m != m {
		return fmt.Errorf("%s received %s, want %s", s.name, modelText(m), modelText(item.m))
	}
	if item.lost {
		return fmt.Errorf("%s received %s, which its full queue cannot have kept; it expects %s", s.name, modelText(m), s.expects())
	}
	if !modelMatch(s.filters, m) && !item.ahead {
		return fmt.Errorf("%s received %s, which its filters %s refuse", s.name, modelText(m), modelFilters(s.filters))
	}
	lost := uint64(0)
	for _, i := range skipped {
		switch {
		case i.must() && !s.loose:
			return fmt.Errorf("%s received %s, but not %s before it", s.name, modelText(m), modelText(i.m))
		case i.lost && s.opts.ErrorFrames && !s.loose:
			return fmt.Errorf("%s received %s, but no error frame for the lost %s before it", s.name, modelText(m), modelText(i.m))
		case s.loose && (i.lost || i.must()):
			lost++
		}
	}
	if s.loose {
		s.looseLost += lost
		s.looseMay += uint64(len(skipped))
		if s.opts.ErrorFrames && (lost > 0 && s.frames == 0 || s.frames > uint64(len(skipped))) {
			return fmt.Errorf("%s received %s, with %d error frames for %d lost messages before it", s.name, modelText(m), s.frames, len(skipped))
		}
		s.frames = 0
	}
	if item.early { // now it is known when it joined
		for _, i := range s.items {
			i.early = false
		}
		s.joined = true
	}
	s.items = s.items[at+1:]
	s.handed++
	s.recent += at + 1
	return nil
}

// seesFrame is sees for an error frame of the hub's.
func (s *modelSub) seesFrame(m hub.Message) error {
	frame := m
	frame.Timestamp = 0
	if frame != modelOverflow {
		return fmt.Errorf("%s received %s, without a number", s.name, modelText(m))
	}
	if !s.opts.ErrorFrames {
		return fmt.Errorf("%s received %s, and did not ask for error frames", s.name, modelText(m))
	}
	if s.loose {
		if s.frames++; s.frames > uint64(len(s.items)) {
			return fmt.Errorf("%s received %d error frames, and lost %d messages at most; it expects %s", s.name, s.frames, len(s.items), s.expects())
		}
		return nil
	}
	for len(s.items) > 0 && !s.items[0].lost && !s.items[0].must() { // discarded
		s.items = s.items[1:]
	}
	if len(s.items) == 0 || !s.items[0].lost {
		return fmt.Errorf("%s received an error frame where nothing was lost; it expects %s", s.name, s.expects())
	}
	var lost hub.Message
	for len(s.items) > 0 && s.items[0].lost {
		lost, s.items = s.items[0].m, s.items[1:]
	}
	if len(s.items) == 0 {
		return nil
	}
	// Where new filters have refused the message behind it, it has the time of the loss.
	next := s.items[0]
	if next.must() && m.Timestamp != next.m.Timestamp && m.Timestamp != lost.Timestamp {
		return fmt.Errorf("%s received an error frame of %d, want the time %d of the message behind it or %d of the loss",
			s.name, m.Timestamp, next.m.Timestamp, lost.Timestamp)
	}
	s.hold()
	return nil
}

// hold takes the first message off the queue, to stand behind an error frame.
func (s *modelSub) hold() {
	switch {
	case s.opts.Policy != hub.DropOldest || len(s.items) == 0:
	case modelMatch(s.filters, s.items[0].m):
		s.items[0].held = true
	default:
		s.items = s.items[1:]
	}
}

// seesNothing is told that a poll found nothing.
func (s *modelSub) seesNothing() error {
	s.haveRead = true
	if s.due() {
		return fmt.Errorf("%s received nothing; it expects %s", s.name, s.expects())
	}
	if s.opts.Policy != hub.Block && !s.loose {
		s.items = nil
		s.discarded = 0
	}
	return nil
}

func (s *modelSub) expects() string {
	if len(s.items) == 0 {
		return "nothing"
	}
	var b strings.Builder
	for n, i := range s.items {
		if n == 12 {
			fmt.Fprintf(&b, " and %d more", len(s.items)-n)
			break
		}
		if n > 0 {
			b.WriteString(", ")
		}
		b.WriteString(modelText(i.m))
		for mark, is := range map[string]bool{" (lost)": i.lost, " (perhaps)": !i.lost && !i.must() && modelMatch(s.filters, i.m), " (refused)": !modelMatch(s.filters, i.m)} {
			if is {
				b.WriteString(mark)
			}
		}
	}
	return b.String()
}

// modelText is a message in candump form, with its number and what else counts.
func modelText(m hub.Message) string {
	own := ""
	if m.Flags&hub.Own != 0 {
		own = " own"
	}
	return fmt.Sprintf("#%d %s%s @%d", m.Seq, m, own, m.Timestamp%int64(time.Hour))
}

func modelFilters(filters []hub.Filter) string {
	var texts []string
	for _, f := range filters {
		text := fmt.Sprintf("%X/%X", f.ID, f.Mask)
		for mark, is := range map[string]bool{"s": f.StandardOnly, "x": f.ExtendedOnly} {
			if is {
				text += mark
			}
		}
		if f.Invert {
			text = "!" + text
		}
		texts = append(texts, text)
	}
	return "[" + strings.Join(texts, " ") + "]"
}

// accepted returns how many messages there are, forwarded or not.
func (c *modelChan) accepted() uint64 {
	n := c.seq
	for _, e := range c.order {
		if e.call != nil && e.call.accepted {
			n += uint64(len(e.call.msgs))
		}
	}
	return n
}

// inboxAtMost returns how many places of the inbox are taken, at most.
func (c *modelChan) inboxAtMost() int {
	n := c.control
	for _, e := range c.order {
		if e.call != nil {
			n++
		}
	}
	return n
}

// accept finds out which of a subscriber's calls the inbox has taken, by the
// number of messages sent. They enter it in the order in which they began.
func (s *modelSub) accept(sent uint64) error {
	for _, call := range s.calls {
		n := uint64(len(call.msgs))
		if call.accepted || call.done.Load() && call.err != nil && !call.wait {
			continue
		}
		if s.sent+n > sent {
			break
		}
		call.accepted = true
		s.sent += n
	}
	if s.sent != sent {
		return fmt.Errorf("%s: Stats.Sent is %d, want %d", s.name, sent, s.sent)
	}
	for _, call := range s.calls {
		if call.done.Load() && !call.accepted {
			if call.err == nil {
				return fmt.Errorf("%s: %s returned nil, but was not sent", s.name, call.text)
			}
			s.ch.order = slices.DeleteFunc(s.ch.order, func(e *modelEntry) bool { return e.call == call })
		}
	}
	return nil
}

// ended judges the error of a call that has returned.
func (c *modelChan) ended(call *modelCall, hubClosed bool) error {
	s := call.sub
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %s returned %v: %s", s.name, call.text, call.err, fmt.Sprintf(format, args...))
	}
	var delivery *hub.DeliveryError
	switch {
	case call.err == nil || errors.As(call.err, &delivery):
		if !call.wait {
			if call.err != nil {
				return fail("only SendWait may")
			}
			return nil
		}
		if !call.forwarded {
			return fail("the message is not forwarded")
		}
		var missed []string
		if delivery != nil {
			missed = slices.Clone(delivery.Missed)
		}
		for _, name := range call.missed {
			if !slices.Contains(missed, name) {
				return fail("it does not name %s", name)
			}
		}
		for _, name := range missed {
			if !slices.Contains(call.missed, name) && !slices.Contains(call.mayMiss, name) {
				return fail("%s has it", name)
			}
		}
		for _, o := range c.subs {
			if hubClosed || !o.mustBeLate() {
				continue
			}
			// It is not batched with what follows: this would be the last one.
			if last := o.items[len(o.items)-1]; last.m.Seq == call.seq && last.must() {
				return fail("%s has no room for it yet", o.name)
			}
		}
	case errors.Is(call.err, hub.ErrClosed):
		if !s.closed && !hubClosed {
			return fail("nothing is closed")
		}
	case errors.Is(call.err, hub.ErrStalled):
		if !s.mayBeLate() {
			return fail("the channel does not wait for it")
		}
	case call.err == context.Canceled:
		if !call.canceled {
			return fail("nobody canceled it")
		}
	default:
		return fail("unexpected")
	}
	return nil
}

// checkStats compares the Stats of a subscriber.
func (s *modelSub) checkStats(hubClosed bool) error {
	got := s.s.Stats()
	fail := func(what string, want any) error {
		return fmt.Errorf("%s: Stats are %+v, want %s %v; it expects %s", s.name, got, what, want, s.expects())
	}
	if got.Capacity != s.opts.Queue {
		return fail("Capacity", s.opts.Queue)
	}
	if got.Received != s.handed {
		return fail("Received", s.handed)
	}
	if s.closed {
		return nil
	}
	if s.loose {
		return nil
	}
	if got.Dropped != s.dropped {
		return fail("Dropped", s.dropped)
	}
	switch s.opts.Policy {
	case hub.DropNewest:
		if s.haveRead {
			failed := s.count(func(i *modelItem) bool { return !i.lost && i.failed })
			if s.discarded = s.discarded + s.queued() - got.Queued; s.discarded < 0 || s.discarded > failed {
				return fail("Queued", fmt.Sprintf("at most %d less than %d", failed, s.queued()+s.discarded))
			}
		}
		fallthrough
	case hub.DropOldest:
		if want := min(s.queued(), s.opts.Queue); got.Queued != want { // one may be held
			return fail("Queued", want)
		}
	case hub.Block:
		if most := min(s.queued(), s.opts.Queue); got.Queued > most {
			return fail("Queued at most", most)
		}
		least := s.count(s.has)
		if s.mayBeLate() && !hubClosed {
			least = min(least, 1)
		}
		if got.Queued < min(least, s.opts.Queue) {
			return fail("Queued at least", least)
		}
	}
	s.haveRead = false
	return nil
}
