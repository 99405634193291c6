package canlog

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrRefused is matched by the errors of [Writer.Write] for an entry that
// could not be read back. Nothing of it has been written, and the writer can
// go on with the next entry.
var ErrRefused = errors.New("canlog: entry refused")

// A LineError tells why a line of a log cannot be read. The lines after it
// can.
type LineError struct {
	File   string // the name given to the reader; it may be empty
	Line   int    // from 1
	Col    int    // of the byte that is wrong, from 1; behind the end if one is missing
	Text   string // the line as it was read, cut with "..." if it is long
	Reason string
	Err    error // the cause if it has a type, such as *[hub.ParseError]; or nil
}

// Error returns "canlog: file:line:col: reason", and the line in quotes.
func (e *LineError) Error() string {
	return fmt.Sprintf("canlog: %s:%d: %s: line %q",
		position(e.File, e.Line), e.Col, e.Reason, e.Text)
}

// Unwrap returns Err.
func (e *LineError) Unwrap() error { return e.Err }

// An ObjectError tells why an object of a BLF file cannot be read. If it is
// still clear where the next one begins, that is read; otherwise the error is
// the last of the iteration.
type ObjectError struct {
	File   string // the name given to the reader; it may be empty
	Offset int64  // in the file, in bytes, of the object or of its container
	Inner  int64  // in the unpacked contents from there on; -1 for the container itself
	Reason string
	Err    error // the cause if it has a type, such as io.ErrUnexpectedEOF; or nil

	last bool // nothing can be read behind it
}

// Error returns "canlog: file: offset: reason".
func (e *ObjectError) Error() string {
	place := fmt.Sprintf("offset %d", e.Offset)
	if e.Inner >= 0 {
		place = fmt.Sprintf("container at offset %d, byte %d of its contents", e.Offset, e.Inner)
	}
	if e.File != "" {
		place = fileName(e.File) + ": " + place
	}
	return "canlog: " + place + ": " + e.Reason
}

// Unwrap returns Err.
func (e *ObjectError) Unwrap() error { return e.Err }

// position returns "file:line", or the line alone if the file has no name. A
// name with characters that a terminal might obey is quoted.
func position(file string, line int) string {
	if file == "" {
		return strconv.Itoa(line)
	}
	return fileName(file) + ":" + strconv.Itoa(line)
}

func fileName(file string) string {
	if !utf8.ValidString(file) || strings.ContainsFunc(file, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(file)
	}
	return file
}

// maxShown is how much of a line a LineError keeps: a line with 64 bytes of
// data fits.
const maxShown = 200

func shorten(line []byte) string {
	if len(line) <= maxShown {
		return string(line)
	}
	return string(line[:maxShown]) + "..."
}

// quoteAt returns the character at text[i] in quotes, escaped if need be.
func quoteAt[T string | []byte](text T, i int) string {
	rest := string(text[i:min(len(text), i+utf8.UTFMax)])
	_, n := utf8.DecodeRuneInString(rest)
	return strconv.Quote(rest[:n])
}
