package multicast_test

import (
	"encoding/binary"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/transport/multicast"
)

// secondInterface adds a network to the namespace, a cable between two
// interfaces, and returns the name of one of them.
func secondInterface(t *testing.T) string {
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

// One group on two interfaces is two buses, also on a host that is on both.
func TestBusHearsItsOwnInterfaceOnly(t *testing.T) {
	if !isolated(t) {
		return
	}
	second := secondInterface(t)
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			on := func(name string) *multicast.Bus { return open(t, group, &multicast.Options{Interface: name}) }
			a, b := on("lo"), on("lo")
			c, d := on(second), on(second)
			send(t, a, hub.Std(1))
			send(t, c, hub.Std(2))
			send(t, a, marker)
			send(t, c, marker)
			hubtest.Want(t, b, hub.Std(1), marker)
			hubtest.Want(t, d, hub.Std(2), marker)
		})
	}
}
