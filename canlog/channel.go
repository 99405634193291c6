package canlog

import (
	"fmt"
	"strconv"
	"strings"
)

// Some formats have a number for each channel, from 1, and no name. numbers
// turns one into the other: number n is the name Channels[n-1] of the options,
// and beyond them "can<n-1>", as python-can does it. Number 0, which stands for
// no channel in particular, is "can".
type numbers struct {
	given []string
	names names
	holds map[int]string // of a writer: the name that has the number
	last  string         // the name that hold got last, and its number
	lastN int
}

// maxNumber is the highest number of a channel: BLF has 16 bits for it.
const maxNumber = 65535

// name returns the name of number n.
func (c *numbers) name(n int) string {
	switch {
	case n == 0:
		return "can"
	case n <= len(c.given):
		return c.given[n-1]
	}
	var text [8]byte
	return c.names.intern(strconv.AppendUint(append(text[:0], "can"...), uint64(n-1), 10))
}

// number returns the number of name: its place among those given, or else the
// number at its end and 1. Two names cannot have one number, once hold was
// called for it.
func (c *numbers) number(name string) (n int, reason string) {
	if name == c.last && name != "" {
		return c.lastN, ""
	}
	n = -1
	for i, given := range c.given {
		if given == name {
			n = i + 1
		}
	}
	if n < 0 && name == "can" {
		n = 0
	}
	if n < 0 {
		digits := name[len(strings.TrimRight(name, "0123456789")):]
		last, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || last >= maxNumber {
			return 0, fmt.Sprintf("it has numbers for channels, 1 to %d, and %q has none at its end and is not among the Channels of the options",
				maxNumber, name)
		}
		n = int(last) + 1
	}
	if n > 0 && n <= len(c.given) && c.given[n-1] != name {
		return 0, c.taken(n, name, c.given[n-1])
	}
	if held, ok := c.holds[n]; ok && held != name {
		return 0, c.taken(n, name, held)
	}
	return n, ""
}

// hold gives number n to name for good.
func (c *numbers) hold(n int, name string) {
	if name == c.last {
		return
	}
	if c.holds == nil {
		c.holds = make(map[int]string)
	}
	c.holds[n] = name
	c.last, c.lastN = name, n
}

func (c *numbers) taken(n int, name, by string) string {
	return fmt.Sprintf("it has numbers for channels, and number %d of %q is that of %q", n, name, by)
}
