package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
)

const frames = 4190 // in drive.log

// checkTables fails the test unless the rows of each table add up to its last
// one, and those to the last line, which must say that so many were played and
// none was lost.
func checkTables(t *testing.T, out string, frames int) {
	t.Helper()
	total, sum, share := 0, 0, 0.0
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) != 4 || f[1] == "frames" {
			continue
		}
		count, err := strconv.Atoi(f[1])
		if err != nil {
			continue
		}
		percent, _ := strconv.ParseFloat(f[3], 64) // or "-"
		if f[0] != "all" {
			sum += count
			share += percent
			continue
		}
		if count != sum || share < percent-0.2 || share > percent+0.2 {
			t.Errorf("rows add up to %d frames and %.2f %%, the last one says %d and %.2f", sum, share, count, percent)
		}
		total += count
		sum, share = 0, 0
	}
	if total != frames {
		t.Errorf("the tables have %d frames, want %d", total, frames)
	}
	last := fmt.Sprintf("\n%d frames played, %d received, none lost\n", frames, frames)
	if !strings.HasSuffix(out, last) {
		t.Errorf("printed:\n%swant at the end:%s", out, last)
	}
}

func TestAsFastAsPossibleNothingIsLost(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-speed", "0"}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit code %d, stderr:\n%s", code, &stderr)
	}
	checkTables(t, stdout.String(), frames)
}

func TestPaceIsThatOfTheLog(t *testing.T) {
	for _, c := range []struct {
		speed string
		want  time.Duration
		lines int // that status prints
	}{
		{"1", 9_990 * time.Millisecond, 9},
		{"2", 4_995 * time.Millisecond, 4},
		{"0.1", 99_900 * time.Millisecond, 99},
	} {
		t.Run(c.speed, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var stdout, stderr bytes.Buffer
				if code := run(t.Context(), []string{"-speed", c.speed}, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
					t.Errorf("exit code %d, stderr:\n%s", code, &stderr)
				}
				checkTables(t, stdout.String(), frames)
				if took := time.Since(begin); took != c.want {
					t.Errorf("took %v, want %v", took, c.want)
				}
				if n := strings.Count(stdout.String(), " s  status  "); n != c.lines {
					t.Errorf("%d lines of status, want %d:\n%s", n, c.lines, &stdout)
				}
				if !strings.HasPrefix(stdout.String(), "  0.0 s  watch   0C0#") {
					t.Errorf("nothing to be seen at once:\n%s", &stdout)
				}
			})
		})
	}
}

func TestCtrlCEndsItWithTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Not a time at which a frame is due: it would have an even chance.
		ctx, cancel := context.WithTimeout(t.Context(), 2499*time.Millisecond)
		defer cancel()
		begin := time.Now()
		var stdout, stderr bytes.Buffer
		if code := run(ctx, nil, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("exit code %d, stderr:\n%s", code, &stderr)
		}
		if took := time.Since(begin); took != 2499*time.Millisecond {
			t.Errorf("took %v, want 2.499s", took)
		}
		checkTables(t, stdout.String(), 1050)
	})
}

// write makes a log and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.log")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadLinesAreToldAndSkipped(t *testing.T) {
	path := write(t, `(100.000000) can0 123#AABB
(100.000500) can0 123#AAB
what is this?
(100.010000) can0 123#CCDD
(100.010000) can1 18FEF100##1AABB
`)
	t.Chdir(filepath.Dir(path))
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"-speed", "0", "test.log"}, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d", code)
	}
	checkTables(t, stdout.String(), 3)
	for _, want := range []string{"quickstart: canlog: test.log:2:", "test.log:3:", "quickstart: 2 lines are no frames\n"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr, want %q in it:\n%s", want, &stderr)
		}
	}
	for _, want := range []string{"\ncan0, ", "     123        2         10.0", "\ncan1, ", "18FEF100        1            -"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("stdout, want %q in it:\n%s", want, &stdout)
		}
	}
}

func TestErrorsAndExitCodes(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.log")
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{missing}, 1, "quickstart: canlog: open " + missing},
		{[]string{t.TempDir()}, 1, "quickstart: canlog: open "},
		{[]string{write(t, "")}, 1, "quickstart: the log has no frames\n"},
		{[]string{write(t, strings.Repeat("?\n", 100))}, 1, "quickstart: 100 lines are no frames\nquickstart: the log has no frames\n"},
		{[]string{"-x"}, 2, "quickstart: flag provided but not defined: -x"},
		{[]string{"-speed", "-1"}, 2, "quickstart: -speed -1: want 0, or "},
		{[]string{"-speed", "NaN"}, 2, "quickstart: -speed NaN: want 0, or "},
		{[]string{"-speed", "fast"}, 2, `quickstart: invalid value "fast" for flag -speed`},
		{[]string{"a.log", "b.log"}, 2, "quickstart: want one log at most"},
		{[]string{"a.log", "-speed", "2"}, 2, "quickstart: want one log at most, behind the flags"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), c.args, &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("%q: exit code %d, want %d; stderr, want %q:\n%s", c.args, code, c.code, c.stderr, &stderr)
		}
	}
}

func TestHelpShowsAnExample(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"-h"}, &stdout, &stderr)
	if code != 0 || stderr.Len() > 0 || !strings.Contains(stdout.String(), "\n  go run ./examples/quickstart -speed 10 my.log\n") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, &stderr, &stdout)
	}
}

// What happens when the bus does lose something: here the recorder has a queue
// of one, and drops.
func TestLossIsTold(t *testing.T) {
	h := hub.New(nil)
	s, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1, Policy: hub.DropOldest})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if err := tx.Send(t.Context(), hub.Std(0x100, byte(i))); err != nil {
			t.Fatal(err)
		}
	}
	h.Close()
	r := &recorder{sub: s, sender: tx, rows: make(map[hub.Message]*row)}
	r.record()
	var out strings.Builder
	lost, err := (&listeners{recorders: []*recorder{r}}).report(&out)
	if !lost || err != nil || !strings.HasSuffix(out.String(), "\n10 frames played, 1 received, 9 lost\n") {
		t.Errorf("lost %v, error %v, printed:\n%s", lost, err, &out)
	}
}

func TestWireBits(t *testing.T) {
	long := hub.Ext(0x18FEF100, 1, 2, 3, 4, 5, 6, 7, 8)
	fd, fd64 := hub.FD(0x460, make([]byte, 16)...), hub.FD(0x18FEF100, make([]byte, 64)...)
	for _, c := range []struct {
		m    hub.Message
		want int
	}{
		{hub.Std(0x123), 47},
		{hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8), 111},
		{hub.RTR(0x123, 8), 47},
		{long, 131},
		{fd, 62 + 128},
		{fd64, 86 + 512},
	} {
		if got := wireBits(&c.m); got != c.want {
			t.Errorf("%v: %d bits, want %d", c.m, got, c.want)
		}
	}
}
