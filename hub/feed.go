package hub

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// A feed is what stands behind C: a goroutine that receives, and the chan that
// it hands the messages out through.
type feed struct {
	sub *Subscriber
	out chan Message // closed by run, or by C where there is no run

	// Somebody sends to look, and run answers on looked when the message on offer
	// has passed the latest filters: whether there may be something to receive.
	// Neither is ever closed.
	look   chan struct{}
	looked chan bool
	done   chan struct{} // closed by run, its last act

	onOffer atomic.Int32 // 1 while run waits for a reader to take a message

	got Message // the reader's: what recv returned last
}

// maxAhead bounds the buffer of C. Enough for the goroutine to run ahead of a
// reader that is awake, and little beside a queue.
const maxAhead = 64

// C returns a chan that the messages come out of, for use in a select
// statement. It is always the same one, and it is closed when the subscriber or
// the hub is.
//
// The first call starts a goroutine that receives for the chan; from then on
// the other receive calls read from the chan too. One message more than the
// queue holds is on offer while nobody reads, and no policy takes that one back.
//
// Under Block without a limit and without filters, the chan has a buffer of up
// to 64 messages, which counts as a part of the queue. Later calls of SetFilters
// do not reach into it; a subscriber that has filters when C is first called
// has no such buffer.
//
// When the hub is closed, a reader still gets what is queued, and the hub's
// Close waits for it. A reader that takes nothing for a second is given up: then
// the chan is closed with what it holds, and the rest is left to Recv.
func (s *Subscriber) C() <-chan Message {
	q := &s.queue
	if f := q.feed.Load(); f != nil {
		return f.out
	}
	f := &feed{sub: s, look: make(chan struct{}), looked: make(chan bool), done: make(chan struct{})}
	if !s.workers.enter() { // closed: what there is fits into one chan
		f.out = s.remains()
		close(f.done)
		if !q.feed.CompareAndSwap(nil, f) {
			return q.feed.Load().out
		}
		return f.out
	}
	ahead := 0
	if s.opts.Policy == Block && s.opts.BlockFor == 0 && len(s.filters.Load().filters) == 0 {
		// The channel may count a message twice that is moving from the queue to
		// the buffer. That does no harm where it waits, but it could drop one.
		// And nobody can look through a buffer that somebody else reads from.
		ahead = min(s.opts.Queue/4, maxAhead)
	}
	f.out = make(chan Message, ahead)
	if !q.feed.CompareAndSwap(nil, f) {
		s.workers.leave()
		return q.feed.Load().out
	}
	s.alerts.Or(alertFeed)
	go f.run() // Close and the hub's Close wait for workers
	return f.out
}

// remains returns all that a closed subscriber can still receive, in a closed
// chan.
func (s *Subscriber) remains() chan Message {
	var rest []Message
	for {
		m, err := s.recv(context.Background())
		if err != nil {
			break
		}
		rest = append(rest, *m)
	}
	out := make(chan Message, len(rest))
	for _, m := range rest {
		out <- m
	}
	close(out)
	return out
}

func (f *feed) run() {
	s := f.sub
	r := &s.receiver
	defer s.workers.leave()
	defer close(f.done)
	defer func() {
		if s.alerts.Load()&alertClosed != 0 {
			s.queue.discarded.Add(uint64(len(f.more(nil, cap(f.out))))) // nothing comes out any more
		}
		close(f.out)
	}()
	for {
		select {
		case <-f.look:
			f.answer(nil)
		default:
		}
		// What fits into out needs no waiting. Only this goroutine sends to it.
		left := r.left()
		if n := min(len(left), cap(f.out)-len(f.out)); n > 0 && !r.gap && s.alerts.Load() == alertFeed {
			for i := range left[:n] {
				f.out <- left[i]
			}
			r.pos += n
			s.took(n)
			continue
		}
		m, err := s.recv(looks{f})
		switch {
		case err == errLook:
			f.answer(nil)
		case err != nil:
			return
		case !f.hand(*m):
			return
		}
	}
}

// looks is what run waits with: until somebody sends to look.
type looks struct{ *feed }

var errLook = errors.New("look")

func (l looks) Done() <-chan struct{} { return l.look }
func (l looks) Err() error            { return errLook }

// hand puts m into out. It returns false if it is not to go on.
func (f *feed) hand(m Message) bool {
	select {
	case f.out <- m:
		return true
	default:
	}
	s := f.sub
	quit := s.channel.quit
	var patience <-chan time.Time // once the hub closes
	if m.Seq != 0 {
		f.onOffer.Store(1)
	}
	defer f.onOffer.Store(0)
	for {
		select {
		case f.out <- m:
			return true
		case <-f.look:
			if !f.answer(&m) {
				return true
			}
		case <-s.leaving:
			if m.Seq != 0 {
				s.queue.discarded.Add(1)
			}
			return false
		case <-quit:
			quit = nil
			patience = time.After(stallAfter)
		case <-patience:
			r := &s.receiver
			if m.Seq == 0 {
				r.gap = true
				return false
			}
			r.set(append([]Message{m}, r.left()...))
			s.queue.taken.Add(^uint64(0)) // it has not been taken after all
			return false
		}
	}
}

// answer answers somebody who looks. m is on offer, or nil. It reports whether m
// has passed the latest filters.
func (f *feed) answer(m *Message) bool {
	s := f.sub
	passed := m != nil && s.filters.Load().match(m)
	if m != nil && !passed {
		s.queue.discarded.Add(1)
	}
	f.looked <- passed || len(f.out) > 0 || len(s.receiver.left()) > 0 || s.receiver.gap || !s.queue.empty()
	return passed
}

// review makes the goroutine apply new filters, and returns when it has.
func (f *feed) review() {
	select {
	case f.look <- struct{}{}:
		<-f.looked
	case <-f.done:
	}
}

// recv is Recv for a subscriber with a feed.
func (f *feed) recv(ctx context.Context) (*Message, error) {
	s := f.sub
	if s.alerts.Load()&alertClosed != 0 {
		return &nothing, ErrClosed
	}
	select {
	case m, ok := <-f.out:
		return f.received(m, ok)
	default:
	}
	select {
	case m, ok := <-f.out:
		return f.received(m, ok)
	case <-ctx.Done():
	}
	// What is queued may be on its way: ask the goroutine, which looks when it
	// has nothing to do or offers a message.
	for {
		select {
		case m, ok := <-f.out:
			return f.received(m, ok)
		case f.look <- struct{}{}:
			if !<-f.looked {
				return &nothing, ctx.Err()
			}
		}
	}
}

// received makes a result of what came out of out.
func (f *feed) received(m Message, ok bool) (*Message, error) {
	if ok {
		f.got = m
		return &f.got, nil
	}
	return f.rest()
}

// rest receives what the goroutine could not hand out before it ended.
func (f *feed) rest() (*Message, error) {
	<-f.done
	return f.sub.recv(context.Background())
}

// more adds to batch what out holds, up to most messages in all.
func (f *feed) more(batch []Message, most int) []Message {
	for len(batch) < most {
		select {
		case m, ok := <-f.out:
			if !ok {
				return batch
			}
			batch = append(batch, m)
		default:
			return batch
		}
	}
	return batch
}
