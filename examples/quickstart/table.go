package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/canhub-go/canhub/hub"
)

// A recorder counts all messages of a channel.
type recorder struct {
	sub, sender *hub.Subscriber
	rows        map[hub.Message]*row // by a message of identifier and kind alone
	all         row
	last, lost  uint64 // the last number, and how many numbers were missing
}

type row struct {
	count, bits int
	first, last int64 // timestamps
}

// record ends when the hub is closed and everything has been received.
func (r *recorder) record() {
	for {
		batch, err := r.sub.RecvBatch(context.Background())
		if err != nil {
			return
		}
		for i := range batch {
			r.add(&batch[i])
		}
	}
}

// add counts m. Messages are numbered from 1, so a number that is passed over
// is a message that was lost.
func (r *recorder) add(m *hub.Message) {
	r.lost += m.Seq - r.last - 1
	r.last = m.Seq
	key := hub.Message{ID: m.ID, Flags: m.Flags & (hub.Extended | hub.Error)}
	if r.rows[key] == nil {
		r.rows[key] = &row{}
	}
	for _, w := range []*row{r.rows[key], &r.all} {
		if w.count++; w.count == 1 {
			w.first = m.Timestamp
		}
		w.last = m.Timestamp
		w.bits += wireBits(m)
	}
}

const bitRate = 500_000

// wireBits returns how many bits the frame m takes on the wire, the gap of
// three behind it included, but not the stuff bits: those depend on the data,
// and at worst there are a fifth as many. From the frame layout of ISO 11898-1.
func wireBits(m *hub.Message) int {
	bits, extended := 47+8*len(m.Bytes()), 20
	if m.Flags&hub.FDF != 0 {
		bits, extended = 62+8*len(m.Bytes()), 19
		if m.Len > 16 {
			bits += 5 // of a longer CRC
		}
	}
	switch {
	case m.Flags&hub.Error != 0:
		return 20 // flags 6 to 12, delimiter 8, gap 3
	case m.Flags&hub.Extended != 0:
		return bits + extended
	}
	return bits
}

// report prints the tables and the sum, and returns whether a frame was lost.
func (l *listeners) report(w io.Writer) (lost bool, err error) {
	var text strings.Builder
	var played, received, missing uint64
	for _, r := range l.recorders {
		r.table(&text)
		sent := r.sender.Stats().Sent
		played += sent
		received += uint64(r.all.count)
		missing += r.lost + sent - r.last
	}
	for _, s := range l.others {
		missing += s.Stats().Dropped
	}
	fmt.Fprintf(&text, "\n%d frames played, %d received, ", played, received)
	lost = missing > 0 || played != received
	if lost {
		fmt.Fprintf(&text, "%d lost\n", missing)
	} else {
		fmt.Fprintln(&text, "none lost")
	}
	_, err = io.WriteString(w, text.String())
	return lost, err
}

// table prints a row for each identifier, with its share of what a bus can
// carry from the first frame of the log to the last.
func (r *recorder) table(text *strings.Builder) {
	fmt.Fprintf(text, "\n%s, as a bus of %d kbit/s, not counting stuff bits:\n", r.sub.Channel(), bitRate/1000)
	fmt.Fprintf(text, "%8s %8s %12s %11s\n", "id", "frames", "period (ms)", "of bus (%)")
	line := func(name string, w *row) {
		period, share := "-", "-"
		if w.count > 1 {
			period = fmt.Sprintf("%.1f", float64(w.last-w.first)/1e6/float64(w.count-1))
		}
		if d := r.all.last - r.all.first; d > 0 {
			share = fmt.Sprintf("%.2f", 100*float64(w.bits)/bitRate/(float64(d)/1e9))
		}
		fmt.Fprintf(text, "%8s %8d %12s %11s\n", name, w.count, period, share)
	}
	order := func(a, b hub.Message) int { return cmp.Or(cmp.Compare(a.Flags, b.Flags), cmp.Compare(a.ID, b.ID)) }
	for _, key := range slices.SortedFunc(maps.Keys(r.rows), order) {
		name, _, _ := strings.Cut(key.String(), "#")
		line(name, r.rows[key])
	}
	line("all", &r.all)
}
