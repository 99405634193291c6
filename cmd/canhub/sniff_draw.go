package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/color"
)

// litFor is how long a byte that has changed is lit.
const litFor = time.Second

// A sniffColumn is one with a text of fixed width.
type sniffColumn struct {
	title string
	width int
	text  func(r *sniffRow, now time.Time) string
}

var (
	sniffCount  = &sniffColumn{"COUNT", 8, func(r *sniffRow, _ time.Time) string { return fmt.Sprint(r.count) }}
	sniffAge    = &sniffColumn{"AGE s", 6, func(r *sniffRow, now time.Time) string { return sniffDecimal(now.Sub(r.seen).Seconds(), 6) }}
	sniffPeriod = &sniffColumn{"PERIOD", 8, func(r *sniffRow, _ time.Time) string { return sniffDecimal(r.period/1e6, 8) }}
	sniffJitter = &sniffColumn{"JITTER", 7, func(r *sniffRow, _ time.Time) string {
		if r.gaps < 2 {
			return ""
		}
		return sniffDecimal(r.jitter/1e6, 7)
	}}
	sniffID    = &sniffColumn{"ID", 8, func(r *sniffRow, _ time.Time) string { return idText(r.id, r.kind) }}
	sniffFlags = &sniffColumn{"FLAG", 4, func(r *sniffRow, _ time.Time) string { return sniffFlagText(r.last.Flags) }}
	sniffLen   = &sniffColumn{"LN", 2, func(r *sniffRow, _ time.Time) string { return fmt.Sprint(r.last.Len) }}

	sniffOrder      = []*sniffColumn{sniffCount, sniffAge, sniffPeriod, sniffJitter, sniffID, sniffFlags, sniffLen}
	sniffImportance = []*sniffColumn{sniffID, sniffLen, sniffPeriod, sniffCount, sniffFlags, sniffAge, sniffJitter}
)

// sniffDecimal writes v with as many decimals as are of use and fit.
func sniffDecimal(v float64, width int) string {
	switch {
	case math.IsNaN(v):
		return ""
	case v < 0:
		v = 0 // a clock that was set back
	}
	for _, decimals := range []int{1, 0} {
		if s := fmt.Sprintf("%.*f", decimals, v); len(s) <= width {
			return s
		}
	}
	return strings.Repeat("+", width)
}

func sniffFlagText(f hub.Flags) string {
	var b []byte
	for _, flag := range []struct {
		f    hub.Flags
		mark byte
	}{{hub.Error, 'E'}, {hub.Remote, 'R'}, {hub.FDF, 'F'}, {hub.BRS, 'B'}, {hub.ESI, 'S'}} {
		if f&flag.f != 0 {
			b = append(b, flag.mark)
		}
	}
	return string(b)
}

// A sniffFrame is all that is drawn at one moment.
type sniffFrame struct {
	status string // the top line
	help   string // the bottom line, if any
	buses  []string
	rows   []sniffRow
	now    time.Time
}

// sniffRows returns how many rows have room on a screen of that height.
func sniffRows(height int, help string) int {
	n := height - 2 // status and titles
	if help != "" {
		n--
	}
	return max(0, n)
}

// draw fills the screen, whatever its size.
func (f *sniffFrame) draw(screen tcell.Screen) {
	screen.Clear()
	width, height := screen.Size()
	title := tcell.StyleDefault.Reverse(true)
	put := func(x, y int, text string, style tcell.Style) {
		if x < width {
			screen.PutStrStyled(x, y, text[:min(len(text), width-x)], style)
		}
	}
	put(0, 0, f.status, tcell.StyleDefault.Bold(true))

	busWidth := 0
	if len(f.buses) > 1 {
		for _, b := range f.buses {
			busWidth = max(busWidth, len(b))
		}
		busWidth = min(busWidth, 16, width/4)
	}
	columns, x := f.columns(width, busWidth)
	ascii := f.asciiAt(x, width)

	put(0, 1, strings.Repeat(" ", width), title)
	if busWidth > 0 {
		put(0, 1, fmt.Sprintf("%-.*s", busWidth, "BUS"), title)
	}
	at := x
	for i := len(columns) - 1; i >= 0; i-- {
		c := columns[i]
		at -= c.width + 1
		put(at, 1, fmt.Sprintf("%*s", c.width, c.title), title)
	}
	put(x, 1, "DATA", title)
	if ascii > 0 {
		put(ascii, 1, "ASCII", title)
	}

	for i := range f.rows {
		r, y := &f.rows[i], i+2
		if busWidth > 0 {
			put(0, y, fmt.Sprintf("%.*s", busWidth, f.buses[r.bus]), tcell.StyleDefault)
		}
		at := x
		for i := len(columns) - 1; i >= 0; i-- {
			c := columns[i]
			at -= c.width + 1
			put(at, y, fmt.Sprintf("%*s", c.width, c.text(r, f.now)), tcell.StyleDefault)
		}
		f.data(put, r, x, y, ascii, width, screen.Colors() > 0)
	}
	if f.help != "" && height > 2 {
		put(0, height-1, strings.Repeat(" ", width), title)
		put(0, height-1, f.help, title)
	}
}

const dataOf8 = 3 * 8

// columns returns those that fit beside eight data bytes, the most important
// ones first, in the order in which they stand, and where the data begins.
func (f *sniffFrame) columns(width, busWidth int) (columns []*sniffColumn, x int) {
	if busWidth > 0 {
		x = busWidth + 1
	}
	wanted := map[*sniffColumn]bool{}
	for i, c := range sniffImportance {
		limit := width
		if c == sniffJitter {
			limit -= 8 + 1 // the ASCII column comes before it
		}
		if i > 0 && x+c.width+1+dataOf8 > limit {
			break
		}
		wanted[c] = true
		x += c.width + 1
	}
	for _, c := range sniffOrder {
		if wanted[c] {
			columns = append(columns, c)
		}
	}
	return columns, x
}

// asciiAt returns where the ASCII column begins, or 0 if the longest data leaves
// no room for it.
func (f *sniffFrame) asciiAt(x, width int) int {
	longest := 8
	for i := range f.rows {
		longest = max(longest, len(f.rows[i].last.Bytes()))
	}
	if at := x + 3*longest; at+longest <= width {
		return at
	}
	return 0
}

// data draws the bytes of a row. Those that have changed are lit, those whose
// bits are all muted are dim.
func (f *sniffFrame) data(put func(x, y int, text string, style tcell.Style), r *sniffRow, x, y, ascii, width int, colors bool) {
	if r.last.Flags&hub.Remote != 0 {
		put(x, y, "remote request", tcell.StyleDefault)
		return
	}
	bytes := r.last.Bytes()
	for i, b := range bytes {
		at := x + 3*i
		if more := i < len(bytes)-1; at+2 > width || more && at+3 > width {
			if at >= width {
				at-- // behind the byte before
			}
			put(at, y, ">", tcell.StyleDefault) // and more
			break
		}
		style := tcell.StyleDefault
		switch {
		case r.lit[i] != 0 && f.now.UnixNano()-r.lit[i] < int64(litFor):
			if style = style.Bold(true); colors {
				style = style.Foreground(color.Red)
			} else {
				style = style.Reverse(true)
			}
		case r.muted[i] != 0:
			style = style.Dim(true)
		}
		put(at, y, fmt.Sprintf("%02X", b), style)
		if ascii > 0 {
			put(ascii+i, y, string(printable(b)), style)
		}
	}
}
