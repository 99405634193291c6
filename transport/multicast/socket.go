package multicast

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// listen returns a socket that receives what is sent to the group.
func listen(group netip.AddrPort, ifi *net.Interface, buffer int) (*net.UDPConn, error) {
	conn, err := bind(group, ifi)
	if err != nil {
		return nil, err
	}
	udp := &net.UDPAddr{IP: group.Addr().AsSlice()}
	if group.Addr().Is4() {
		err = ipv4.NewPacketConn(conn).JoinGroup(ifi, udp)
	} else {
		err = ipv6.NewPacketConn(conn).JoinGroup(ifi, udp)
	}
	if err == nil {
		err = enlarge(buffer, conn.SetReadBuffer)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// enlarge asks for a buffer, and for half of it where that is too much: Linux and
// Windows cut what they are asked for, the BSDs refuse it.
func enlarge(size int, set func(bytes int) error) error {
	for {
		err := set(size)
		if err == nil || size < 1<<16 {
			return err
		}
		size /= 2
	}
}

// dial returns a socket that sends to the group, from a port of its own. It is
// connected, so that its address is known, and it receives nothing.
func dial(group netip.AddrPort, ifi *net.Interface, hops int) (*net.UDPConn, error) {
	remote := net.UDPAddrFromAddrPort(group)
	network := "udp6"
	if group.Addr().Is4() {
		network = "udp4"
	}
	var local *net.UDPAddr
	if ifi != nil {
		ip, err := source(ifi, group.Addr().Is4())
		if err != nil {
			return nil, err
		}
		local = ip
		if network == "udp6" {
			remote.Zone = ifi.Name
		}
	}
	conn, err := net.DialUDP(network, local, remote)
	if err != nil {
		return nil, err
	}
	if network == "udp4" {
		p := ipv4.NewPacketConn(conn)
		err = p.SetMulticastTTL(hops)
		if ifi != nil {
			err = errors.Join(err, p.SetMulticastInterface(ifi))
		}
	} else {
		p := ipv6.NewPacketConn(conn)
		err = p.SetMulticastHopLimit(hops)
		if ifi != nil {
			err = errors.Join(err, p.SetMulticastInterface(ifi))
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// source returns the address to send from on ifi. Of several IPv6 addresses one
// that is not link-local is better, for it is the same on all hosts.
func source(ifi *net.Interface, v4 bool) (*net.UDPAddr, error) {
	addrs, err := ifi.Addrs()
	if err != nil {
		return nil, err
	}
	var found *net.UDPAddr
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || (n.IP.To4() != nil) != v4 {
			continue
		}
		if !n.IP.IsLinkLocalUnicast() {
			return &net.UDPAddr{IP: n.IP}, nil
		}
		if found == nil {
			found = &net.UDPAddr{IP: n.IP}
			if !v4 {
				found.Zone = ifi.Name
			}
		}
	}
	if found == nil {
		family := "IPv6"
		if v4 {
			family = "IPv4"
		}
		return nil, fmt.Errorf("interface %q has no %s address", ifi.Name, family)
	}
	return found, nil
}
