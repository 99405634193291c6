package canlog

import (
	"strings"
	"time"
)

// ascMonths has the months as they are written in English, and in German where
// that is another word.
var ascMonths = map[string]time.Month{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
	"jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
	"mär": 3, "mai": 5, "okt": 10, "dez": 12,
}

// ascDate reads the date behind the current word, to the end of the line:
//
//	Mon Jan 10 09:30:15.250 am 2022
//	Fri Apr 15 05:20:01 2022
//
// It is returned in nanoseconds since 1970. The name of the day does not
// matter. Less than three digits behind the point are milliseconds too, for
// python-can leaves their zeros out.
func ascDate(f *fields, loc *time.Location) (int64, *syntaxError) {
	f.next() // the day of the week
	f.next()
	month, ok := ascMonths[strings.ToLower(string(f.word()))]
	if !ok {
		return 0, f.fail(0, "want a month, Jan to Dec; times count from 1970 now")
	}
	f.next()
	day, ok := parseNumber(f.word(), 10, 31)
	if !ok || day == 0 {
		return 0, f.fail(0, "want a day of the month; times count from 1970 now")
	}
	f.next()
	clock := *f
	h, m, s, ms, ok := ascClock(f.word())
	f.next()
	if am, pm := f.is("am"), f.is("pm"); am || pm {
		ok = ok && 1 <= h && h <= 12
		h %= 12
		if pm {
			h += 12
		}
		f.next()
	}
	if !ok {
		return 0, clock.fail(0, "want a time of day; times count from 1970 now")
	}
	year, ok := parseNumber(f.word(), 10, 9999)
	if !ok {
		return 0, f.fail(0, "want a year; times count from 1970 now")
	}
	t := time.Date(int(year), month, int(day), int(h), int(m), int(s), int(ms)*1e6, loc)
	if !inRange(t) { // west of Greenwich 1970 begins in 1969
		return 0, f.fail(0, "want a date from 1970 to 2262-04-11, in UTC; times count from 1970 now")
	}
	if f.next() {
		return 0, f.fail(0, "want the end of the line behind the year; times count from 1970 now")
	}
	return t.UnixNano(), nil
}

// ascClock reads "09:30:15" or "09:30:15.250".
func ascClock(word []byte) (h, m, s, ms uint32, ok bool) {
	hms, frac, point := strings.Cut(string(word), ".")
	if point {
		if ms, ok = parseNumber([]byte(frac), 10, 999); !ok {
			return
		}
	}
	part := strings.Split(hms, ":")
	if len(part) != 3 {
		return 0, 0, 0, 0, false
	}
	var hOK, mOK, sOK bool
	h, hOK = parseNumber([]byte(part[0]), 10, 23)
	m, mOK = parseNumber([]byte(part[1]), 10, 59)
	s, sOK = parseNumber([]byte(part[2]), 10, 59)
	return h, m, s, ms, hOK && mOK && sOK
}
