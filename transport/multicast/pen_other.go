//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package multicast

import "net"

// A pen is what it takes to send: who has it sends.
type pen struct {
	datagram []byte
}

func newPen(*net.UDPConn) (*pen, error) {
	return &pen{datagram: make([]byte, 0, maxEncoded)}, nil
}

// try does nothing: these systems cannot be asked to send without waiting.
func (p *pen) try() (sent bool, err error) { return false, nil }
