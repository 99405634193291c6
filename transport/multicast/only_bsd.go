//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package multicast

import "net"

// only has nothing to do on macOS and FreeBSD: a socket hears the interface on
// which it has joined. The others know no such thing.
func only(fd, family int, ifi *net.Interface) error { return nil }
