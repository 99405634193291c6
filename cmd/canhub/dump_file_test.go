package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/google/go-cmp/cmp"
)

// readLog returns the log's frames, with their channels.
func readLog(t *testing.T, path string) (got []string) {
	t.Helper()
	r, err := canlog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for e, err := range r.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Channel+" "+e.Message.String())
	}
	return got
}

func TestDumpRecordsWhatItShows(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, name := range []string{"x.log", "x.log.gz", "x.asc", "x.blf", "x.trc"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.d.out = nil
		var err error
		if b.d.files, err = createLogs(paths, b.buses, &b.errs); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := b.start(ctx)
		b.send(t, 0, "123#01")
		synctest.Wait()
		b.send(t, 1, "00000124#R2")
		synctest.Wait()
		time.Sleep(saveAfter) // then it is there for who reads along
		synctest.Wait()
		want := []string{"front 123#01", "rear 00000124#R2"}
		if diff := cmp.Diff(want, readLog(t, paths[0])); diff != "" {
			t.Errorf("while it is written: %s", diff)
		}
		stop()
		if err := errors.Join(<-ended, closeLogs(b.d.files)); err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			want := want
			if ext := filepath.Ext(path); ext == ".asc" || ext == ".blf" || ext == ".trc" {
				want = []string{"can0 123#01", "can1 00000124#R2"} // numbers, no names
			}
			if diff := cmp.Diff(want, readLog(t, path)); diff != "" {
				t.Errorf("%s: %s", filepath.Base(path), diff)
			}
		}
		if b.out.Len() > 0 || b.errs.Len() > 0 {
			t.Errorf("shown: %s%s", b.out.String(), b.errs.String())
		}
	})
}

func TestDumpTellsWhatAFileCannotHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.csv")
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var err error
		if b.d.files, err = createLogs([]string{path}, b.buses, &b.errs); err != nil {
			t.Fatal(err)
		}
		b.d.count = 3
		ended := b.start(t.Context())
		b.send(t, 0, "123##0", "123#", "123##0")
		if err := errors.Join(<-ended, closeLogs(b.d.files)); err != nil {
			t.Fatal(err)
		}
		if got := b.errs.String(); strings.Count(got, "entry refused") != 1 {
			t.Errorf("got %s", got)
		}
		if err := b.d.failure(); err == nil || !strings.Contains(err.Error(), "x.csv: 2 frames left out") {
			t.Errorf("failure: %v", err)
		}
	})
}

// Two buses do not arrive in the order of their times, to the microsecond.
func TestDumpRecordsAFrameBeforeTheFirst(t *testing.T) {
	const begin = 1700000000_000000000
	dir := t.TempDir()
	for _, name := range []string{"x.log", "x.asc", "x.blf", "x.trc"} {
		var errs bytes.Buffer
		bus := &namedBus{name: "can0"}
		path := filepath.Join(dir, name)
		logs, err := createLogs([]string{path}, []*namedBus{bus}, &errs)
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range []int64{begin, begin - 2e6, begin - 5e9} {
			m := hub.Std(uint32(i))
			m.Timestamp = at
			if err := logs[0].frame(bus, m); err != nil {
				t.Fatal(err)
			}
		}
		if err := closeLogs(logs); err != nil {
			t.Fatal(err)
		}
		want := []string{"can0 000#", "can0 001#"}
		if name == "x.log" { // which can tell all times
			want = append(want, "can0 002#")
		}
		if diff := cmp.Diff(want, readLog(t, path)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if told := errs.Len() > 0; told != (name != "x.log") {
			t.Errorf("%s: told: %s", name, errs.String())
		}
	}
}
