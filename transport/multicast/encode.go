package multicast

import (
	"fmt"

	"github.com/tinylib/msgp/msgp"

	"github.com/canhub-go/canhub/hub"
)

const (
	// maxDatagram is what python-can reads at most. What is longer it cuts, and
	// then cannot read.
	maxDatagram = 4096

	// maxEncoded is the longest datagram that appendMessage makes: 152 bytes and
	// data for small identifiers, 4 more for large ones.
	maxEncoded = 152 + 4 + 64

	maxStandardID = 1<<11 - 1
	maxExtendedID = 1<<29 - 1
)

// appendMessage appends the datagram for m to dst. The error, if m is not valid,
// matches hub.ErrInvalid, and dst is returned as it was. Of the flag hub.Own
// and of Seq nothing is sent.
func appendMessage(dst []byte, m *hub.Message) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return dst, err
	}
	// The names and their order are python-can's. A map of 11, then each name, of
	// up to 31 characters, behind the byte that says so.
	dst = append(dst, "\x8b\xa9timestamp"...)
	dst = msgp.AppendFloat64(dst, seconds(m.Timestamp))
	dst = append(dst, "\xaearbitration_id"...)
	dst = msgp.AppendUint32(dst, m.ID)
	dst = append(dst, "\xaeis_extended_id"...)
	dst = msgp.AppendBool(dst, m.Flags&hub.Extended != 0 || m.ID > maxStandardID)
	dst = append(dst, "\xafis_remote_frame"...)
	dst = msgp.AppendBool(dst, m.Flags&hub.Remote != 0)
	dst = append(dst, "\xaeis_error_frame"...)
	dst = msgp.AppendBool(dst, m.Flags&hub.Error != 0)
	dst = append(dst, "\xa7channel\xc0\xa3dlc"...) // channel is nil
	dst = append(dst, m.Len, 0xa4, 'd', 'a', 't', 'a')
	dst = msgp.AppendBytes(dst, m.Bytes())
	dst = append(dst, "\xa5is_fd"...)
	dst = msgp.AppendBool(dst, m.Flags&hub.FDF != 0)
	dst = append(dst, "\xaebitrate_switch"...)
	dst = msgp.AppendBool(dst, m.Flags&hub.BRS != 0)
	dst = append(dst, "\xb5error_state_indicator"...)
	dst = msgp.AppendBool(dst, m.Flags&hub.ESI != 0)
	return dst, nil
}

// seconds returns ns as the double that Python has for it: a division of all of
// ns gives another one for some.
func seconds(ns int64) float64 {
	return float64(ns/1e9) + float64(ns%1e9)/1e9
}

// refusedFD is the error for a CAN FD frame on a bus without.
func refusedFD(m *hub.Message) error {
	return fmt.Errorf("%w: Flags %v: CAN FD is off on this bus", hub.ErrInvalid, m.Flags)
}
