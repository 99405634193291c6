//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package multicast

import "net"

// only has nothing to do: a socket hears the interface on which it has joined.
func only(fd, family int, ifi *net.Interface) error { return nil }
