package canlog

import (
	"bytes"
	"compress/zlib"

	"github.com/canhub-go/canhub/hub"
)

// A blfWriter is the encoder of BLF logs. It gathers objects until a container
// is full.
type blfWriter struct {
	channels numbers
	start    start
	stop     int64
	begun    bool // the header is written
	objects  []byte
	packed   bytes.Buffer
	zip      *zlib.Writer
	size     uint64 // of the file
	unpacked uint64
	count    uint32
}

func newBLFWriter(o *WriterOptions) *blfWriter {
	w := &blfWriter{
		channels: numbers{given: o.Channels},
		objects:  make([]byte, 0, blfMaxContainer),
		size:     blfHeaderSize,
		unpacked: blfHeaderSize,
	}
	w.zip, _ = zlib.NewWriterLevel(&w.packed, zlib.BestSpeed) // a known level
	return w
}

func (w *blfWriter) append(b []byte, e *Entry) ([]byte, string) {
	m := &e.Message
	channel, t, reason := place(&w.channels, &w.start, e)
	if reason != "" {
		return b, reason
	}
	w.stop = max(w.stop, m.Timestamp)
	w.count++

	var kind, size = uint32(blfTypeMessage), blfMessageSize
	switch {
	case m.Flags&hub.Error != 0:
		kind, size = blfTypeError, blfErrorSize
	case m.Flags&hub.FDF != 0:
		kind, size = blfTypeFD, blfFDSize
	}
	if len(w.objects)+blfHeaderV1+size > blfMaxContainer {
		b = w.flush(b)
	}
	var object [blfHeaderV1 + blfFDSize]byte
	copy(object[:], blfMark)
	little.PutUint16(object[4:], blfHeaderV1)
	little.PutUint16(object[6:], 1)
	little.PutUint32(object[8:], uint32(blfHeaderV1+size))
	little.PutUint32(object[12:], kind)
	little.PutUint32(object[16:], blfNanoseconds)
	little.PutUint64(object[24:], t)
	putFrame(object[blfHeaderV1:], kind, uint16(channel), e)
	w.objects = append(w.objects, object[:blfHeaderV1+size]...)
	return b, ""
}

// putFrame puts the frame of e behind the header of an object.
func putFrame(body []byte, kind uint32, channel uint16, e *Entry) {
	m := &e.Message
	id := m.ID
	if m.Flags&hub.Extended != 0 {
		id |= blfExtended
	}
	little.PutUint16(body, channel)
	if kind == blfTypeError {
		body[10] = m.Len
		little.PutUint32(body[16:], id)
		copy(body[24:], m.Bytes())
		return
	}
	if m.Flags&hub.Remote != 0 {
		body[2] |= blfRemote
	}
	if e.Dir == DirSent {
		body[2] |= blfSent
	}
	body[3] = m.DLC()
	little.PutUint32(body[4:], id)
	if kind == blfTypeMessage {
		copy(body[8:], m.Bytes())
		return
	}
	body[13] = blfEDL
	if m.Flags&hub.BRS != 0 {
		body[13] |= blfBRS
	}
	if m.Flags&hub.ESI != 0 {
		body[13] |= blfESI
	}
	body[14] = m.Len
	copy(body[blfFDLeast:], m.Bytes())
}

// flush makes a container of the objects there are.
func (w *blfWriter) flush(b []byte) []byte {
	if len(w.objects) == 0 {
		return b
	}
	if !w.begun {
		w.begun = true
		b = append(b, w.header(blfHeaderSize, blfHeaderSize, 0)...)
	}
	w.packed.Reset()
	w.zip.Reset(&w.packed)
	w.zip.Write(w.objects) // to memory: no errors
	w.zip.Close()

	var header [blfBaseSize + blfContainer]byte
	size := len(header) + w.packed.Len()
	copy(header[:], blfMark)
	little.PutUint16(header[4:], blfBaseSize)
	little.PutUint16(header[6:], 1)
	little.PutUint32(header[8:], uint32(size))
	little.PutUint32(header[12:], blfTypeContainer)
	little.PutUint16(header[16:], blfZlib)
	little.PutUint32(header[24:], uint32(len(w.objects)))
	b = append(b, header[:]...)
	b = append(b, w.packed.Bytes()...)
	b = append(b, make([]byte, size%4)...) // as others do, who read just as many
	w.size += uint64(size + size%4)
	w.unpacked += uint64(len(header) + len(w.objects))
	w.objects = w.objects[:0]
	return b
}

func (w *blfWriter) end(b []byte) []byte {
	if w.begun {
		return b
	}
	return append(b, w.header(blfHeaderSize, blfHeaderSize, 0)...)
}

// header returns the header of the file. At its begin, size and count are not
// known yet.
func (w *blfWriter) header(size, unpacked uint64, count uint32) []byte {
	h := make([]byte, blfHeaderSize)
	copy(h, "LOGG")
	little.PutUint32(h[4:], blfHeaderSize)
	copy(h[12:], []byte{2, 6, 8, 1}) // the version of the format
	little.PutUint64(h[16:], size)
	little.PutUint64(h[24:], unpacked)
	little.PutUint32(h[32:], count)
	if w.start.known {
		start, stop := newSystemTime(w.start.ns), newSystemTime(w.stop)
		copy(h[40:], start[:])
		copy(h[56:], stop[:])
	}
	return h
}

// final returns the header with what is known at the end.
func (w *blfWriter) final() []byte { return w.header(w.size, w.unpacked, w.count) }
