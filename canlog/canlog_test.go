package canlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// read reads the whole log and fails the test if that meets an error.
func read(t testing.TB, log string) []canlog.Entry {
	t.Helper()
	entries, bad := readLines(t, log)
	for _, err := range bad {
		t.Error(err)
	}
	return entries
}

// readLines reads the whole log with the errors of its lines.
func readLines(t testing.TB, log string) (entries []canlog.Entry, bad []*canlog.LineError) {
	t.Helper()
	for e, err := range canlog.NewReader(strings.NewReader(log), "test.log").Entries() {
		var le *canlog.LineError
		switch {
		case errors.As(err, &le):
			if e != (canlog.Entry{}) {
				t.Errorf("%v came with the entry %+v", err, e)
			}
			bad = append(bad, le)
		case err != nil:
			t.Fatalf("reading from memory: %v", err)
		default:
			entries = append(entries, e)
		}
	}
	return entries, bad
}

// write returns the log of entries.
func write(t testing.TB, o *canlog.WriterOptions, entries ...canlog.Entry) string {
	t.Helper()
	var log bytes.Buffer
	w := canlog.NewWriter(&log, o)
	for _, e := range entries {
		if err := w.Write(e); err != nil {
			t.Fatalf("Write(%s): %v", show(e), err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return log.String()
}

// show is all there is to an entry in short form.
func show(e canlog.Entry) string {
	return fmt.Sprintf("(%d ns) %q %v %v Len %d, %v", e.Message.Timestamp, e.Channel,
		e.Message, e.Message.Flags, e.Message.Len, e.Dir)
}

// everything are the options under which nothing is lost.
var everything = &canlog.WriterOptions{Nanoseconds: true, Direction: true}

func entry(ns int64, channel string, m hub.Message) canlog.Entry {
	m.Timestamp = ns
	return canlog.Entry{Channel: channel, Message: m}
}
