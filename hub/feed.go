package hub

import (
	"context"
	"errors"
	"time"
)

// A feed is what stands behind C: a goroutine that receives, and the chan that
// it hands the messages out through.
type feed struct {
	sub *Subscriber
	out chan Message // closed by run, or by C where there is no run

	// SetFilters sends to look, and run answers on looked when no message that
	// the new filters refuse is in out. Neither is ever closed.
	look, looked chan struct{}
	done         chan struct{} // closed by run, its last act
}

// maxAhead bounds the buffer of C. Enough for the goroutine to run ahead of a
// reader that is awake, and little beside a queue.
const maxAhead = 64

// C returns a chan that the messages come out of, for use in a select
// statement. It is always the same one, and it is closed when the subscriber or
// the hub is.
//
// The first call starts a goroutine that receives for the chan; from then on
// the other receive calls read from the chan too. The chan's buffer is a part
// of the queue. One message more is on offer while nobody reads, and no policy
// takes that one back.
//
// When the hub is closed, a reader still gets what is queued. A reader that
// takes nothing for a second is given up: then the chan is closed with what it
// holds, and what did not fit is left to Recv. The hub's Close waits for that.
func (s *Subscriber) C() <-chan Message {
	q := &s.queue
	if f := q.feed.Load(); f != nil {
		return f.out
	}
	f := &feed{sub: s, look: make(chan struct{}), looked: make(chan struct{}), done: make(chan struct{})}
	if !s.workers.enter() { // closed: what there is fits into one chan
		f.out = s.remains()
		close(f.done)
		if !q.feed.CompareAndSwap(nil, f) {
			return q.feed.Load().out
		}
		return f.out
	}
	ahead := 0
	if s.opts.Policy != DropOldest { // it gives the latest: do not run ahead
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
		m, err := s.recv(nil, nil)
		if err != nil {
			break
		}
		rest = append(rest, m)
	}
	out := make(chan Message, len(rest))
	for _, m := range rest {
		out <- m
	}
	close(out)
	return out
}

func (f *feed) run() {
	defer f.sub.workers.leave()
	defer close(f.done)
	defer close(f.out)
	for {
		m, err := f.sub.recv(f.look, func() error { return errLook })
		switch {
		case err == errLook:
			f.answer(nil)
		case err != nil:
			return
		case !f.hand(m):
			return
		}
	}
}

// errLook is how recv tells run that SetFilters has sent to look.
var errLook = errors.New("look")

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
	for {
		select {
		case f.out <- m:
			return true
		case <-f.look:
			if !f.answer(&m) {
				return true
			}
		case <-s.left:
			return false
		case <-quit:
			quit = nil
			patience = time.After(stallAfter)
		case <-patience:
			r := &s.receiver
			r.cur = append([]Message{m}, r.cur...)
			s.queue.taken.Add(^uint64(0)) // it has not been taken after all
			return false
		}
	}
}

// answer applies the latest filters to what is in out and to m, if there is
// one, and tells SetFilters. It reports whether m passed.
func (f *feed) answer(m *Message) bool {
	set := f.sub.filters.Load()
	// Take out everything before putting anything back: a reader that comes in
	// between must not overtake.
	ahead := f.more(nil)
	discarded := uint64(0)
	for i := range ahead {
		if set.match(&ahead[i]) {
			f.out <- ahead[i] // there is room: nobody else sends
		} else {
			discarded++
		}
	}
	passed := m == nil || set.match(m)
	if !passed {
		discarded++
	}
	f.sub.queue.discarded.Add(discarded)
	f.looked <- struct{}{}
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
func (f *feed) recv(ctx context.Context) (Message, error) {
	s := f.sub
	if s.alerts.Load()&alertClosed != 0 {
		return Message{}, ErrClosed
	}
	select {
	case m, ok := <-f.out:
		if ok {
			return m, nil
		}
		return f.rest()
	default:
	}
	select {
	case m, ok := <-f.out:
		if ok {
			return m, nil
		}
		return f.rest()
	case <-ctx.Done():
		return Message{}, ctx.Err()
	}
}

// rest receives what the goroutine could not hand out before it ended.
func (f *feed) rest() (Message, error) {
	<-f.done
	return f.sub.recv(nil, nil)
}

// more adds to batch what out holds.
func (f *feed) more(batch []Message) []Message {
	for {
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
}
