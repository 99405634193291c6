package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The fan-out to one subscriber is measured in several processes, one after the
// other: what a process has once, as the place of its memory, does not decide
// alone then, and it takes long enough that what the machine does changes. A
// copy of this program is told by the environment what to do, and writes what
// came of it to its standard output.

// oneRunEnv is the job of such a copy.
const oneRunEnv = "CANHUB_BENCH_ONE_RUN"

// A runJob is what a copy is told.
type runJob struct {
	Target  time.Duration
	Fixed   uint64
	Repeats int
}

// A oneRun is what one copy has measured.
type oneRun struct {
	Recv, Batch float64 // deliveries per second, relative to bare chans: medians
	Line        float64 // nanoseconds; see measureLine
}

// oneRunMain is main of the copy.
func oneRunMain(line string) error {
	var rj runJob
	if err := json.Unmarshal([]byte(line), &rj); err != nil {
		return err
	}
	b := benchmark{harness: harness{patience: time.Minute, target: rj.Target, counts: make(map[string]uint64)}, fixed: rj.Fixed}
	var recv, batch series
	lines := []float64{measureLine()}
	w := workloads[0]
	before, err := b.measure(w, bare)
	if err != nil {
		return err
	}
	for range rj.Repeats {
		for _, m := range []struct {
			ct  *contender
			all *series
		}{{hubRecv, &recv}, {hubBatch, &batch}} {
			o, err := b.measure(w, m.ct)
			if err != nil {
				return err
			}
			after, err := b.measure(w, bare)
			if err != nil {
				return err
			}
			*m.all = append(*m.all, o.rate/math.Sqrt(before.rate*after.rate))
			before = after
		}
		lines = append(lines, measureLine())
	}
	return json.NewEncoder(os.Stdout).Encode(oneRun{recv.median(), batch.median(), median(lines)})
}

// measureLine returns how long a cache line takes from one processor to another:
// two goroutines on threads of their own wait for each other with a word in memory
// and no more. It returns 0 where there is one processor only.
func measureLine() float64 {
	if runtime.GOMAXPROCS(0) < 2 {
		return 0
	}
	best := math.Inf(1)
	for range 16 { // the shortest: in the others one of them was not running
		best = min(best, lineRound())
	}
	return best
}

func lineRound() float64 {
	const rounds = 500 // takes less than a turn on a processor
	var word struct {
		_ [128]byte // nothing else in its cache line, or the one that is fetched with it
		n atomic.Uint64
		_ [128]byte
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for n := uint64(1); n < 2*rounds; n += 2 {
			for word.n.Load() != n {
			}
			word.n.Store(n + 1)
		}
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := time.Now()
	for n := uint64(1); n < 2*rounds; n += 2 {
		word.n.Store(n)
		for word.n.Load() != n+1 {
		}
	}
	took := time.Since(start)
	<-answered
	return float64(took) / (2 * rounds)
}

// separateRuns has n copies measure, one after the other.
func (b *benchmark) separateRuns(n int) (all []oneRun, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(runJob{b.target, b.fixed, min(b.repeats, 3)})
	if err != nil {
		return nil, err
	}
	for range n {
		run, err := separateRun(exe, string(line))
		if err != nil {
			return nil, err
		}
		all = append(all, run)
		fmt.Fprintf(b.log, "  %-26s %8s  %s %s  a cache line %.0f ns\n", hubRecv.name, number(run.Recv), hubBatch.name, number(run.Batch), run.Line)
	}
	return all, nil
}

func separateRun(exe, line string) (r oneRun, err error) {
	ctx, cancel := context.WithTimeout(background, 2*time.Minute)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), oneRunEnv+"="+line)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return r, json.Unmarshal(out, &r)
}

// spread returns the smallest, the median and the largest of what of gives.
func spread(runs []oneRun, of func(oneRun) float64) (least, middle, most float64) {
	var x []float64
	for _, r := range runs {
		x = append(x, of(r))
	}
	return slices.Min(x), median(x), slices.Max(x)
}

func (r *results) runsTable(p printf) {
	if len(r.runs) == 0 {
		return
	}
	p("## One subscriber, in %d runs\n\n", len(r.runs))
	p("fan-out 1 once more, relative to bare chans, in %d processes one after the other; each figure is the median of its\n", len(r.runs))
	p("process. Where the two ends run at the same time, every message crosses from one processor to the other, and\n")
	p("how long a cache line takes for that is for the machine to say: a virtual one may move its processors apart, and\n")
	p("together again. So it is measured beside: the time from a store on one processor until the other one sees it.\n\n")
	row := func(name string, of func(oneRun) float64, format func(float64) string) {
		p("| %s |", name)
		for _, run := range r.runs {
			p(" %s |", format(of(run)))
		}
		least, middle, most := spread(r.runs, of)
		p(" %s | %s | %s |\n", format(least), format(middle), format(most))
	}
	p("| run |")
	for i := range r.runs {
		p(" %d |", i+1)
	}
	p(" minimum | median | maximum |\n|---%s|\n", strings.Repeat("|---:", len(r.runs)+3))
	row(hubRecv.name, recvOf, number)
	row(hubBatch.name, func(o oneRun) float64 { return o.Batch }, number)
	row("a cache line, ns", func(o oneRun) float64 { return o.Line }, func(x float64) string { return fmt.Sprintf("%.0f", x) })
	p("\n")
}

func recvOf(o oneRun) float64 { return o.Recv }
