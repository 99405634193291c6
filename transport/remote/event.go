package remote

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The types of events that mean something here.
const (
	busRequest    = "bus_request"
	busResponse   = "bus_response"
	message       = "message"
	periodicStart = "periodic_start"
	periodicStop  = "periodic_stop"
	errorEvent    = "error"
)

// An event is a text message.
type event struct {
	name    string
	payload json.RawMessage // nil if there is none
}

// errSyntax is matched where a text is not JSON. That ends a session.
var errSyntax = errors.New("text message: not JSON")

// parseEvent reads a text message. A name that is no string is "".
func parseEvent(text []byte) (event, error) {
	if !utf8.Valid(text) {
		return event{}, fmt.Errorf("%w: not UTF-8", errSyntax)
	}
	members, err := object(text)
	if err != nil && !json.Valid(text) {
		text = withoutNaN(text)
		if members, err = object(text); err != nil && !json.Valid(text) {
			return event{}, fmt.Errorf("%w: %w", errSyntax, err)
		}
	}
	if err != nil {
		return event{}, errors.New("text message: not an object")
	}
	raw, ok := members["type"]
	if !ok {
		return event{}, errors.New("text message: without a type")
	}
	e := event{payload: members["payload"]}
	if json.Unmarshal(raw, &e.name) != nil {
		e.name = ""
	}
	switch e.name {
	case busRequest, message, periodicStart, errorEvent:
		if e.payload == nil {
			return e, fmt.Errorf("%s: without a payload", e.name)
		}
	}
	return e, nil
}

// object reads the members of an object. Names count letter by letter, and of
// two with the same name the last does, as in Python.
func object(v json.RawMessage) (map[string]json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(v, &members); err != nil {
		return nil, err
	}
	if members == nil {
		return nil, errors.New("null: want an object")
	}
	return members, nil
}

// withoutNaN puts null for the bare words that Python writes for floats that are
// no numbers.
func withoutNaN(text []byte) []byte {
	var out []byte
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(text):
			out = append(out, c)
			i++
		case !quoted:
			rest := text[i:]
			for _, word := range []string{"NaN", "-Infinity", "Infinity"} {
				if bytes.HasPrefix(rest, []byte(word)) {
					out = append(out, "null"...)
					i += len(word) - 1
					rest = nil
					break
				}
			}
			if rest == nil {
				continue
			}
		}
		out = append(out, text[i])
	}
	return out
}

// appendEvent appends an event whose payload is anything that JSON can say.
func appendEvent(dst []byte, name string, payload any) ([]byte, error) {
	dst = append(dst, `{"type": "`...)
	dst = append(dst, name...)
	dst = append(dst, `", "payload": `...)
	p, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	return append(append(dst, p...), '}'), nil
}
