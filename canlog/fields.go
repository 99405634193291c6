package canlog

import "fmt"

// A syntaxError is a LineError that does not know its file and line.
type syntaxError struct {
	offset int // in the line
	reason string
	err    error
}

// fields walks over the words of a line.
type fields struct {
	line       []byte
	start, end int // of the word that next found
}

// next finds the next word. If there is none, start is the end of the line.
func (f *fields) next() bool {
	f.start = f.end
	for f.start < len(f.line) && isSpace(f.line[f.start]) {
		f.start++
	}
	f.end = f.start
	for f.end < len(f.line) && !isSpace(f.line[f.end]) {
		f.end++
	}
	return f.start < f.end
}

func (f *fields) word() []byte { return f.line[f.start:f.end] }

func (f *fields) fail(offset int, format string, args ...any) *syntaxError {
	return &syntaxError{offset: f.start + offset, reason: fmt.Sprintf(format, args...)}
}

// isSpace reports white space as isspace of C does, with which can-utils parts
// the fields.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
