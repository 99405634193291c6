//go:build !windows

package main

import "os"

// understandsEscapes reports whether the terminal f takes escape sequences.
func understandsEscapes(*os.File) bool { return os.Getenv("TERM") != "dumb" }
