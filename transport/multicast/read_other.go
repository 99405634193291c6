//go:build !linux

package multicast

import (
	"net"
	"time"
)

// A reader reads one datagram at a time.
type reader struct {
	conn     *net.UDPConn
	buffer   [1 << 16]byte // for the longest there is: some systems fail if one is cut
	receipts [1]receipt
}

func newReader(conn *net.UDPConn) (*reader, error) {
	return &reader{conn: conn}, nil
}

// each calls take with what comes, until that returns false or a read fails.
// The datagram is valid until take returns.
func (r *reader) each(take func([]receipt) bool) error {
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(r.buffer[:])
		if err != nil {
			return err
		}
		r.receipts[0] = receipt{data: r.buffer[:n], from: from, ns: time.Now().UnixNano()}
		if !take(r.receipts[:]) {
			return nil
		}
	}
}

// droppedBy: these systems do not tell it.
func droppedBy(*net.UDPConn) (n uint32, ok bool) { return 0, false }
