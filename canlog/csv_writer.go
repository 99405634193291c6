package canlog

import (
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/canhub-go/canhub/hub"
)

// A csvWriter is the encoder of CSV logs.
type csvWriter struct {
	nanoseconds bool
	begun       bool
	channel     string // of all entries, once there is one
}

func (w *csvWriter) append(b []byte, e *Entry) ([]byte, string) {
	m := &e.Message
	switch {
	case m.Flags&hub.FDF != 0:
		return b, "it has no CAN FD frames: nothing would tell them from others"
	case w.channel != "" && e.Channel != w.channel:
		return b, fmt.Sprintf("it has no column for the channel: a log that begins with %s cannot also hold %s",
			w.channel, e.Channel)
	}
	w.channel = e.Channel
	b = w.flush(b)
	t := uint64(m.Timestamp)
	b = strconv.AppendUint(b, t/1e9, 10)
	b = appendFraction(b, t, w.nanoseconds)
	b = append(b, ",0x"...)
	b = strconv.AppendUint(b, uint64(m.ID), 16)
	for _, flag := range [...]hub.Flags{hub.Extended, hub.Remote, hub.Error} {
		if m.Flags&flag != 0 {
			b = append(b, ",1"...)
		} else {
			b = append(b, ",0"...)
		}
	}
	b = append(b, ',', '0'+m.Len, ',')
	b = base64.StdEncoding.AppendEncode(b, m.Bytes())
	return append(b, '\n'), ""
}

// flush writes the header, the one thing that is kept back, if only until the
// first entry.
func (w *csvWriter) flush(b []byte) []byte {
	if !w.begun {
		w.begun = true
		b = append(b, csvHeader+"\n"...)
	}
	return b
}

func (w *csvWriter) end(b []byte) []byte { return w.flush(b) }
