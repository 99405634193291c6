package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
)

// barColors are for 1, 8, 64 and 512 subscribers: neither too light for a white
// background nor too dark for a black one.
var barColors = [4]string{"#e3a008", "#e0563b", "#8b6fd6", "#1f9e89"}

const (
	chartWidth = 860
	labelWidth = 196
	rightEdge  = 812
	barHeight  = 9
	groupGap   = 13
	chartTop   = 92
)

// chart returns results.svg: for every contender a group of bars, one for each
// fan-out, that leave the line of the bare fan-out to the right (faster) or to
// the left (slower).
func (r *results) chart() []byte {
	type group struct {
		ct     *contender
		ratios [4]float64 // NaN where there is none
		lossy  bool
	}
	var groups []group
	low, high := 0.5, 2.0
	for _, ct := range r.contenders {
		g := group{ct: ct}
		some := false
		for i, w := range workloads[:4] {
			c := r.cells[w.name][ct.name]
			g.ratios[i] = math.NaN()
			if c.measured() && ct != bare {
				x := c.ratios.median()
				g.ratios[i], some = x, true
				g.lossy = g.lossy || c.lossy()
				low, high = min(low, x), max(high, x)
			}
		}
		if some {
			groups = append(groups, g)
		}
	}
	slices.SortStableFunc(groups, func(a, b group) int { // libraries: the fastest first
		if a.ct.kind != library || b.ct.kind != library {
			return int(a.ct.kind) - int(b.ct.kind)
		}
		return -cmpNaN(a.ratios[1], b.ratios[1])
	})
	first, last := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	x := func(ratio float64) float64 {
		return labelWidth + 10 + (math.Log10(ratio)-first)/(last-first)*(rightEdge-labelWidth-10)
	}
	bars := func(g group) int {
		n := 0
		for _, ratio := range g.ratios {
			if !math.IsNaN(ratio) {
				n++
			}
		}
		return n
	}
	height := chartTop
	for _, g := range groups {
		height += bars(g)*barHeight + groupGap
	}
	bottom := height
	height += 34

	var b bytes.Buffer
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	p(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="Deliveries per second relative to a bare chan fan-out">`, chartWidth, height, chartWidth, height)
	p(`<style>`)
	p(`text { font: 12px "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; fill: #7a828c }`)
	p(`.title { font-size: 15px; font-weight: bold } .ours { font-weight: bold } .value { font-size: 9px } .grid { stroke: #8c959f; stroke-opacity: .3 } .bare { stroke: #7a828c; stroke-width: 1.5 }`)
	p(`@media (prefers-color-scheme: light) { text { fill: #3d444d } .bare { stroke: #3d444d } }`)
	p(`@media (prefers-color-scheme: dark) { text { fill: #c9d1d9 } .bare { stroke: #c9d1d9 } }`)
	p(`</style>`)
	p(`<text class="title" x="16" y="26">Deliveries per second, relative to a bare chan fan-out</text>`)
	p(`<text x="16" y="45">log scale; one publisher, nothing lost; to the right of the line is faster than bare chans</text>`)
	for i, w := range workloads[:4] {
		lx := labelWidth + 10 + i*128
		p(`<rect x="%d" y="59" width="11" height="11" rx="2" fill="%s"/><text x="%d" y="69">%s</text>`, lx, barColors[i], lx+16, plural(w.job.subscribers, "subscriber"))
	}
	for e := first; e <= last; e++ {
		ratio := math.Pow(10, e)
		class := "grid"
		if e == 0 {
			class = "bare"
		}
		p(`<line class="%s" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, class, x(ratio), chartTop-8, x(ratio), bottom)
		label := fmt.Sprintf("%gx", ratio)
		if e == 0 {
			label = "bare chans"
		}
		p(`<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x(ratio), bottom+18, label)
	}
	y := chartTop
	for _, g := range groups {
		middle := y + bars(g)*barHeight/2 + 4
		class := "other"
		if g.ct.kind == hubKind {
			class = "ours"
		}
		name := g.ct.name
		if g.lossy {
			name += " *"
		}
		p(`<text class="%s" x="%d" y="%d" text-anchor="end">%s</text>`, class, labelWidth, middle, html.EscapeString(name))
		for i, ratio := range g.ratios {
			if math.IsNaN(ratio) {
				continue
			}
			from, to := x(1), x(ratio)
			left := min(from, to)
			p(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`, left, y, math.Abs(to-from), barHeight-1, barColors[i])
			if ratio >= 1 {
				p(`<text class="value" x="%.1f" y="%d">%s</text>`, to+3, y+barHeight-1, number(ratio))
			} else {
				p(`<text class="value" x="%.1f" y="%d" text-anchor="end">%s</text>`, to-3, y+barHeight-1, number(ratio))
			}
			y += barHeight
		}
		y += groupGap
	}
	for _, g := range groups {
		if g.lossy {
			p(`<text x="16" y="%d" class="value">* lossy: what arrived</text>`, bottom+18)
			break
		}
	}
	p(`</svg>`)
	return b.Bytes()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// cmpNaN compares floats, with NaN below all.
func cmpNaN(a, b float64) int {
	switch {
	case math.IsNaN(a) && math.IsNaN(b), a == b:
		return 0
	case math.IsNaN(a) || a < b:
		return -1
	}
	return 1
}
