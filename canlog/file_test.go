package canlog_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// create writes a log file with n entries.
func create(t *testing.T, path string, n int) {
	t.Helper()
	w, err := canlog.Create(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		// Data that does not compress to nothing.
		x := uint32(i) * 2654435761
		m := hub.Std(uint32(i)%0x800, byte(x), byte(x>>8), byte(x>>16), byte(x>>24))
		if err := w.Write(entry(int64(i)*1000, "can0", m)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
}

// open reads a log file, and returns how many entries it has and the error.
func open(t *testing.T, path string) (n int, err error) {
	t.Helper()
	r, err := canlog.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Error(err)
		}
	}()
	for e, err := range r.Entries() {
		if err != nil {
			return n, err
		}
		if e.Message.Timestamp != int64(n)*1000 {
			t.Fatalf("entry %d has the time of entry %d", n, e.Message.Timestamp/1000)
		}
		n++
	}
	return n, nil
}

func TestFilesOpenAsTheyWereCreated(t *testing.T) {
	for _, name := range []string{"a.log", "b.log.gz", "C.LOG.GZ"} {
		path := filepath.Join(t.TempDir(), name)
		create(t, path, 5000)
		if n, err := open(t, path); n != 5000 || err != nil {
			t.Errorf("%s: %d entries, error %v, want 5000 and none", name, n, err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		zipped := bytes.HasPrefix(b, []byte("\x1f\x8b"))
		if want := strings.HasSuffix(strings.ToLower(name), ".gz"); zipped != want {
			t.Errorf("%s: compressed is %v, want %v", name, zipped, want)
		}
	}
}

func TestCutOffGzipGivesItsEntriesAndThenAnError(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log.gz")
	create(t, path, 20_000)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.log.gz")
	for _, part := range []struct{ bytes, atLeast int }{
		{len(whole) - 1, 20_000}, // the checksum only
		{len(whole) / 2, 5_000},
		{20, 0},
		{0, 0},
	} {
		if err := os.WriteFile(cut, whole[:part.bytes], 0o666); err != nil {
			t.Fatal(err)
		}
		n, err := open(t, cut)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "cut.log.gz") {
			t.Errorf("%d of %d bytes: error %v, want io.ErrUnexpectedEOF with the file", part.bytes, len(whole), err)
		}
		if n < part.atLeast || n > 20_000 {
			t.Errorf("%d of %d bytes: %d entries, want %d at least", part.bytes, len(whole), n, part.atLeast)
		}
	}
}

func TestFlushReachesTheFileThroughGzip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log.gz")
	w, err := canlog.Create(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i := range 3 {
		if err := w.Write(entry(int64(i)*1000, "can0", hub.Std(1))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	n, err := open(t, path) // as if the program had been killed now
	if n != 3 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d entries, error %v, want 3 and io.ErrUnexpectedEOF", n, err)
	}
}

func TestUnknownFormatsAreNotOpenedOrCreated(t *testing.T) {
	for _, name := range []string{"a.txt", "a.gz", "log", ""} {
		path := filepath.Join(t.TempDir(), name)
		if _, err := canlog.Open(path); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q): %v, want an error about the format", name, err)
		}
		if _, err := canlog.Create(path, nil); err == nil {
			t.Errorf("Create(%q): no error", name)
		}
	}
}

func TestFileErrorsNameTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "a.log")
	if _, err := canlog.Open(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Open: %v, want fs.ErrNotExist with the path", err)
	}
	if _, err := canlog.Create(path, nil); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("Create: %v, want fs.ErrNotExist with the path", err)
	}
	path = filepath.Join(t.TempDir(), "a.log.gz")
	if err := os.WriteFile(path, []byte("(1.0) can0 123#\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := canlog.Open(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Open of a file that is not compressed: %v, want an error with the path", err)
	}
}

func TestProgressRunsToTheSizeOfTheFile(t *testing.T) {
	for _, name := range []string{"a.log", "a.log.gz", "a.asc", "a.blf"} {
		path := filepath.Join(t.TempDir(), name)
		create(t, path, 20000)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := canlog.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		n, halfway := 0, int64(0)
		for _, err := range r.Entries() {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 10000 {
				halfway, _ = r.Progress()
			}
		}
		read, size := r.Progress()
		if size != info.Size() || read != size {
			t.Errorf("%s: %d of %d bytes read at the end, want %d", name, read, size, info.Size())
		}
		if halfway <= 0 || halfway >= size {
			t.Errorf("%s: %d of %d bytes read halfway", name, halfway, size)
		}
	}
	if read, size := canlog.NewReader(strings.NewReader("x"), "").Progress(); read != 0 || size != 0 {
		t.Errorf("without a file: %d of %d bytes", read, size)
	}
}
