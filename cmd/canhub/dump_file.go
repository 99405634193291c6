package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// dumpLog shows frames as lines of candump -L, or writes them to a file.
type dumpLog struct {
	w       *canlog.Writer
	path    string
	errs    io.Writer
	begin   int64  // the time of the first frame, which is not 0
	refused uint64 // frames that the format cannot hold
	failed  bool   // and the error was returned
}

// createLogs creates the files of --write. The numbers of channels, in formats
// that have them, are those of the buses in the command line.
func createLogs(paths []string, buses []*namedBus, errs io.Writer) ([]*dumpLog, error) {
	o := &canlog.WriterOptions{}
	for _, b := range buses {
		o.Channels = append(o.Channels, b.name)
	}
	for i, path := range paths {
		if b := playing(path, buses); b != nil {
			return nil, usagef("--write %s: it is what %s reads", path, b.url)
		}
		if slices.ContainsFunc(paths[:i], func(other string) bool {
			return filepath.Clean(other) == filepath.Clean(path) || sameFile(other, path)
		}) {
			return nil, usagef("--write %s: want it once", path)
		}
	}
	var all []*dumpLog
	for _, path := range paths {
		w, err := canlog.Create(path, o)
		if err != nil {
			return nil, errors.Join(err, closeLogs(all))
		}
		all = append(all, &dumpLog{w: w, path: path, errs: errs})
	}
	return all, nil
}

// playing returns the bus that plays the log at path, or nil.
func playing(path string, buses []*namedBus) *namedBus {
	for _, b := range buses {
		if !isLog(b.url) {
			continue
		}
		_, log, _ := strings.Cut(b.url, ":")
		log, _, _ = strings.Cut(log, "?")
		if log, err := url.PathUnescape(log); err == nil && sameFile(path, log) {
			return b
		}
	}
	return nil
}

func closeLogs(all []*dumpLog) error {
	var errs []error
	for _, d := range all {
		told := d.failed
		if err := d.failing(d.w.Close()); !told {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (d *dumpLog) flush() error { return d.failing(d.w.Flush()) }

// earliest is how much earlier than the first frame one may be that comes after
// it: frames of two buses can arrive in another order than their times have. In
// formats that cannot tell a time before the first one it gets that.
const earliest = int64(time.Second)

// frame writes m. What the format of the log cannot hold is told and counted.
func (d *dumpLog) frame(bus *namedBus, m hub.Message) error {
	e := canlog.Entry{Channel: bus.name, Message: m, Dir: direction(m)}
	if d.begin == 0 {
		d.begin = m.Timestamp
	}
	err := d.w.Write(e)
	if early := d.begin - m.Timestamp; errors.Is(err, canlog.ErrRefused) && 0 < early && early < earliest {
		e.Message.Timestamp = d.begin
		err = d.w.Write(e)
	}
	if errors.Is(err, canlog.ErrRefused) {
		if d.refused++; d.refused == 1 {
			fmt.Fprintf(d.errs, "canhub: %s: %s: %v: %s; more are only counted\n", d.path, bus.name, m, plainText(err))
		}
		return nil
	}
	return d.failing(err)
}

// failing names the log in its error. There is one, which all calls that follow
// return again.
func (d *dumpLog) failing(err error) error {
	if err == nil {
		return nil
	}
	d.failed = true
	return fmt.Errorf("%s: %w", d.path, err)
}

func direction(m hub.Message) canlog.Dir {
	if m.Flags&hub.Own != 0 {
		return canlog.DirSent
	}
	return canlog.DirReceived
}
