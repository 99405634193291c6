package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"
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
