package main

import (
	"fmt"
	"math"
	"slices"
)

// median returns the middle of x, or the mean of the two in the middle. It is
// NaN if x is empty.
func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	x = slices.Sorted(slices.Values(x))
	n := len(x)
	return (x[(n-1)/2] + x[n/2]) / 2
}

// percentile returns the smallest value of sorted that at least p percent of
// the values do not exceed. It is NaN if there are none.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	i := int(math.Ceil(p/100*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// A series is one figure, measured again and again.
type series []float64

func (s series) median() float64 { return median(s) }

// String is the median with the smallest and the largest value.
func (s series) String() string {
	switch len(s) {
	case 0:
		return "-"
	case 1:
		return number(s[0])
	}
	return fmt.Sprintf("%s (%s-%s)", number(s.median()), number(slices.Min(s)), number(slices.Max(s)))
}

// number writes x with two or three digits that count.
func number(x float64) string {
	switch a := math.Abs(x); {
	case a >= 99.5:
		return fmt.Sprintf("%.0f", x)
	case a >= 9.95:
		return fmt.Sprintf("%.1f", x)
	case a >= 0.0995 || a == 0:
		return fmt.Sprintf("%.2f", x)
	case a >= 0.00995:
		return fmt.Sprintf("%.3f", x)
	default:
		return fmt.Sprintf("%.2g", x)
	}
}
