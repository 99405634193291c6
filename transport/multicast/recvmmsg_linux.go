package multicast

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchLength is how many datagrams one system call reads at most.
const batchLength = 32

// controlLength is room for what control reads, on all architectures: two
// headers, a struct timespec of two 64-bit numbers, and the count.
const controlLength = 64

// An mmsghdr is struct mmsghdr of sys/socket.h.
type mmsghdr struct {
	unix.Msghdr
	n uint32 // bytes received
}

// A batch is room for several datagrams. Package golang.org/x/net reads as many
// at once, but allocates twice for each and takes twice the time to do it.
type batch struct {
	headers  [batchLength]mmsghdr
	slices   [batchLength]unix.Iovec
	names    [batchLength]unix.RawSockaddrInet6 // one of IPv4 is shorter
	controls [batchLength][controlLength]byte
	data     [batchLength][maxDatagram + 1]byte // one byte more than is allowed shows that there were more
}

func newBatch() *batch {
	b := new(batch)
	for i := range b.headers {
		b.slices[i].Base = &b.data[i][0]
		b.slices[i].SetLen(len(b.data[i]))
		h := &b.headers[i].Msghdr
		h.Iov = &b.slices[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Control = &b.controls[i][0]
	}
	return b
}

// recv fills b with what waits in a socket that does not block, and returns how
// many datagrams that are.
func (b *batch) recv(socket uintptr) (int, error) {
	for i := range b.headers { // the kernel has changed those that it used
		h := &b.headers[i].Msghdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlLength)
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, socket, uintptr(unsafe.Pointer(&b.headers)), batchLength, 0, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// from returns who has sent datagram i.
func (b *batch) from(i int) netip.AddrPort {
	name := &b.names[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&name.Port))[:])
	switch name.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), port)
	}
	return netip.AddrPort{}
}

// dropped returns how many datagrams the kernel has dropped for want of room in
// the socket, modulo 2^32. Kernels before 4.12 do not tell.
func dropped(socket uintptr) (uint32, bool) {
	const drops = 8 // SK_MEMINFO_DROPS of linux/sock_diag.h, the last
	var info [drops + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, socket, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return info[drops], errno == 0 && uintptr(size) == unsafe.Sizeof(info)
}
