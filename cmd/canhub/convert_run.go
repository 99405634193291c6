package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/canlog"
)

// A conversion writes a log anew.
type conversion struct {
	log    logReading
	path   string // "-" is stdout
	stdout io.Writer
	force  bool
	opts   canlog.WriterOptions
	rename map[string]string
	began  func() // called when the files are open; nil is nothing

	written atomic.Uint64
	refused []refusal
	total   uint64 // of them
}

// A refusal is a reason for which entries were not written.
type refusal struct {
	reason string
	n      uint64
}

// run converts. With an error there is no new file.
func (c *conversion) run(ctx context.Context) error {
	if c.log.path != "-" && c.path != "-" && sameFile(c.log.path, c.path) {
		return usagef("%s and %s are one file", c.log.path, c.path)
	}
	if err := c.log.open(ctx); err != nil {
		return err
	}
	defer c.log.close() // read only: nothing can be lost
	if c.path == "-" {
		return c.copy(ctx, canlog.NewWriter(c.stdout, &c.opts))
	}
	path, mode := c.path, fs.FileMode(0) // 0 is that of any new file
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular(): // such as /dev/null: it stays what it is
		w, err := canlog.Create(path, &c.opts)
		if err != nil {
			return err
		}
		return c.copy(ctx, w)
	case err == nil && !c.force:
		return c.exists()
	case err == nil:
		mode = info.Mode().Perm()
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	return c.replace(ctx, path, mode)
}

func (c *conversion) exists() error {
	return fmt.Errorf("%s is there already: --force replaces it", c.path)
}

// replace writes a file beside path, and gives it the name when it is complete.
func (c *conversion) replace(ctx context.Context, path string, mode fs.FileMode) error {
	dir, name := filepath.Split(path)
	// The end of the name tells the format.
	part := filepath.Join(dir, fmt.Sprintf(".canhub-%08x-%s", rand.Uint32(), name))
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), part, c.path))
	}
	defer os.Remove(part) // which is not there any more if all went well
	w, err := canlog.Create(part, &c.opts)
	if err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), part, c.path))
	}
	if err := c.copy(ctx, w); err != nil {
		return err
	}
	if mode != 0 {
		if err := os.Chmod(part, mode); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(path); err == nil && !c.force {
		return c.exists() // by now
	}
	return os.Rename(part, path)
}

// copy writes the log to w and closes it.
func (c *conversion) copy(ctx context.Context, w *canlog.Writer) error {
	if c.began != nil {
		c.began()
	}
	n := uint64(0)
	for e, err := range c.log.entries(ctx) {
		if err != nil && c.log.path == "-" && ctx.Err() != nil {
			break // an interrupt is how a log that comes from a live bus ends
		}
		if err != nil {
			w.Close() // nobody needs it
			return err
		}
		if name, ok := c.rename[e.Channel]; ok {
			e.Channel = name
		}
		if err := w.Write(e); errors.Is(err, canlog.ErrRefused) {
			c.refuse(e, err)
		} else if err != nil {
			w.Close()
			return err
		} else if n++; n%256 == 0 {
			c.written.Store(n) // for the eye: each time would cost
		}
	}
	c.written.Store(n)
	return w.Close()
}

// refuse counts e under its reason, and tells the first of each.
func (c *conversion) refuse(e canlog.Entry, err error) {
	c.total++
	reason := strings.TrimPrefix(err.Error(), canlog.ErrRefused.Error()+": ")
	for i := range c.refused {
		if c.refused[i].reason == reason {
			c.refused[i].n++
			return
		}
	}
	if len(c.refused) == maxShown {
		c.refused = append(c.refused, refusal{"other reasons", 0})
	}
	if len(c.refused) > maxShown {
		c.refused[maxShown].n++
		return
	}
	c.refused = append(c.refused, refusal{reason, 1})
	t := e.Message.Timestamp
	c.log.talk.say("refused: (%d.%09d) %s %v: %s", t/1e9, t%1e9, e.Channel, e.Message, reason)
}

// summarize tells what was written and what was not.
func (c *conversion) summarize(took time.Duration) {
	n := c.written.Load()
	text := fmt.Sprintf("%s written in %v%s", number(n, "entry"), rounded(took), perSecond(n, took))
	not := c.log.passedOver()
	if c.total > 0 {
		not = append(not, number(c.total, "entry")+" that "+c.path+" cannot hold")
	}
	if len(not) > 0 {
		text += "; passed over: " + strings.Join(not, ", ")
	}
	c.log.talk.say("%s", text)
	for _, r := range c.refused {
		c.log.talk.say("refused, %s: %s", number(r.n, "entry"), r.reason)
	}
}

// failure returns an error that counts what is missing, or nil.
func (c *conversion) failure() error {
	var what []string
	if err := c.log.unread.failure(); err != nil {
		what = append(what, err.Error())
	}
	if c.total > 0 {
		what = append(what, number(c.total, "entry")+" refused")
	}
	if len(what) == 0 {
		return nil
	}
	return errors.New(strings.Join(what, "; "))
}
