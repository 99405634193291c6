package canlog

import (
	"fmt"
	"math"
	"strconv"
)

// appendPadded appends v with zeros in front of it up to width digits.
func appendPadded(b []byte, v uint64, width int) []byte {
	var digits [20]byte
	s := strconv.AppendUint(digits[:0], v, 10)
	for range width - len(s) {
		b = append(b, '0')
	}
	return append(b, s...)
}

// appendFraction appends the point and the decimals of t, which is in
// nanoseconds: six of them and the rest cut off, or all nine.
func appendFraction(b []byte, t uint64, nanoseconds bool) []byte {
	b = append(b, '.')
	if nanoseconds {
		return appendPadded(b, t%1e9, 9)
	}
	return appendPadded(b, t%1e9/1e3, 6)
}

// parseDecimal reads a decimal number that is not negative, as in "12.345", in
// units of 10^-scale. Decimals that are too many are an error, unless round
// is set. If it cannot read the number it tells the offset in word and why.
func parseDecimal(word []byte, scale int, round bool) (v int64, offset int, reason string) {
	const most = math.MaxInt64
	var n uint64
	decimals, point, i := 0, -1, 0
	up := false
	for ; i < len(word); i++ {
		c := word[i]
		switch {
		case c == '.' && point < 0 && i > 0 && i+1 < len(word):
			point = i
			continue
		case c == '-' && i == 0:
			return 0, 0, "negative time: a log begins in 1970 or at 0"
		case !isDigit(c):
			return 0, i, fmt.Sprintf("unexpected %s in the time, want a decimal number", quoteAt(word, i))
		case point >= 0 && decimals == scale:
			if !round {
				return 0, i, fmt.Sprintf("more than %d decimals in the time", scale)
			}
			if i == point+1+scale {
				up = c >= '5'
			}
			continue
		case n > most/10 || n*10 > most-uint64(c-'0'):
			return 0, 0, outOfRange
		}
		n = n*10 + uint64(c-'0')
		if point >= 0 {
			decimals++
		}
	}
	for ; decimals < scale; decimals++ {
		if n > most/10 {
			return 0, 0, outOfRange
		}
		n *= 10
	}
	if up {
		if n == most {
			return 0, 0, outOfRange
		}
		n++
	}
	return int64(n), 0, ""
}

const outOfRange = "time out of range: it must be before 2262-04-11 23:47:17 UTC"

// parseNumber reads a number in base 10 or 16 that is at most most.
func parseNumber(word []byte, base, most uint32) (v uint32, ok bool) {
	var n uint64
	for _, c := range word {
		d := uint32(255)
		switch {
		case isDigit(c):
			d = uint32(c - '0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			d = uint32(c|0x20-'a') + 10
		}
		if d >= base {
			return 0, false
		}
		if n = n*uint64(base) + uint64(d); n > uint64(most) {
			return 0, false
		}
	}
	return uint32(n), len(word) > 0
}
