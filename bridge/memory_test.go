package bridge

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// The memory against a plain list, under every order of arrivals, revocations
// and lapses.
func TestAMemoryHoldsWhatAPlainListWould(t *testing.T) {
	type entry struct {
		id    uint32
		until time.Time
		way   *way
		note  *note
	}
	Bubble(t, func(t *testing.T) {
		p := &memory{keep: time.Second}
		var list []entry
		ways := []*way{nil, {bus: "a"}, {bus: "b"}}
		for step := range 20_000 {
			list = slices.DeleteFunc(list, func(e entry) bool { return !time.Now().Before(e.until) })
			id := rand.Uint32N(4)
			m := hub.Std(id, byte(id))
			m.Timestamp, m.Seq = int64(step), uint64(step) // no part of the frame
			at := slices.IndexFunc(list, func(e entry) bool { return e.id == id })
			switch rand.IntN(6) {
			case 0, 1:
				w := ways[rand.IntN(len(ways))]
				list = append(list, entry{id, time.Now().Add(time.Second), w, p.expect(&m, w)})
			case 2:
				if got := p.isNew(&m); got != (at < 0) {
					t.Fatalf("step %d: isNew is %v", step, got)
				} else if got {
					list = append(list, entry{id, time.Now().Add(time.Second), nil, p.newest})
				}
			case 3:
				w, ok := p.take(&m)
				if ok != (at >= 0) || ok && w != list[at].way {
					t.Fatalf("step %d: take is %v, %v, want the note %d of %d", step, w, ok, at, len(list))
				}
				if ok {
					list = slices.Delete(list, at, at+1)
				}
			case 4:
				if len(list) > 0 {
					i := rand.IntN(len(list))
					list[i].note.revoke()
					list[i].note.revoke() // does no harm
					list = slices.Delete(list, i, i+1)
				}
			case 5:
				time.Sleep(rand.N(200 * time.Millisecond))
			}
		}
		time.Sleep(time.Second)
		p.take(&hub.Message{})
		if p.all != 0 || p.live != 0 || len(p.byFrame) != 0 || p.oldest != nil || p.newest != nil {
			t.Errorf("a memory without notes holds %+v", p)
		}
	})
}

// Even where the oldest note stays, those behind it that are gone do not pile up.
func TestAMemoryIsBounded(t *testing.T) {
	Bubble(t, func(t *testing.T) {
		p := &memory{keep: time.Hour}
		first, other := hub.Std(1), hub.Std(2)
		p.expect(&first, nil)
		for range 3 * RingNotes {
			p.expect(&other, nil).revoke()
		}
		n := 0
		for e := p.oldest; e != nil; e = e.younger {
			n++
		}
		if n != p.all || n > 2*RingNotes+1 {
			t.Errorf("the memory holds %d notes and counts %d, want at most %d", n, p.all, 2*RingNotes+1)
		}
	})
}

// Every frame has come another way.
// Notes that are gone go with the next call, not when they would have lapsed.
func TestAMemoryHoldsNoNoteOfWhatCame(t *testing.T) {
	Bubble(t, func(t *testing.T) {
		p := &memory{keep: time.Hour}
		m := hub.Std(1)
		for range 10 {
			p.expect(&m, nil)
		}
		for range 10 {
			p.take(&m)
		}
		p.take(&m)
		if p.all != 0 || p.oldest != nil {
			t.Errorf("the memory holds %d notes, want none", p.all)
		}
	})
}

func TestARingHoldsABoundedNumberOfWays(t *testing.T) {
	defer Watch(t).Stop()
	var r Ring
	m := hub.Std(1)
	first, last := r.join("first"), r.join("last")
	way := r.arrived(first, &m)
	for i := range 3 * maxWays {
		r.arrived(r.join(strconv.Itoa(i)), &m)
		if len(r.ways) > maxWays {
			t.Fatalf("the ring holds %d ways, want at most %d", len(r.ways), maxWays)
		}
	}
	last.expect(&m, way)
	if got := r.arrived(last, &m); got.buses != 2 || !got.leadsTo("first") || !got.leadsTo("last") {
		t.Errorf("the way is %+v, want the first and the last bus", got)
	}
	if r.arrived(first, &m) == way {
		t.Error("the first way is still held")
	}
}

func TestARingThatAllHaveLeftHoldsNothing(t *testing.T) {
	defer Watch(t).Stop()
	var r Ring
	a, b, b2 := r.join("a"), r.join("b"), r.join("b")
	m := hub.Std(1)
	w := r.arrived(a, &m)
	if notes := r.expect(b, &m, w, nil); len(notes) != 1 || notes[0].of != b2 {
		t.Errorf("%d notes, want one at the other side on b", len(notes))
	}
	if got := r.arrived(b2, &m); got.buses != 2 || !got.leadsTo("a") || !got.leadsTo("b") || got.leadsTo("c") {
		t.Errorf("the way is %+v, want a and b", got)
	}
	if r.arrived(a, &m) != w {
		t.Error("equal ways are two")
	}
	r.leave(b2)
	if len(r.sides["b"]) != 1 || r.sides["b"][0] != b {
		t.Errorf("on b are %v, want the one that has not left", r.sides["b"])
	}
	r.leave(b)
	r.arrived(a, &m)
	r.leave(a)
	if len(r.sides) != 0 || len(r.ways) != 0 {
		t.Errorf("the ring holds %d buses and %d ways", len(r.sides), len(r.ways))
	}
}

func TestRunLeavesItsRing(t *testing.T) {
	defer Watch(t).Stop()
	h := hub.New(nil)
	defer h.Close()
	a, err := h.Open("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := h.Open("b", nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Close() // so Run ends
	var r Ring
	if err := Run(t.Context(), a, b, &Options{Ring: &r, A: Side{Name: "a"}, B: Side{Name: "b"}}); err == nil {
		t.Error("Run has returned no error")
	}
	if len(r.sides) != 0 || len(r.queues.queues) != 0 {
		t.Errorf("the ring holds %v and %d queues", r.sides, len(r.queues.queues))
	}
}
