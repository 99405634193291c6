package main

import (
	"context"
	"io"
	"iter"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/canlog"
)

// A logReading reads a log for a command: the part of it that is asked for, as
// often as that is, without the lines that cannot be read.
type logReading struct {
	path     string    // "-" is in
	in       io.Reader // stdin
	opts     canlog.ReaderOptions
	loops    int           // -1: for ever
	from, to time.Duration // of the log, from its first entry on; to 0 is its end
	sel      selection
	skip     func(canlog.Entry) bool // what else is not wanted; nil is nothing
	talk     *talker                 // hears of lines that cannot be read

	unread           unread // of the first time through, as the next
	skipped, dropped uint64
	now              atomic.Pointer[canlog.Reader]
}

// open opens the log, so that it can fail before anything else is done.
func (l *logReading) open(ctx context.Context) error {
	l.unread.log, l.unread.errs = l.name(), l.talk
	if l.path == "-" {
		l.now.Store(canlog.NewReaderWith(interruptible(ctx, l.in), "stdin", &l.opts))
		return nil
	}
	r, err := canlog.OpenWith(l.path, &l.opts)
	if err != nil {
		return err
	}
	l.now.Store(r)
	return nil
}

// name returns what the log is called.
func (l *logReading) name() string {
	if l.path == "-" {
		return "stdin"
	}
	return l.path
}

func (l *logReading) progress() (read, size int64) {
	return l.now.Load().Progress()
}

func (l *logReading) close() error { return l.now.Load().Close() }

// entries yields what was asked for. An error is one of reading, or the ctx's, and
// the last. A log on stdin is read to the end of what had come when ctx was done.
func (l *logReading) entries(ctx context.Context) iter.Seq2[canlog.Entry, error] {
	return func(yield func(canlog.Entry, error) bool) {
		for loop := 0; loop != l.loops; loop++ {
			if loop > 0 {
				l.close() // read only: nothing can be lost
				if err := l.open(ctx); err != nil {
					yield(canlog.Entry{}, err)
					return
				}
			}
			if n, more := l.once(ctx, loop == 0, yield); !more || n == 0 {
				return // nothing cannot be repeated for ever
			}
		}
	}
}

// once yields the log once. It returns how many entries that were, and whether
// more of them are wanted.
func (l *logReading) once(ctx context.Context, first bool, yield func(canlog.Entry, error) bool) (n int, more bool) {
	r := l.now.Load()
	if first {
		defer func() { l.skipped, l.dropped = r.Skipped(), r.Dropped() }()
	}
	begin := int64(-1)
	for e, err := range r.Entries() {
		if l.path != "-" && ctx.Err() != nil { // here, for nothing may be wanted
			yield(canlog.Entry{}, ctx.Err())
			return n, false
		}
		if err != nil {
			if !isEntry(err) {
				yield(e, err)
				return n, false
			}
			if first {
				l.unread.add(err)
			}
			continue
		}
		if begin < 0 {
			begin = e.Message.Timestamp
		}
		if l.from > 0 || l.to > 0 {
			at := time.Duration(e.Message.Timestamp - begin)
			if l.to > 0 && at >= l.to {
				return n, true
			}
			if l.from > 0 && at < l.from {
				continue
			}
		}
		if !l.sel.match(e.Message) || l.skip != nil && l.skip(e) {
			continue
		}
		n++
		if !yield(e, nil) {
			return n, false
		}
	}
	return n, true
}

// passedOver lists what the log told of other than entries.
func (l *logReading) passedOver() (all []string) {
	if l.unread.n > 0 {
		all = append(all, number(l.unread.n, "entry")+" that could not be read")
	}
	if l.skipped > 0 {
		all = append(all, number(l.skipped, "entry")+" about other things than frames")
	}
	if l.dropped > 0 {
		all = append(all, number(l.dropped, "frame")+" that were lost when the log was made")
	}
	return all
}

// span checks --from-time and --to-time.
func span(from, to time.Duration) error {
	switch {
	case from < 0:
		return usagef("--from-time %v: negative", from)
	case to < 0:
		return usagef("--to-time %v: negative", to)
	case to > 0 && to <= from:
		return usagef("--to-time %v: not behind --from-time %v", to, from)
	}
	return nil
}

// interruptible returns a reader of in that fails when ctx is done. A read of a
// terminal or a pipe cannot be ended, so the goroutine that is in it then stays
// there until the process ends.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, in)
		w.CloseWithError(err) // nil is io.EOF
	}()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	return r
}
