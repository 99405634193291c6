package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// isolate gives cmd a user and a network namespace of its own: an empty network
// in which it may do what it likes.
func isolate(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	return nil
}

// loopbackMulticast brings up lo, which is all that a new network namespace
// has, and sends multicast through it. It refuses to touch any other network.
func loopbackMulticast() error {
	entries, err := os.ReadDir("/proc/self/net/dev_snmp6")
	if err == nil && len(entries) > 1 {
		return fmt.Errorf("%d interfaces: this is not a network of its own", len(entries))
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)

	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, lo); err != nil {
		return fmt.Errorf("flags of lo: %w", err)
	}
	if lo.Uint16()&unix.IFF_UP != 0 {
		return fmt.Errorf("lo is up already: this is not a network of its own")
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP | unix.IFF_MULTICAST)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}

	name := [...]byte{'l', 'o', 0}
	route := rtentry{
		dst:   unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{224}},
		gw:    unix.RawSockaddrInet4{Family: unix.AF_INET},
		mask:  unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{240}},
		flags: unix.RTF_UP,
		dev:   &name[0],
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCADDRT, uintptr(unsafe.Pointer(&route))); errno != 0 {
		return fmt.Errorf("multicast route: %w", errno)
	}
	return nil
}

// rtentry is struct rtentry of linux/route.h.
type rtentry struct {
	_             uint
	dst, gw, mask unix.RawSockaddrInet4
	flags         uint16
	_             int16
	_             uint
	_             uintptr
	metric        int16
	dev           *byte
	mtu, window   uint
	irtt          uint16
}
