package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// A rawTerminal gives each key when it is pressed. Ctrl-C is a key too.
type rawTerminal struct {
	keys     <-chan byte // closed at the end of stdin
	out, err io.Writer   // for whole lines, whether they are the terminal or not
	restore  func()
}

// raw sets the terminal that stdin is. Restore it in any case.
func (a *app) raw(ctx context.Context) (*rawTerminal, error) {
	fd := int(a.in.(*os.File).Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	t := &rawTerminal{
		out: lineEnds(a.out), err: lineEnds(a.err),
		restore: func() { term.Restore(fd, before) },
	}
	keys := make(chan byte)
	go func() { // it may be in Read until the process ends, which nothing can end
		defer close(keys)
		var key [1]byte
		for {
			if _, err := io.ReadFull(a.in, key[:]); err != nil {
				return
			}
			select {
			case keys <- key[0]:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.keys = keys
	return t, nil
}

// lineEnds returns w, which ends lines as a raw terminal needs it if it is one.
func lineEnds(w io.Writer) io.Writer {
	if onTerminal(w) {
		return crlf{w}
	}
	return w
}

type crlf struct{ io.Writer }

func (c crlf) Write(p []byte) (int, error) {
	if _, err := c.Writer.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
