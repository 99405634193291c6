package netns

import (
	"encoding/binary"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Cable adds a network to the namespace of [Isolated], a cable between two
// interfaces, and returns the name of one of them.
func Cable(t *testing.T) string {
	t.Helper()
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	u32 := binary.NativeEndian.AppendUint32

	link := make([]byte, 16) // struct ifinfomsg
	link = attribute(link, unix.IFLA_IFNAME, []byte("cab\x00"))
	link = attribute(link, unix.IFLA_LINKINFO, attribute(nil, unix.IFLA_INFO_KIND, []byte("veth")))
	if err := request(s, unix.RTM_NEWLINK, link); err != nil {
		t.Skipf("the system has no virtual cable: %v", err)
	}
	all, err := net.Interfaces()
	must(err)
	for _, ifi := range all {
		up := u32([]byte{unix.AF_UNSPEC, 0, 0, 0}, uint32(ifi.Index))
		up = u32(u32(up, unix.IFF_UP), unix.IFF_UP)
		must(request(s, unix.RTM_NEWLINK, up))
	}
	ifi, err := net.InterfaceByName("cab")
	must(err)
	for _, ip := range []net.IP{net.IPv4(10, 9, 8, 7).To4(), net.ParseIP("fd00::7")} {
		family := byte(unix.AF_INET6)
		if len(ip) == 4 {
			family = unix.AF_INET
		}
		addr := u32([]byte{family, 24, unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE}, uint32(ifi.Index)) // struct ifaddrmsg
		addr = attribute(addr, unix.IFA_LOCAL, ip)
		addr = attribute(addr, unix.IFA_ADDRESS, ip)
		must(request(s, unix.RTM_NEWADDR, addr))
	}
	return ifi.Name
}
