package canlog

import (
	"errors"
	"fmt"
	"strings"
)

// A Format is one of the formats of log files. What each can hold is told in
// the documentation of the package.
type Format uint8

const (
	// Auto is the default. For a file it is the format that the end of its
	// name tells, and otherwise [Candump].
	Auto    Format = iota
	Candump        // text of can-utils: ".log"
	ASC            // text of Vector: ".asc"
	BLF            // binary of Vector: ".blf"
	CSV            // table of python-can: ".csv"
	TRC            // text of PEAK: ".trc"
)

// formats has the name of each format and the end of a file's name.
var formats = [...]struct{ name, suffix string }{
	Auto:    {"auto", ""},
	Candump: {"candump", ".log"},
	ASC:     {"ASC", ".asc"},
	BLF:     {"BLF", ".blf"},
	CSV:     {"CSV", ".csv"},
	TRC:     {"TRC", ".trc"},
}

// String returns the name of the format, as in "candump".
func (f Format) String() string {
	if int(f) < len(formats) {
		return formats[f].name
	}
	return fmt.Sprintf("Format(%d)", uint8(f))
}

// formatOf tells by the name of a file, and by the wish for a format, what is
// in it.
func formatOf(path string, wish Format) (f Format, zipped bool, err error) {
	name, zipped := strings.CutSuffix(strings.ToLower(path), ".gz")
	f = wish
	if wish == Auto {
		for i, known := range formats {
			if known.suffix != "" && strings.HasSuffix(name, known.suffix) {
				f = Format(i)
			}
		}
	}
	switch {
	case f == Auto:
		return Auto, false, errors.New("unknown format: want a name that ends in " + suffixes())
	case int(f) >= len(formats):
		return f, false, errors.New("unknown " + f.String())
	case f == BLF && zipped:
		return f, false, errors.New("BLF is compressed in itself: want a name without .gz")
	}
	return f, zipped, nil
}

// suffixes lists the ends of names that Open and Create know.
func suffixes() string {
	var s []string
	for _, f := range formats[Candump:] {
		s = append(s, f.suffix)
	}
	return strings.Join(s, ", ") + ", or one of these and .gz"
}
