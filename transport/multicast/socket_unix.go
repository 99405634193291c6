//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package multicast

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// bind returns a socket bound to the group itself, so that it hears no other
// group on that port. Package net would bind it to all addresses.
func bind(group netip.AddrPort, ifi *net.Interface) (*net.UDPConn, error) {
	family := unix.AF_INET6
	if group.Addr().Is4() {
		family = unix.AF_INET
	}
	syscall.ForkLock.RLock() // no child process may inherit it
	fd, err := unix.Socket(family, unix.SOCK_DGRAM, unix.IPPROTO_UDP)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "multicast")
	defer f.Close() // FilePacketConn has its own

	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if runtime.GOOS != "linux" {
		// There it is what lets several sockets have one group and port. On Linux
		// it would keep out the programs of other users.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := only(fd, family, ifi); err != nil {
		return nil, err
	}
	var addr unix.Sockaddr
	if family == unix.AF_INET {
		addr = &unix.SockaddrInet4{Addr: group.Addr().As4(), Port: int(group.Port())}
	} else {
		a := &unix.SockaddrInet6{Addr: group.Addr().As16(), Port: int(group.Port())}
		if ifi != nil {
			a.ZoneId = uint32(ifi.Index)
		}
		addr = a
	}
	if err := unix.Bind(fd, addr); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	conn, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}
