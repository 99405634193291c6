// Package netns runs tests in a network namespace of their own, so that nothing
// they send leaves the process tree, least of all multicast.
package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside is set in the environment of a test binary that runs in a namespace.
const inside = "CANHUB_TEST_NAMESPACE"

// noNetwork is the exit status of a process whose namespace is of no use. Go's
// own are 1 and 2.
const noNetwork = 77

// Setup belongs at the beginning of TestMain. In the process that [Isolated] has
// made it brings up the network; elsewhere it does nothing.
func Setup() {
	if os.Getenv(inside) == "" {
		return
	}
	if err := configure(); err != nil {
		fmt.Fprintln(os.Stderr, "network namespace:", err)
		os.Exit(noNetwork)
	}
}

// Isolated returns true in a process whose only network interface is a loopback
// interface of its own, with multicast routed to it. Elsewhere it runs the test
// in such a process, reports how it went, and returns false: then the test is
// over. Where the system gives no namespace the test is skipped, or fails if the
// environment has CANHUB_INTEROP=1.
func Isolated(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	args := []string{"-test.run=^" + regexp.QuoteMeta(t.Name()) + "$", "-test.v", "-test.timeout=100s"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), inside+"=1")
	if os.Getenv("GORACE") == "" {
		cmd.Env = append(cmd.Env, "GORACE=atexit_sleep_ms=0") // the race detector waits a second
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil && strings.Contains(string(out), "--- SKIP: "+t.Name()+" "):
		t.Skipf("skipped in its namespace:\n%s", out)
	case err == nil && !strings.Contains(string(out), "--- PASS: "+t.Name()+" "):
		t.Fatalf("the test did not run in its namespace:\n%s", out)
	case err == nil:
		if testing.Verbose() {
			t.Logf("in a network namespace:\n%s", out)
		}
	case errors.As(err, &exit) && exit.ExitCode() == noNetwork:
		// Where AppArmor restricts user namespaces (Ubuntu 24.04) one can be made,
		// but gives no right to configure anything.
		unavailable(t, strings.TrimSpace(string(out)))
	case errors.As(err, &exit):
		t.Fatalf("in a network namespace: %v\n%s", err, out)
	default:
		unavailable(t, err.Error())
	}
	return false
}

func unavailable(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CANHUB_INTEROP") == "1" {
		t.Fatalf("the system gives no network namespace: %s", why)
	}
	t.Skipf("the system gives no network namespace: %s", why)
}

// configure brings up the loopback interface of a new namespace, with multicast,
// and routes all groups to it.
func configure() error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	const lo = 1 // the index of the loopback interface in every namespace
	const flags = unix.IFF_UP | unix.IFF_MULTICAST
	u32 := binary.NativeEndian.AppendUint32

	link := []byte{unix.AF_UNSPEC, 0, 0, 0} // struct ifinfomsg
	link = u32(link, lo)
	link = u32(link, flags)
	link = u32(link, flags) // the flags to change
	if err := request(s, unix.RTM_NEWLINK, link); err != nil {
		return fmt.Errorf("lo up: %w", err)
	}

	// 224.0.0.0/4 dev lo src 127.0.0.1
	route4 := []byte{unix.AF_INET, 4, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_LINK, unix.RTN_UNICAST, 0, 0, 0, 0} // struct rtmsg
	route4 = attribute(route4, unix.RTA_DST, []byte{224, 0, 0, 0})
	route4 = attribute(route4, unix.RTA_OIF, u32(nil, lo))
	route4 = attribute(route4, unix.RTA_PREFSRC, []byte{127, 0, 0, 1})
	if err := request(s, unix.RTM_NEWROUTE, route4); err != nil {
		return fmt.Errorf("IPv4 route: %w", err)
	}

	// local ff00::/8 dev lo table local
	group := make([]byte, 16)
	group[0] = 0xff
	route6 := []byte{unix.AF_INET6, 8, 0, 0, unix.RT_TABLE_LOCAL, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_LOCAL, 0, 0, 0, 0}
	route6 = attribute(route6, unix.RTA_DST, group)
	route6 = attribute(route6, unix.RTA_OIF, u32(nil, lo))
	if err := request(s, unix.RTM_NEWROUTE, route6); err != nil {
		return fmt.Errorf("IPv6 route: %w", err)
	}
	return nil
}

// attribute appends a struct rtattr. All data here are multiples of 4 bytes.
func attribute(b []byte, kind uint16, data []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(data)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, data...)
}

// request sends one message to the kernel and waits for its acknowledgement.
func request(s int, kind uint16, body []byte) error {
	const flags = unix.NLM_F_REQUEST | unix.NLM_F_ACK | unix.NLM_F_CREATE
	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = binary.NativeEndian.AppendUint16(m, flags)
	m = append(m, make([]byte, 8)...) // sequence number and port: of no use here
	m = append(m, body...)
	if err := unix.Sendto(s, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	var answer [4096]byte
	n, _, err := unix.Recvfrom(s, answer[:], 0)
	if err != nil {
		return err
	}
	if n < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("netlink answers %x", answer[:n])
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
