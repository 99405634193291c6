package main

import (
	"os"

	"golang.org/x/term"
)

// onTerminal reports whether f, a stream of the app, is a terminal.
func onTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// canDraw reports whether f is a terminal that can be drawn on.
func canDraw(f any) bool { return onTerminal(f) && understandsEscapes(f.(*os.File)) }

// width is that of the terminal f, or a usual one.
func width(f any) int {
	if file, ok := f.(*os.File); ok {
		if w, _, err := term.GetSize(int(file.Fd())); err == nil && w > 0 {
			return w
		}
	}
	return 80
}
