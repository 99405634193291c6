package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/canhub-go/canhub/hub"
)

var packageNames = regexp.MustCompile(`(?m)(^|: )(?:(?:canhub|canlog|hub|strconv\.\w+: parsing "[^"]*"): )+`)

// plainText returns the text of an error without the packages that say so: who reads
// it has given a command.
func plainText(err error) string { return packageNames.ReplaceAllString(err.Error(), "$1") }

// number returns "1 frame" or "2 frames".
func number(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if before, ok := strings.CutSuffix(one, "entry"); ok {
		return fmt.Sprintf("%d %sentries", n, before)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// rounded returns d with three digits or so.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// perSecond returns n in this time as a rate for people, such as " (1003/s)", if
// the time was long enough to tell.
func perSecond(n uint64, took time.Duration) string {
	if took < 10*time.Millisecond || n == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.0f/s)", float64(n)/took.Seconds())
}

// idText returns an identifier as candump shows it: three digits, or eight for 29
// bits and for the classes of an error frame.
func idText(id uint32, flags hub.Flags) string {
	switch {
	case flags&hub.Error != 0:
		return fmt.Sprintf("%08X", id|1<<29)
	case flags&hub.Extended != 0:
		return fmt.Sprintf("%08X", id)
	default:
		return fmt.Sprintf("%03X", id)
	}
}

// printable returns c, or a dot for what is no ASCII text.
func printable(c byte) byte {
	if c < ' ' || c > '~' {
		return '.'
	}
	return c
}

// bar returns "[###.......]", with up to width marks.
func bar(marks, width int) string {
	marks = max(0, min(marks, width))
	return "[" + strings.Repeat("#", marks) + strings.Repeat(".", width-marks) + "]"
}
