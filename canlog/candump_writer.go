package canlog

// A candumpWriter is the encoder of candump's lines.
type candumpWriter struct {
	o     WriterOptions
	width int // to which names of channels are aligned
}

func newCandumpWriter(o *WriterOptions) *candumpWriter {
	return &candumpWriter{o: *o, width: min(o.ChannelWidth, maxChannel)}
}

func (w *candumpWriter) append(b []byte, e *Entry) ([]byte, string) {
	t := uint64(e.Message.Timestamp)
	b = append(b, '(')
	b = appendPadded(b, t/1e9, 10)
	b = appendFraction(b, t, w.o.Nanoseconds)
	b = append(b, ") "...)
	if w.width >= 0 {
		w.width = max(w.width, len(e.Channel))
		for range w.width - len(e.Channel) {
			b = append(b, ' ')
		}
	}
	b = append(b, e.Channel...)
	b = append(b, ' ')
	b, _ = e.Message.AppendText(b) // the error is always nil
	if w.o.Direction {
		switch e.Dir {
		case DirReceived:
			b = append(b, " R"...)
		case DirSent:
			b = append(b, " T"...)
		}
	}
	return append(b, '\n'), ""
}

func (w *candumpWriter) flush(b []byte) []byte { return b }
func (w *candumpWriter) end(b []byte) []byte   { return b }
