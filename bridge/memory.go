package bridge

import (
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A note says that a frame is to come.
type note struct {
	of    *memory
	frame hub.Message
	until time.Time
	way   *way

	gone    bool  // it came, or is not expected any more
	equal   *note // the next one for the same frame
	younger *note // the next one for any frame
}

// A memory holds the frames that are to come.
type memory struct {
	name string        // of the bus, in the Ring
	keep time.Duration // how long a frame is expected

	mu      sync.Mutex // held for a few map operations, never across a wait
	byFrame map[hub.Message]equals
	oldest  *note // notes that are gone stay until they are the oldest
	newest  *note
	live    int // notes that are not gone
	all     int
}

// equals are the notes for one frame. Those that are gone stay until they are
// the first.
type equals struct{ first, last *note }

// frame is m without what is no part of it.
func frame(m *hub.Message) hub.Message {
	f := hub.Message{ID: m.ID, Flags: m.Flags &^ hub.Own, Len: m.Len}
	copy(f.Data[:], m.Bytes())
	return f
}

// expect takes note that m will come.
func (p *memory) expect(m *hub.Message, w *way) *note {
	f, now := frame(m), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.add(f, w, now)
}

func (p *memory) add(f hub.Message, w *way, now time.Time) *note {
	n := &note{of: p, frame: f, until: now.Add(p.keep), way: w}
	if p.byFrame == nil {
		p.byFrame = make(map[hub.Message]equals)
	}
	ns := p.byFrame[n.frame]
	if ns.last == nil {
		ns.first = n
	} else {
		ns.last.equal = n
	}
	ns.last = n
	p.byFrame[n.frame] = ns
	if p.newest == nil {
		p.oldest = n
	} else {
		p.newest.younger = n
	}
	p.newest = n
	p.live++
	p.all++
	p.forget(now)
	return n
}

// take reports whether m, which came, was expected, and the way that it took.
func (p *memory) take(m *hub.Message) (w *way, expected bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == 0 {
		return nil, false
	}
	p.forget(time.Now())
	f := frame(m)
	ns, ok := p.byFrame[f]
	if !ok {
		return nil, false
	}
	n := ns.first
	p.remove(n)
	return n.way, true
}

// isNew reports whether m was not expected, and takes note that it will come.
func (p *memory) isNew(m *hub.Message) bool {
	f, now := frame(m), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(now)
	if _, ok := p.byFrame[f]; ok {
		return false
	}
	p.add(f, nil, now)
	return true
}

// revoke takes n back: its frame was not sent.
func (n *note) revoke() {
	n.of.mu.Lock()
	defer n.of.mu.Unlock()
	n.of.remove(n)
}

// remove keeps byFrame's lists without a note that is gone at their head.
func (p *memory) remove(n *note) {
	if n.gone {
		return
	}
	n.gone = true
	p.live--
	ns := p.byFrame[n.frame]
	if ns.first != n {
		return
	}
	for ns.first != nil && ns.first.gone {
		ns.first = ns.first.equal
	}
	if ns.first == nil {
		delete(p.byFrame, n.frame)
	} else {
		p.byFrame[n.frame] = ns
	}
}

// forget drops notes that are too old or too many.
func (p *memory) forget(now time.Time) {
	for n := p.oldest; n != nil; n = p.oldest {
		if !n.gone && now.Before(n.until) && p.live <= RingNotes && p.all <= 2*RingNotes {
			return
		}
		p.remove(n)
		p.all--
		if p.oldest = n.younger; p.oldest == nil {
			p.newest = nil
		}
	}
}
