package hubtest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/canhub-go/canhub/hub"
	"github.com/google/go-cmp/cmp"
)

// diff returns how got differs from want, a line for each frame in candump
// form, or "" if it does not.
func diff(want, got []hub.Message) string {
	if slices.EqualFunc(want, got, hub.Message.Equal) {
		return ""
	}
	// cmp uses Message.Equal too. It tells nil from empty, which is why both are
	// appended to something.
	r := &reporter{}
	cmp.Equal(append([]hub.Message{}, want...), append([]hub.Message{}, got...), cmp.Reporter(r))
	return r.String()
}

// text returns the candump form of m, and where that does not say everything
// the fields that matter.
func text(m hub.Message) string {
	s := m.String()
	if p, err := hub.Parse(s); err != nil || !p.Equal(m) {
		s += fmt.Sprintf(" (ID %#x, Flags %v, Len %d)", m.ID, m.Flags, m.Len)
	}
	return s
}

// A reporter collects the lines of a difference. The text of cmp.Diff is not
// stable and quotes each frame; this one can be pasted into a log file.
type reporter struct {
	path  cmp.Path
	lines []line
}

type line struct {
	mark  byte // ' ', '-' or '+'
	frame string
}

func (r *reporter) PushStep(s cmp.PathStep) { r.path = append(r.path, s) }

func (r *reporter) PopStep() { r.path = r.path[:len(r.path)-1] }

// Report is called for each message, or pair of messages.
func (r *reporter) Report(result cmp.Result) {
	want, got := r.path.Last().Values()
	if result.Equal() {
		r.lines = append(r.lines, line{' ', text(want.Interface().(hub.Message))})
		return
	}
	if want.IsValid() {
		r.lines = append(r.lines, line{'-', text(want.Interface().(hub.Message))})
	}
	if got.IsValid() {
		r.lines = append(r.lines, line{'+', text(got.Interface().(hub.Message))})
	}
}

const (
	around   = 3  // frames shown before and behind a difference
	maxLines = 30 // of a difference
)

// String returns the lines without long runs of equal frames.
func (r *reporter) String() string {
	var b strings.Builder
	shown := 0
	for i := 0; i < len(r.lines); {
		if shown >= maxLines {
			fmt.Fprintf(&b, "  ... and %d frames more\n", len(r.lines)-i)
			break
		}
		skip := r.boring(i)
		switch {
		case skip > 1:
			fmt.Fprintf(&b, "  ... %d equal frames ...\n", skip)
			i += skip
		default:
			fmt.Fprintf(&b, "%c %s\n", r.lines[i].mark, r.lines[i].frame)
			i++
		}
		shown++
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// boring returns how many frames from i on are equal and far from a difference.
func (r *reporter) boring(i int) int {
	for k := max(0, i-around); k < i; k++ {
		if r.lines[k].mark != ' ' {
			return 0
		}
	}
	end := i
	for end < len(r.lines) && r.lines[end].mark == ' ' {
		end++
	}
	if end < len(r.lines) {
		end -= around
	}
	return max(0, end-i)
}
