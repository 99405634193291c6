package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// understandsEscapes reports whether the console f takes escape sequences, and
// asks it to.
func understandsEscapes(f *os.File) bool {
	var mode uint32
	h := windows.Handle(f.Fd())
	return windows.GetConsoleMode(h, &mode) == nil &&
		windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
