package zeromcan

import (
	"errors"
	"fmt"

	"github.com/tinylib/msgp/msgp"

	"github.com/canhub-go/canhub/hub"
)

// The calls of the protocol.
const (
	callVersion   = 1 // () -> 1
	callNewClient = 2 // () -> name
	callSend      = 3 // (name, id, extended, data) -> nil
)

// version is the only one that there is.
const version = 1

var (
	errRemote = unsupported("remote")
	errError  = unsupported("error")
	errFD     = unsupported("CAN FD")
)

func unsupported(kind string) error {
	return fmt.Errorf("zeromcan: the protocol has no %s frames: %w", kind, errors.ErrUnsupported)
}

// uncarried tells why m, which is valid, cannot be sent; nil if it can.
func uncarried(m *hub.Message) error {
	switch {
	case m.Flags&hub.Remote != 0:
		return errRemote
	case m.Flags&hub.Error != 0:
		return errError
	case m.Flags&hub.FDF != 0:
		return errFD
	}
	return nil
}

// appendCall appends a request without arguments.
func appendCall(dst []byte, code byte) []byte {
	return append(dst, 0x92, code, 0x90)
}

// appendSend appends the request to send m.
func appendSend(dst []byte, name string, m *hub.Message) []byte {
	return appendFrame(append(dst, 0x92, callSend), name, m)
}

// appendFrame appends [name, id, extended, data]: the arguments of a send and
// all of a publication. The frame must be one that can be carried.
func appendFrame(dst []byte, name string, m *hub.Message) []byte {
	dst = append(dst, 0x94)
	dst = msgp.AppendString(dst, name)
	dst = msgp.AppendUint32(dst, m.ID)
	dst = msgp.AppendBool(dst, m.Flags&hub.Extended != 0)
	data := m.Bytes()
	dst = msgp.AppendArrayHeader(dst, uint32(len(data)))
	for _, b := range data { // integers, not bytes of type bin
		dst = msgp.AppendUint8(dst, b)
	}
	return dst
}

// The replies: a status, 0 for success, and the result or what is wrong.

func appendVersionReply(dst []byte) []byte { return append(dst, 0x92, 0, version) }

func appendNameReply(dst []byte, name string) []byte {
	return msgp.AppendString(append(dst, 0x92, 0), name)
}

func appendSentReply(dst []byte) []byte { return append(dst, 0x92, 0, 0xc0) }

func appendErrorReply(dst []byte, err error) []byte {
	return msgp.AppendString(append(dst, 0x92, 1), err.Error())
}
