//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package multicast

import (
	"net"
	"net/netip"
)

// bind returns a socket bound to the port on all addresses, for these systems
// cannot bind to a group. Package net lets several sockets have the port if it
// is given a group.
func bind(group netip.AddrPort, _ *net.Interface) (*net.UDPConn, error) {
	network := "udp6"
	if group.Addr().Is4() {
		network = "udp4"
	}
	return net.ListenUDP(network, net.UDPAddrFromAddrPort(group))
}
