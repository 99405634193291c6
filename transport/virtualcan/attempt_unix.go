//go:build unix

package virtualcan

import (
	"net"
	"syscall"
)

// attempts returns a function that writes to conn what can be written without
// waiting, and returns how much that was.
func attempts(conn net.Conn) func(p []byte) int {
	tcp, ok := conn.(*net.TCPConn) // and nothing that has a Write of its own around it
	if !ok {
		return func([]byte) int { return 0 }
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return func([]byte) int { return 0 }
	}
	var p []byte
	var n int
	write := func(fd uintptr) (done bool) {
		n, _ = syscall.Write(int(fd), p) // an error comes again where it is waited for
		return true
	}
	return func(b []byte) int {
		p, n = b, 0
		raw.Write(write) // if the deadline is over or conn is closed, it is not called
		p = nil
		return max(n, 0)
	}
}
