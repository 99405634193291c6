package main

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A sniffTable has a row for each identifier of each bus. Its methods may be
// called at the same time.
type sniffTable struct {
	mu       sync.Mutex
	rows     map[sniffKey]*sniffRow
	sorted   []*sniffRow // the same, as view has sorted them last
	messages uint64
	unshown  uint64 // messages that got no row
}

type sniffKey struct {
	bus  int
	id   uint32
	kind hub.Flags // of Extended and Error
}

// maxSniffRows bounds what identifiers that never come again may take: about
// 12 MB.
const maxSniffRows = 1 << 14

// A sniffRow is what is known of one identifier. A message of another length or
// kind is something new: the row starts again with it, its count too.
type sniffRow struct {
	sniffKey
	last   hub.Message
	count  uint64
	seen   time.Time // when the last one came
	at     int64     // its own time
	gaps   int       // that the period is made of, up to smoothing
	period float64   // in ns; NaN with less than two messages
	jitter float64   // how far from it the gaps are, in ns

	changed time.Time // when a byte did last
	lit     [64]int64 // when each byte did, in ns since 1970
	varied  [64]byte  // bits that have ever changed
	muted   [64]byte  // bits whose changes do not matter
}

// smoothing is how many gaps the period and the jitter look back.
const smoothing = 8

func newSniffTable() *sniffTable { return &sniffTable{rows: map[sniffKey]*sniffRow{}} }

func (t *sniffTable) add(now time.Time, bus int, m *hub.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.messages++
	key := sniffKey{bus, m.ID, m.Flags & (hub.Extended | hub.Error)}
	r := t.rows[key]
	if r == nil {
		if len(t.rows) == maxSniffRows {
			t.unshown++
			return
		}
		r = &sniffRow{sniffKey: key}
		t.rows[key] = r
		t.sorted = append(t.sorted, r)
	}
	r.add(now, m)
}

func (r *sniffRow) add(now time.Time, m *hub.Message) {
	const kind = hub.Remote | hub.FDF
	if m.Len != r.last.Len || (m.Flags^r.last.Flags)&kind != 0 {
		*r = sniffRow{sniffKey: r.sniffKey}
	}
	at := m.Timestamp
	if at == 0 {
		at = now.UnixNano()
	}
	if r.count == 0 {
		r.period = math.NaN()
	} else {
		r.gap(at - r.at)
		for i, b := range m.Bytes() {
			diff := b ^ r.last.Data[i]
			r.varied[i] |= diff
			if diff&^r.muted[i] != 0 {
				r.lit[i], r.changed = now.UnixNano(), now
			}
		}
	}
	r.count++
	r.last, r.seen, r.at = *m, now, at
}

// gap makes the period follow. A time that goes back, as where a log begins
// again, is no gap.
func (r *sniffRow) gap(ns int64) {
	if ns < 0 {
		return
	}
	if r.gaps++; r.gaps == 1 {
		r.period = float64(ns)
		return
	}
	weight := 1 / float64(min(r.gaps, smoothing))
	off := float64(ns) - r.period
	r.period += off * weight
	r.jitter += (math.Abs(off) - r.jitter) * weight
}

// rate returns messages per ns, 0 with less than two.
func (r *sniffRow) rate() float64 {
	if math.IsNaN(r.period) {
		return 0
	}
	return 1 / r.period
}

// A sniffSort is what rows are sorted by.
type sniffSort int

const (
	byID sniffSort = iota
	byCount
	byPeriod
	byChange
	sniffSorts
)

func (s sniffSort) String() string { return [...]string{"id", "count", "period", "last change"}[s] }

// compare sorts as s says, rows that are equal there by bus and identifier.
func (s sniffSort) compare(a, b *sniffRow) int {
	c := 0
	switch s {
	case byCount:
		c = cmp.Compare(b.count, a.count)
	case byPeriod:
		c = cmp.Compare(b.rate(), a.rate())
	case byChange:
		c = b.changed.Compare(a.changed)
	}
	return cmp.Or(c, cmp.Compare(a.bus, b.bus), cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id))
}

// view returns copies of up to n rows, the first of them number skip, or one
// nearer to the start if that is too far; and which it is.
func (t *sniffTable) view(s sniffSort, skip, n int) (rows []sniffRow, first int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.SortFunc(t.sorted, s.compare)
	first = max(0, min(skip, len(t.sorted)-n))
	for _, r := range t.sorted[first:min(first+n, len(t.sorted))] {
		rows = append(rows, *r)
	}
	return rows, first
}

// totals returns how many messages and rows there are, and the messages that got
// no row.
func (t *sniffTable) totals() (messages uint64, rows int, unshown uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.messages, len(t.rows), t.unshown
}

// clear forgets all rows.
func (t *sniffTable) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.rows)
	t.sorted, t.messages, t.unshown = nil, 0, 0
}

// mute makes changes of all bits that have changed up to now not matter, or of
// none.
func (t *sniffTable) mute(yes bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rows {
		if !yes {
			r.muted = [64]byte{}
			continue
		}
		r.muted = r.varied
		r.lit = [64]int64{}
	}
}

// clone returns a copy that stays as it is.
func (t *sniffTable) clone() *sniffTable {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &sniffTable{rows: make(map[sniffKey]*sniffRow, len(t.rows)), messages: t.messages, unshown: t.unshown}
	for k, r := range t.rows {
		copied := *r
		c.rows[k] = &copied
		c.sorted = append(c.sorted, &copied)
	}
	return c
}
