package bridge

import (
	"slices"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

const (
	// RingMemory is how long a [Ring] expects a frame to arrive.
	RingMemory = 10 * time.Second
	// RingNotes is how many frames a [Ring] expects at one side of a bridge.
	RingNotes = 1 << 16
)

// A Ring tells bridges in one process which way a frame took. The zero value is
// ready; any number of [Run] share it. It has no goroutine and needs no Close.
type Ring struct {
	mu    sync.Mutex // held for a few map operations, never across a wait
	ports map[*memory]string
}

// join adds a side on the bus called name.
func (r *Ring) join(name string) *memory {
	p := &memory{}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ports == nil {
		r.ports = make(map[*memory]string)
	}
	r.ports[p] = name
	return p
}

func (r *Ring) leave(p *memory) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.ports, p)
}

// expect tells all others on from's bus that m will come, having taken way. It
// returns a func that takes that back.
func (r *Ring) expect(from *memory, m hub.Message, way []string) (revoke func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var told []*memory
	var notes []*note
	for p, name := range r.ports {
		if p != from && name == r.ports[from] {
			told = append(told, p)
			notes = append(notes, p.add(m, way, RingMemory))
		}
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i, p := range told {
			p.remove(m, notes[i])
		}
	}
}

// arrived returns the way that m, received at p, took. None: it starts here.
func (r *Ring) arrived(p *memory, m hub.Message) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := p.take(m); n != nil {
		return n.way
	}
	return nil
}

// A note says that a frame is to come.
type note struct {
	frame hub.Message
	until time.Time
	way   []string
	gone  bool // arrived or taken back
}

// A memory holds the frames that are to come at one side. Its user locks it.
type memory struct {
	byFrame map[hub.Message][]*note
	byAge   []*note // oldest first
	live    int
}

// frame is m without what is no part of it.
func frame(m hub.Message) hub.Message {
	f := hub.Message{ID: m.ID, Flags: m.Flags &^ hub.Own, Len: m.Len}
	copy(f.Data[:], m.Bytes())
	return f
}

func (p *memory) add(m hub.Message, way []string, keep time.Duration) *note {
	if p.byFrame == nil {
		p.byFrame = make(map[hub.Message][]*note)
	}
	p.forget()
	f := frame(m)
	n := &note{frame: f, until: time.Now().Add(keep), way: way}
	p.byFrame[f] = append(p.byFrame[f], n)
	p.byAge = append(p.byAge, n)
	p.live++
	return n
}

func (p *memory) take(m hub.Message) *note {
	p.forget()
	f := frame(m)
	if ns := p.byFrame[f]; len(ns) > 0 {
		n := ns[0]
		p.remove(m, n)
		return n
	}
	return nil
}

func (p *memory) remove(m hub.Message, n *note) {
	if n.gone {
		return
	}
	n.gone = true
	p.live--
	f := frame(m)
	ns := p.byFrame[f]
	if i := slices.Index(ns, n); i == 0 {
		ns = ns[1:] // the usual case, however many are equal
	} else if i > 0 {
		ns = slices.Delete(ns, i, i+1)
	}
	if len(ns) == 0 {
		delete(p.byFrame, f)
	} else {
		p.byFrame[f] = ns
	}
}

// forget drops notes that are too old or too many.
func (p *memory) forget() {
	now := time.Now()
	for len(p.byAge) > 0 {
		n := p.byAge[0]
		if !n.gone && now.Before(n.until) && p.live <= RingNotes && len(p.byAge) <= 2*RingNotes {
			return
		}
		p.remove(n.frame, n)
		p.byAge[0] = nil
		p.byAge = p.byAge[1:]
	}
}
