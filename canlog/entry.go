package canlog

import (
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/canhub-go/canhub/hub"
)

// An Entry is one frame of a log.
type Entry struct {
	// Channel is the name of the channel that the frame was seen on: one word
	// of printable characters, up to 255 bytes.
	Channel string
	// Message is the frame, with the time of the log as its Timestamp.
	Message hub.Message
	// Dir tells whether the host that logged the frame received or sent it.
	// Most logs do not say.
	Dir Dir
}

// A Dir is the direction of a frame, as seen by the host that logged it.
type Dir uint8

const (
	DirUnknown  Dir = iota // the log does not say
	DirReceived            // R: received from another node
	DirSent                // T: sent by this host
)

// String returns "unknown", "received" or "sent".
func (d Dir) String() string {
	switch d {
	case DirUnknown:
		return "unknown"
	case DirReceived:
		return "received"
	case DirSent:
		return "sent"
	}
	return fmt.Sprintf("Dir(%d)", uint8(d))
}

// CandumpName returns the name that candump -l gives the file of a log begun
// at start: "candump-2006-01-02_150405.log". candump uses the local time; so
// does a start that comes from [time.Now].
func CandumpName(start time.Time) string {
	return start.Format("candump-2006-01-02_150405.log")
}

// maxChannel is the most bytes that the name of a channel may have. Linux
// allows 15; other systems and logs name channels more freely.
const maxChannel = 255

// checkChannel tells where name is not a word of printable characters, as an
// offset, and why. The reason is empty if it is one.
func checkChannel[T string | []byte](name T) (offset int, reason string) {
	if len(name) == 0 {
		return 0, "the name of the channel is empty"
	}
	if len(name) > maxChannel {
		return maxChannel, fmt.Sprintf("the name of the channel is longer than %d bytes", maxChannel)
	}
	i := 0
	for i < len(name) && '!' <= name[i] && name[i] <= '~' {
		i++
	}
	if i == len(name) {
		return 0, "" // as good as always
	}
	for j, r := range string(name[i:]) {
		if r == utf8.RuneError || r == ' ' || !unicode.IsPrint(r) {
			return i + j, quoteAt(name, i+j) + " in the name of the channel"
		}
	}
	return 0, ""
}
