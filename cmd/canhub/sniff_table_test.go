package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

var sniffStart = time.Unix(1_700_000_000, 0)

// stamped returns m with the time that many ms after sniffStart.
func stamped(ms float64, m hub.Message) hub.Message {
	m.Timestamp = sniffStart.UnixNano() + int64(ms*1e6)
	return m
}

// fill adds messages of bus 0 that come when they say.
func fill(t *sniffTable, messages ...hub.Message) {
	for _, m := range messages {
		t.add(m.Time(), 0, &m)
	}
}

// only returns the one row of a table.
func only(t *testing.T, table *sniffTable) sniffRow {
	t.Helper()
	rows, _ := table.view(byID, 0, 10)
	if len(rows) != 1 {
		t.Fatalf("%d rows, want 1", len(rows))
	}
	return rows[0]
}

func TestSniffHasARowForEachBusAndIdentifier(t *testing.T) {
	table := newSniffTable()
	errorFrame := hub.Message{ID: 0x123, Flags: hub.Error, Len: 8}
	for bus, messages := range [][]hub.Message{
		{hub.Ext(0x123), hub.Std(0x200), hub.Std(0x123), errorFrame, hub.Std(0x123)},
		{hub.Std(0x123)},
	} {
		for _, m := range messages {
			table.add(sniffStart, bus, &m)
		}
	}
	rows, _ := table.view(byID, 0, 10)
	var got []string
	for _, r := range rows {
		got = append(got, idText(r.id, r.kind)+sniffFlagText(r.last.Flags)+" "+string(rune('0'+r.bus))+" "+string(rune('0'+r.count)))
	}
	want := []string{"123 0 2", "200 0 1", "00000123 0 1", "20000123E 0 1", "123 1 1"}
	if !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
	if messages, n, unshown := table.totals(); messages != 6 || n != 5 || unshown != 0 {
		t.Errorf("totals %d %d %d, want 6 5 0", messages, n, unshown)
	}
}

func TestSniffCountBeginsAnewWithAnotherLengthOrKind(t *testing.T) {
	table := newSniffTable()
	fill(table, stamped(0, hub.Std(1, 1, 2, 3)), stamped(10, hub.Std(1, 1, 2, 4)))
	if r := only(t, table); r.count != 2 || r.lit[2] == 0 {
		t.Errorf("count %d, lit %d, want 2 and lit", r.count, r.lit[2])
	}
	for _, m := range []hub.Message{hub.Std(1, 9, 9), hub.FD(1, 9, 9), hub.RTR(1, 2)} {
		fill(table, stamped(20, m))
		r := only(t, table)
		if r.count != 1 || !math.IsNaN(r.period) || r.lit != [64]int64{} || r.last != stamped(20, m) {
			t.Errorf("%v: count %d, period %v, lit %v, want a new row", m, r.count, r.period, r.lit)
		}
	}
}

func TestSniffPeriodIsSmoothed(t *testing.T) {
	table := newSniffTable()
	at := 0.0
	fill(table, stamped(at, hub.Std(1)))
	if r := only(t, table); !math.IsNaN(r.period) {
		t.Errorf("the period of one message is %v", r.period)
	}
	for range 20 {
		at += 10
		fill(table, stamped(at, hub.Std(1)))
	}
	r := only(t, table)
	if r.period != 10e6 || r.jitter != 0 {
		t.Errorf("period %v, jitter %v, want 1e+07 and 0", r.period, r.jitter)
	}
	at += 18
	fill(table, stamped(at, hub.Std(1)))
	if r = only(t, table); r.period != 11e6 || r.jitter != 1e6 {
		t.Errorf("period %v, jitter %v after a gap of 18 ms, want 1.1e+07 and 1e+06", r.period, r.jitter)
	}
	fill(table, stamped(0, hub.Std(1))) // the log begins again
	if back := only(t, table); back.period != r.period || back.jitter != r.jitter {
		t.Errorf("period %v, jitter %v after a time that went back", back.period, back.jitter)
	}
}

func TestSniffMutesBitsThatHaveChanged(t *testing.T) {
	table := newSniffTable()
	fill(table, stamped(0, hub.Std(1, 0, 0)), stamped(1, hub.Std(1, 1, 0)))
	table.mute(true)
	if r := only(t, table); r.lit[0] != 0 {
		t.Error("a muted byte stays lit")
	}
	fill(table, stamped(2, hub.Std(1, 0, 0)))
	if r := only(t, table); r.lit[0] != 0 || r.muted[0] != 1 {
		t.Error("a muted bit lit its byte")
	}
	fill(table, stamped(3, hub.Std(1, 3, 0)))
	if r := only(t, table); r.lit[0] != stamped(3, hub.Message{}).Timestamp {
		t.Error("another bit of the byte did not light it")
	}
	table.mute(false)
	fill(table, stamped(4, hub.Std(1, 2, 0)))
	if r := only(t, table); r.lit[0] != stamped(4, hub.Message{}).Timestamp {
		t.Error("after the end of muting a bit did not light its byte")
	}
}

func TestSniffSorts(t *testing.T) {
	table := newSniffTable()
	fill(table,
		stamped(0, hub.Std(3, 1)), stamped(5, hub.Std(3, 2)),
		stamped(0, hub.Std(1, 1)), stamped(20, hub.Std(1, 1)), stamped(40, hub.Std(1, 1)),
		stamped(0, hub.Std(2, 1)),
	)
	tests := []struct {
		by   sniffSort
		want []uint32
	}{
		{byID, []uint32{1, 2, 3}},
		{byCount, []uint32{1, 3, 2}},
		{byPeriod, []uint32{3, 1, 2}},
		{byChange, []uint32{3, 1, 2}},
	}
	for _, tt := range tests {
		rows, _ := table.view(tt.by, 0, 10)
		var got []uint32
		for _, r := range rows {
			got = append(got, r.id)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("by %v: %v, want %v", tt.by, got, tt.want)
		}
	}
}

func TestSniffScrollsNoFartherThanTheEnd(t *testing.T) {
	table := newSniffTable()
	for id := range uint32(10) {
		fill(table, stamped(0, hub.Std(id)))
	}
	for _, tt := range []struct{ skip, n, first, rows int }{
		{0, 4, 0, 4}, {3, 4, 3, 4}, {8, 4, 6, 4}, {1 << 30, 4, 6, 4}, {5, 20, 0, 10}, {2, 0, 2, 0},
	} {
		rows, first := table.view(byID, tt.skip, tt.n)
		if first != tt.first || len(rows) != tt.rows {
			t.Errorf("view(%d, %d): %d rows from %d, want %d from %d", tt.skip, tt.n, len(rows), first, tt.rows, tt.first)
		}
	}
}

func TestSniffBoundsItsRowsAndCountsTheRest(t *testing.T) {
	table := newSniffTable()
	for id := range uint32(maxSniffRows + 10) {
		fill(table, stamped(0, hub.Ext(id)))
	}
	fill(table, stamped(1, hub.Ext(5)))
	messages, rows, unshown := table.totals()
	if messages != maxSniffRows+11 || rows != maxSniffRows || unshown != 10 {
		t.Errorf("%d messages, %d rows, %d unshown", messages, rows, unshown)
	}
	table.clear()
	if messages, rows, unshown := table.totals(); messages != 0 || rows != 0 || unshown != 0 {
		t.Errorf("after clear: %d messages, %d rows, %d unshown", messages, rows, unshown)
	}
}

func TestSniffCloneStaysAsItIs(t *testing.T) {
	table := newSniffTable()
	fill(table, stamped(0, hub.Std(1, 1)))
	c := table.clone()
	fill(table, stamped(1, hub.Std(1, 2)), stamped(1, hub.Std(2)))
	if r := only(t, c); r.count != 1 || r.last.Data[0] != 1 {
		t.Errorf("the copy went on: %v, count %d", r.last, r.count)
	}
}

func BenchmarkSniffAdd(b *testing.B) {
	table := newSniffTable()
	m := stamped(0, hub.Std(0, 1, 2, 3, 4, 5, 6, 7, 8))
	b.ReportAllocs()
	for b.Loop() {
		m.ID = (m.ID + 1) % 2000
		m.Data[0]++
		m.Timestamp += 1000
		table.add(sniffStart, 0, &m)
	}
}

func BenchmarkSniffView(b *testing.B) {
	table := newSniffTable()
	for id := range uint32(5000) {
		fill(table, stamped(0, hub.Ext(id*7919%5003)), stamped(float64(id), hub.Ext(id*7919%5003)))
	}
	for _, by := range []sniffSort{byID, byPeriod} {
		b.Run(by.String(), func(b *testing.B) {
			for b.Loop() {
				table.view(by, 0, 50)
			}
		})
	}
}
