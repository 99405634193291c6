package monitor

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// extendedBit marks identifiers of 29 bits in a DBC file.
const extendedBit = 1 << 31

// independentSignals is a message that DBC editors make for signals that
// belong to none. It is never on a bus.
const independentSignals = 0xC0000000

// ReadDBC reads the names of the messages of a DBC file, which are in lines
// such as
//
//	BO_ 2364540158 EEC1: 8 Engine
//
// Other lines, in whatever encoding, are skipped. A BO_ line that cannot be
// read, a second message with the same identifier, a string without end, which
// would hide what follows, and a zero byte, which UTF-16 has and no DBC file, is
// a [*LabelError]; name is the file's in it.
func ReadDBC(r io.Reader, name string) (Labels, error) {
	labels := make(Labels)
	inString := false // comments can have several lines
	number, start := 0, 0
	err := eachLine(r, name, func(line string) error {
		number++
		if strings.IndexByte(line, 0) >= 0 {
			return errors.New("a zero byte: is this UTF-16?")
		}
		began := inString
		for i := 0; i < len(line); i++ {
			switch {
			case inString && line[i] == '\\':
				i++ // the next one is escaped
			case line[i] == '"':
				inString, start = !inString, number
			}
		}
		rest, found := strings.CutPrefix(strings.TrimLeft(line, " \t"), "BO_")
		if began || !found || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			return nil
		}
		return labels.addBO(rest)
	})
	if err != nil {
		return nil, err
	}
	if inString {
		return nil, &LabelError{name, start, "a string without end"}
	}
	return labels, nil
}

// addBO adds what is behind BO_: a number, a name, a colon, and more.
func (l Labels) addBO(rest string) error {
	head, _, found := strings.Cut(rest, ":")
	words := strings.Fields(head)
	if !found || len(words) != 2 {
		return errors.New("BO_: want an identifier, a name and a colon")
	}
	n, err := strconv.ParseUint(words[0], 10, 32)
	if err != nil {
		return fmt.Errorf("BO_: identifier %.20q: want a number of 32 bits", words[0])
	}
	if n == independentSignals {
		return nil
	}
	id, err := newID(uint32(n)&^extendedBit, n&extendedBit != 0)
	if err != nil {
		return fmt.Errorf("BO_: %w", err)
	}
	return l.add(id, words[1])
}
