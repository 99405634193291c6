//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package multicast

import (
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A pen is what it takes to send: who has it sends.
type pen struct {
	datagram []byte
	raw      syscall.RawConn
	send     func(socket uintptr) bool // for raw.Write: sets err
	err      error
}

func newPen(conn *net.UDPConn) (*pen, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	p := &pen{datagram: make([]byte, 0, maxEncoded), raw: raw}
	p.send = func(socket uintptr) bool {
		for {
			if _, p.err = unix.Write(int(socket), p.datagram); p.err != unix.EINTR {
				return true // it does not wait
			}
		}
	}
	return p, nil
}

// try sends the datagram if that is possible without waiting, which it nearly
// always is: then the context needs no watching.
func (p *pen) try() (sent bool, err error) {
	if err := p.raw.Write(p.send); err != nil {
		return false, err
	}
	if p.err == unix.EAGAIN {
		return false, nil
	}
	return p.err == nil, os.NewSyscallError("write", p.err)
}
