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
	// RingNotes is how many frames a [Ring] expects at one side of a bridge, and
	// how many a bridge knows for [Options].SeenFor or [Side].Echo. Of more it
	// forgets the oldest.
	RingNotes = 1 << 16
	// maxWays bounds the table of ways. A full mesh of buses has exponentially many.
	maxWays = 1 << 12
)

// A Ring tells bridges in one process which way a frame took. The zero value is
// ready; any number of [Run] share it. It has no goroutine and needs no Close.
type Ring struct {
	queues mesh // of all bridges

	mu    sync.Mutex           // held for a map operation, never across a wait
	sides map[string][]*memory // on the bus of that name; the slices never change
	ways  map[way]*way         // so that a message need not allocate its own
}

// A way is the buses that a frame has been on. It never changes.
type way struct {
	bus    string
	before *way // or nil
	buses  int
}

func (w *way) leadsTo(bus string) bool {
	for ; w != nil; w = w.before {
		if w.bus == bus {
			return true
		}
	}
	return false
}

// join adds a side on the bus called name.
func (r *Ring) join(name string) *memory {
	p := &memory{name: name, keep: RingMemory}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sides == nil {
		r.sides = make(map[string][]*memory)
		r.ways = make(map[way]*way)
	}
	r.sides[name] = append(slices.Clone(r.sides[name]), p)
	return p
}

func (r *Ring) leave(p *memory) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(r.sides[p.name]), func(q *memory) bool { return q == p })
	if r.sides[p.name] = rest; len(rest) == 0 {
		delete(r.sides, p.name)
	}
	if len(r.sides) == 0 {
		r.ways = make(map[way]*way)
	}
}

// expect tells all others on from's bus that m will come, having taken w. It
// adds their notes to notes.
func (r *Ring) expect(from *memory, m *hub.Message, w *way, notes []*note) []*note {
	r.mu.Lock()
	all := r.sides[from.name]
	r.mu.Unlock()
	for _, p := range all {
		if p != from {
			notes = append(notes, p.expect(m, w))
		}
	}
	return notes
}

// arrived returns the way that m, received at p, took, p's bus included.
func (r *Ring) arrived(p *memory, m *hub.Message) *way {
	before, _ := p.take(m)
	w := way{bus: p.name, before: before, buses: 1}
	if before != nil {
		w.buses += before.buses
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.ways[w]
	if known == nil {
		if len(r.ways) >= maxWays { // those in use stay with who uses them
			clear(r.ways)
		}
		known = &way{w.bus, w.before, w.buses} // not &w: that would put each w on the heap
		r.ways[w] = known
	}
	return known
}
