package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files returns the names in a folder.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		names = append(names, f.Name())
	}
	return names
}

// cutGzip writes a compressed log of n entries without its end.
func cutGzip(t *testing.T, path string, n int) {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for i := range n {
		fmt.Fprintf(z, "(%d.000000) can0 123#%08X\n", i, uint32(i)*2654435761)
	}
	z.Close()
	write(t, path, b.String()[:b.Len()/2])
}

// newConversion returns one between files in a new folder, and what it says.
func newConversion(t *testing.T, from, to string) (*conversion, *bytes.Buffer) {
	var said bytes.Buffer
	return &conversion{
		log:    logReading{path: from, loops: 1, talk: &talker{out: &said}},
		path:   to,
		stdout: io.Discard,
	}, &said
}

func TestAFailedConversionLeavesNoPartOfAFile(t *testing.T) {
	for _, there := range []bool{false, true} {
		in, out := filepath.Join(t.TempDir(), "in.log.gz"), t.TempDir()
		cutGzip(t, in, 5000)
		path := filepath.Join(out, "out.log")
		var want []string
		if there {
			write(t, path, "precious")
			want = []string{"out.log"}
		}
		c, _ := newConversion(t, in, path)
		c.force = there
		if err := c.run(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), in+":") {
			t.Errorf("run = %v, want an error of the end, with its place", err)
		}
		if diff := cmp.Diff(want, files(t, out)); diff != "" {
			t.Errorf("files, -want +got:\n%s", diff)
		}
		if there && read(t, path) != "precious" {
			t.Error("the file that was there is gone")
		}
	}
}

func TestAnInterruptedConversionLeavesNoPartOfAFile(t *testing.T) {
	in, out := filepath.Join(t.TempDir(), "in.log"), t.TempDir()
	write(t, in, strings.Repeat("(1.000000) can0 123#\n", 10000))
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := newConversion(t, in, filepath.Join(out, "out.log"))
	c.began = cancel
	if err := c.run(ctx); err != context.Canceled {
		t.Errorf("run = %v, want the ctx's error", err)
	}
	if got := files(t, out); len(got) > 0 {
		t.Errorf("there is %v", got)
	}
}

func TestAConversionOfNothingCanBeInterrupted(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in.log")
	write(t, in, strings.Repeat("rubbish\n(1.000000) can0 123#\n", 1000))
	ctx, cancel := context.WithCancel(t.Context())
	c, _ := newConversion(t, in, "-")
	c.log.sel, _ = parseSelection("--filter", []string{"7FF"})
	c.began = cancel
	if err := c.run(ctx); err != context.Canceled || c.log.unread.n > 1 {
		t.Errorf("run = %v, %d bad lines, want the ctx's error at once", err, c.log.unread.n)
	}
}

// A live log, as from candump in a pipe, has no other end.
func TestAnInterruptEndsALiveLogInGoodOrder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.log")
	pipe, feed := io.Pipe()
	defer feed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, _ := newConversion(t, "-", out)
	c.log.in = pipe
	done := make(chan error)
	go func() { done <- c.run(ctx) }()
	// A write to the pipe ends when it is read; the second one when what came
	// before has been passed on.
	for range 2 {
		if _, err := io.WriteString(feed, "(1.000000) can0 123#\n"); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := read(t, out); !strings.HasPrefix(got, "(0000000001.000000) can0 123#\n") {
		t.Errorf("written %q", got)
	}
}

func TestAFileThatAppearsMeanwhileIsNotReplaced(t *testing.T) {
	in, out := filepath.Join(t.TempDir(), "in.log"), filepath.Join(t.TempDir(), "out.log")
	write(t, in, "(1.000000) can0 123#\n")
	c, _ := newConversion(t, in, out)
	c.began = func() { write(t, out, "precious") }
	if err := c.run(t.Context()); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("run = %v", err)
	}
	if got := read(t, out); got != "precious" {
		t.Errorf("it is %q now", got)
	}
}

func TestAReplacedFileKeepsItsMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("it has other modes")
	}
	for _, mode := range []os.FileMode{0o600, 0o666, 0o444} {
		in, out := filepath.Join(t.TempDir(), "in.log"), filepath.Join(t.TempDir(), "out.log")
		write(t, in, "(1.000000) can0 123#\n")
		write(t, out, "")
		if err := os.Chmod(out, mode); err != nil {
			t.Fatal(err)
		}
		c, _ := newConversion(t, in, out)
		c.force = true
		if err := c.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(out); err != nil || info.Mode().Perm() != mode || info.Size() == 0 {
			t.Errorf("%v, %v, want %v", info.Mode(), err, mode)
		}
	}
}

func TestAWriteErrorEndsAConversion(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in.log")
	write(t, in, strings.Repeat("(1.000000) can0 123#\n", 10000))
	c, _ := newConversion(t, in, "-")
	c.stdout = fullDisk{}
	if err := c.run(t.Context()); !errors.Is(err, errNoSpace) {
		t.Errorf("run = %v, want the writer's error", err)
	}
}

var errNoSpace = errors.New("disk full")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errNoSpace }

func TestManyReasonsAreCountedTogether(t *testing.T) {
	c, said := newConversion(t, "", "out.csv")
	for i := range 1000 {
		c.refuse(canlog.Entry{Channel: "can0", Message: hub.Std(1)}, fmt.Errorf("%w: reason %d", canlog.ErrRefused, i%500))
	}
	c.summarize(time.Second)
	for _, want := range []string{
		"1000 entries that out.csv cannot hold", "refused, 2 entries: reason 19\n", "refused, 960 entries: other reasons\n",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("not said: %s", want)
		}
	}
	if n := strings.Count(said.String(), "\n"); n != 20+1+21 {
		t.Errorf("%d lines", n)
	}
}

// An operation is a candump log of 100,000 entries.
func BenchmarkConvert(b *testing.B) {
	in := filepath.Join(b.TempDir(), "in.log")
	var text strings.Builder
	const n = 100000
	for i := range n {
		fmt.Fprintf(&text, "(%d.%06d) can%d %03X#%016X\n", 1700000000+i/1000, i%1000, i%2, i%2048, uint64(i)*0x9E3779B97F4A7C15)
	}
	write(b, in, text.String())
	for b.Loop() {
		c := &conversion{
			log:  logReading{path: in, loops: 1, talk: &talker{out: io.Discard}},
			path: "-", stdout: io.Discard,
		}
		if err := c.run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
