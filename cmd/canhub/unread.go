package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/canhub-go/canhub/canlog"
)

// maxShown is how many of many things that are wrong are shown; all are counted.
const maxShown = 20

// unread are the entries of a log that cannot be read.
type unread struct {
	log  string // what it is called
	errs io.Writer
	n    uint64
}

// isEntry reports whether err is about one entry of a log, behind which reading
// goes on.
func isEntry(err error) bool {
	var line *canlog.LineError
	var object *canlog.ObjectError
	return errors.As(err, &line) || errors.As(err, &object)
}

// add tells the first ones, and counts all.
func (u *unread) add(err error) {
	if u.n++; u.n > maxShown {
		return
	}
	fmt.Fprintf(u.errs, "canhub: %s\n", plainText(err))
	if u.n == maxShown {
		fmt.Fprintf(u.errs, "canhub: what else in %s cannot be read is only counted\n", u.log)
	}
}

// failure returns an error that counts them, or nil.
func (u *unread) failure() error {
	if u.n == 0 {
		return nil
	}
	return fmt.Errorf("%s: %s could not be read", u.log, number(u.n, "entry"))
}
