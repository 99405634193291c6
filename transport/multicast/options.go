package multicast

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/canhub-go/canhub/hub"
)

// What python-can uses where nothing else is said.
const (
	// DefaultGroup is the IPv6 group of a python-can bus without a channel.
	DefaultGroup = "ff15:7079:7468:6f6e:6465:6d6f:6d63:6173"
	// DefaultGroupIPv4 is the IPv4 group that python-can offers.
	DefaultGroupIPv4 = "239.74.163.2"
	// DefaultPort is the UDP port.
	DefaultPort = 43113
)

// Options configure a [Bus]. Nil or the zero value is ready to use, and is what
// python-can does by default.
type Options struct {
	// Port is the UDP port to send to and to receive on. 1 to 65535.
	// Default: [DefaultPort].
	Port int
	// HopLimit is how many networks a datagram may pass (the TTL of IPv4).
	// 1 to 255; 1 stays in the local network. Default: 1.
	HopLimit int
	// Interface is the name of the network interface to send and to receive on,
	// such as "eth0". Default: the one that the system's routes choose.
	Interface string
	// NoFD is for a bus without CAN FD: Send refuses such frames with an error
	// that matches [hub.ErrInvalid], and received ones are passed over without
	// being logged. Default: false, with CAN FD.
	NoFD bool
	// OwnMessages also delivers the messages that this bus sent, marked
	// [hub.Own]. Default: false.
	OwnMessages bool
	// Filters select the messages to receive, as [hub.SubscriberOptions].Filters
	// does: any match is enough, none means all, and error frames always pass.
	// They work in this process, so all datagrams are received. Default: none.
	Filters []hub.Filter
	// ReadBuffer is how many bytes of memory to ask the system for, for messages
	// that wait to be read. A message needs 500 to 1500 of them. The system may
	// give less without saying so: Linux not more than net.core.rmem_max. 1 to
	// 1073741824. Default: 2097152, 2 MiB.
	ReadBuffer int
	// Logger hears of datagrams that are not frames, and of messages that the
	// system dropped, at most once a second each, as warnings. Its handler runs
	// in the goroutine that receives: it must not close the bus. Default: silent.
	Logger *slog.Logger
}

const (
	defaultHopLimit   = 1
	maxHopLimit       = 255
	maxPort           = 1<<16 - 1
	defaultReadBuffer = 2 << 20
	maxReadBuffer     = 1 << 30
)

func (o *Options) withDefaults() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	if r.Port == 0 {
		r.Port = DefaultPort
	}
	if r.HopLimit == 0 {
		r.HopLimit = defaultHopLimit
	}
	if r.ReadBuffer == 0 {
		r.ReadBuffer = defaultReadBuffer
	}
	switch {
	case r.Port < 1 || r.Port > maxPort:
		return r, fmt.Errorf("multicast: Port %d: want 1 to %d, or 0 for %d", r.Port, maxPort, DefaultPort)
	case r.HopLimit < 1 || r.HopLimit > maxHopLimit:
		return r, fmt.Errorf("multicast: HopLimit %d: want 1 to %d, or 0 for %d", r.HopLimit, maxHopLimit, defaultHopLimit)
	case r.ReadBuffer < 1 || r.ReadBuffer > maxReadBuffer:
		return r, fmt.Errorf("multicast: ReadBuffer %d: want 1 to %d, or 0 for %d", r.ReadBuffer, maxReadBuffer, defaultReadBuffer)
	}
	for i, f := range r.Filters {
		if f.StandardOnly && f.ExtendedOnly {
			return r, fmt.Errorf("multicast: Filters[%d]: StandardOnly and ExtendedOnly, which nothing matches", i)
		}
	}
	r.Filters = append([]hub.Filter(nil), r.Filters...) // the caller may change its own
	return r, nil
}

// resolve returns the address of group and the interface to use, nil for the
// system's choice.
func (o *Options) resolve(group string) (netip.Addr, *net.Interface, error) {
	if group == "" {
		group = DefaultGroup
	}
	addr, err := netip.ParseAddr(group)
	if err != nil {
		return addr, nil, fmt.Errorf("multicast: group %q: not an IP address, and names are not looked up", group)
	}
	zone := addr.Zone() // Unmap drops it
	addr = addr.Unmap()
	if !addr.IsMulticast() {
		return addr, nil, fmt.Errorf("multicast: group %q: not a multicast address (224.0.0.0/4 or ff00::/8)", group)
	}
	name := o.Interface
	if zone != "" {
		if name != "" && name != zone {
			return addr, nil, fmt.Errorf("multicast: group %q is on another interface than Interface %q", group, name)
		}
		name, addr = zone, addr.WithZone("")
	}
	if name == "" {
		return addr, nil, nil
	}
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return addr, nil, fmt.Errorf("multicast: interface %q: %w", name, err)
	}
	return addr, ifi, nil
}
