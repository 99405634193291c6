package zeromcan

import "github.com/canhub-go/canhub/hub"

// What tests need of the codec.
var (
	AppendSend       = appendSend
	AppendFrame      = appendFrame
	AppendEnvelope   = appendEnvelope
	AppendZMTP       = appendZMTP
	DecodeReply      = decodeReply
	DecodeName       = decodeName
	AppendErrorReply = appendErrorReply
)

const (
	MaxFrame  = maxFrame
	MaxTopics = maxTopics
)

// DecodeSend reads a request, and returns its call, its name and its message.
func DecodeSend(b []byte) (call int64, name string, m hub.Message, err error) {
	var r request
	err = decodeRequest(&r, b)
	return r.call, string(r.name), r.m, err
}

// DecodePublication reads a publication.
func DecodePublication(b []byte) (name string, m hub.Message, err error) {
	n, err := decodePublication(&m, b)
	return string(n), m, err
}
