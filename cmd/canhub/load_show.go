package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

// A loadScreen shows reports.
type loadScreen struct {
	a     *app
	json  bool
	names []string
	width int // of names

	tty   *os.File // drawn anew on, or nil
	last  map[string]report
	begun bool // the lines are there

	totals map[string]*loadTotal
}

// A loadTotal is the summary of one bus.
type loadTotal struct {
	intervals      int
	seconds        float64
	min, max, sum  float64 // load
	frames, errors int
	partial        bool // all there was is a partial interval
}

func newLoadScreen(a *app, asJSON bool, names []string) *loadScreen {
	s := &loadScreen{a: a, json: asJSON, names: names, last: map[string]report{}, totals: map[string]*loadTotal{}}
	for _, n := range names {
		s.width = max(s.width, len(n))
	}
	if !asJSON && canDraw(a.out) {
		f := a.out.(*os.File)
		if _, height, err := term.GetSize(int(f.Fd())); err == nil && len(names) < height {
			s.tty = f
		}
	}
	return s
}

func (s *loadScreen) add(r report) error {
	t := s.totals[r.Bus]
	if t == nil || t.partial && !r.Partial {
		t = &loadTotal{partial: r.Partial}
		s.totals[r.Bus] = t
	}
	if !r.Partial || t.partial {
		t.add(r)
	}
	switch {
	case s.json:
		b, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(s.a.out, "%s\n", b)
		return err
	case s.tty != nil:
		s.last[r.Bus] = r
		return s.redraw()
	default:
		_, err := fmt.Fprintln(s.a.out, s.line(r))
		return err
	}
}

func (t *loadTotal) add(r report) {
	if t.intervals == 0 || r.Load < t.min {
		t.min = r.Load
	}
	t.max = max(t.max, r.Load)
	t.sum += r.Load
	t.intervals++
	t.seconds += r.Seconds
	t.frames += r.Frames
	t.errors += r.Errors
}

// line shows one report.
func (s *loadScreen) line(r report) string {
	line := fmt.Sprintf("%-*s %8.0f frames/s %9.0f bit/s %6.1f %% %s",
		s.width, r.Bus, float64(r.Frames)/r.Seconds, float64(r.Bits)/r.Seconds, r.Load, loadBar(r.Load))
	if r.Errors > 0 {
		line += fmt.Sprintf(" errors %d (%.1f %%)", r.Errors, loadShare(r.Errors, r.Frames))
	}
	return line
}

// loadBar has one mark for 5 %, and one for the least that is there.
func loadBar(load float64) string {
	const width = 20
	marks := load*width/100 + 0.5
	if load > 0 {
		marks = max(marks, 1)
	}
	return bar(int(marks), width)
}

func loadShare(part, whole int) float64 { return 100 * float64(part) / float64(whole) }

// redraw writes the lines of all buses over the last ones, cut to the width of
// the window, for a line that wraps is two to go up.
func (s *loadScreen) redraw() error {
	var b strings.Builder
	if s.begun {
		fmt.Fprintf(&b, "\x1b[%dA", len(s.names))
	}
	s.begun = true
	for _, n := range s.names {
		line := n
		if r, ok := s.last[n]; ok {
			line = s.line(r)
		}
		fmt.Fprintf(&b, "\r%s\x1b[K\n", line[:min(len(line), width(s.tty)-1)])
	}
	_, err := s.tty.WriteString(b.String())
	return err
}

// end writes the summary.
func (s *loadScreen) end() error {
	if s.json {
		return nil
	}
	var b strings.Builder
	for _, n := range slices.DeleteFunc(slices.Clone(s.names), func(n string) bool { return s.totals[n] == nil }) {
		t := s.totals[n]
		fmt.Fprintf(&b, "%-*s min %.1f %%, average %.1f %%, max %.1f %% in %.6gs, %d frames",
			s.width, n, t.min, t.sum/float64(t.intervals), t.max, t.seconds, t.frames)
		if t.errors > 0 {
			fmt.Fprintf(&b, ", errors %d (%.1f %%)", t.errors, loadShare(t.errors, t.frames))
		}
		b.WriteByte('\n')
	}
	_, err := s.a.out.Write([]byte(b.String()))
	return err
}
