package remote

import (
	"fmt"
	"strings"
	"unicode"
)

// A CloseError tells how the other side has ended a session, if not in the
// regular way.
type CloseError struct {
	Code   int    // of RFC 6455, section 7.4.1; python-can-remote uses 1011
	Reason string // in the other side's words
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("remote: closed by the other side with status %d", e.Code)
	}
	return fmt.Sprintf("remote: closed by the other side with status %d: %s", e.Code, e.Reason)
}

// An EventError is an error event: something that a server could not do for this
// client. The connection goes on.
type EventError struct {
	Text string // in the server's words
}

func (e *EventError) Error() string { return "remote: the server reports: " + e.Text }

// printable cuts text from elsewhere to at most n bytes of valid UTF-8, without
// control characters, which may be meant for the terminal.
func printable(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > n {
		text = strings.ToValidUTF8(text[:n], "")
	}
	return text
}
