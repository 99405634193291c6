package hub

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Bitrate is how fast a bus is, in bit/s.
type Bitrate struct {
	Nominal int // above 0
	Data    int // between BRS and the CRC delimiter of frames with [BRS]; 0 means Nominal
}

// Duration returns how long m's frame keeps a bus busy, without the
// [Intermission]: the time of its [Message.Bits], rounded to the nearest
// nanosecond, halves up.
func (b Bitrate) Duration(m Message) time.Duration { return b.Time(m.Bits()) }

// Time returns how long so many bits at the nominal and at the data bitrate
// take together, rounded once, to the nearest nanosecond. To add up many frames,
// add up their bits.
func (b Bitrate) Time(nominal, data int) time.Duration {
	fast := b.Data
	if fast == 0 {
		fast = b.Nominal
	}
	whole := nominal/b.Nominal + data/fast
	ns, rest := bitTime(nominal%b.Nominal, b.Nominal)
	nsFast, restFast := bitTime(data%fast, fast)
	// rest/Nominal + restFast/fast, rounded.
	n, f := uint64(b.Nominal), uint64(fast)
	return time.Duration(whole)*time.Second + time.Duration(ns+nsFast+
		(2*(rest*f+restFast*n)+n*f)/(2*n*f))
}

// bitTime returns how many ns n bits take, n below a second's, and the rest of
// that division.
func bitTime(n, rate int) (ns, rest uint64) {
	t := uint64(n) * uint64(time.Second)
	return t / uint64(rate), t % uint64(rate)
}

// maxBitrate is beyond every bus there is, and small enough to calculate with.
const maxBitrate = 1_000_000_000

// ParseBitrate reads a bitrate such as "500k", "83333" or, with that of the data
// behind a comma, "500k,2M". The letter k or M stands for a thousand or a million,
// and a number in front of one may have a decimal point: "83.333k". Rates are
// from 1 to 1000M, and that of the data is not the lower one.
func ParseBitrate(text string) (Bitrate, error) {
	nominal, data, both := strings.Cut(text, ",")
	b := Bitrate{Nominal: parseRate(nominal)}
	if both {
		b.Data = parseRate(data)
	}
	if b.Nominal == 0 || both && b.Data == 0 {
		return Bitrate{}, fmt.Errorf("hub: bitrate %q: want one such as 500k, or 500k,2M with that of the data, each 1 to 1000M", text)
	}
	if both && b.Data < b.Nominal {
		return Bitrate{}, fmt.Errorf("hub: bitrate %q: the data, behind the comma, cannot be slower than the rest", text)
	}
	return b, nil
}

// parseRate returns 0 for what is no rate.
func parseRate(text string) int {
	digits, zeros := text, 0
	switch {
	case strings.HasSuffix(text, "k"), strings.HasSuffix(text, "K"):
		digits, zeros = text[:len(text)-1], 3
	case strings.HasSuffix(text, "M"):
		digits, zeros = text[:len(text)-1], 6
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && (fraction == "" || len(fraction) > zeros) {
		return 0
	}
	all := whole + fraction + strings.Repeat("0", zeros-len(fraction))
	rate, err := strconv.ParseUint(all, 10, 32)
	if err != nil || rate > maxBitrate {
		return 0
	}
	return int(rate)
}

// String returns b as [ParseBitrate] reads it.
func (b Bitrate) String() string {
	if b.Data == 0 {
		return rateText(b.Nominal)
	}
	return rateText(b.Nominal) + "," + rateText(b.Data)
}

func rateText(rate int) string {
	switch {
	case rate == 0:
		return "0"
	case rate%1_000_000 == 0:
		return strconv.Itoa(rate/1_000_000) + "M"
	case rate%1000 == 0:
		return strconv.Itoa(rate/1000) + "k"
	default:
		return strconv.Itoa(rate)
	}
}
