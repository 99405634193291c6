package multicast

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// only makes the socket deaf to what comes in on another interface than it has
// joined the group on. Linux hands that over too, if any program of the host has
// joined the group there.
func only(fd, family int, ifi *net.Interface) error {
	if family == unix.AF_INET {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if ifi == nil || family == unix.AF_INET {
		return nil
	}
	// For IPv6 the above does not look at the interface. Before Linux 5.7 this
	// takes a privilege; without it, the bus hears more.
	err := unix.BindToDevice(fd, ifi.Name)
	if err == unix.EPERM {
		return nil
	}
	return os.NewSyscallError("setsockopt", err)
}
