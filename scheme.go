package canhub

import (
	"context"

	"github.com/canhub-go/canhub/hub"
)

// A Scheme is one kind of URL that [Open] knows.
type Scheme struct {
	Name    string // before the colon
	Form    string // an example
	Meaning string
	Options []Option
	// Listen are the options of [Opener.Listen]. Nil if there is no server of
	// the kind.
	Listen []Option

	open   func(ctx context.Context, o *Opener, a *address) (hub.Bus, error)
	listen func(o *Opener, channel string, a *address) (*Server, error)
}

// An Option may stand in the query of a URL.
type Option struct {
	Name    string
	Value   string // its form: a number, or words to choose from
	Meaning string // and the default
}

// Schemes returns all kinds of URLs that [Open] knows.
func Schemes() []Scheme {
	filter := Option{"filter", "ID:MASK", "receive only what matches, also ID~MASK or ID; may be there several times, any match is enough"}
	client := []Option{
		{"token", "TEXT", "what the server wants to be told (none)"},
		{"json", "BOOL", "frames as JSON (false)"},
		{"own", "BOOL", "receive own messages too (false)"},
		{"keep", "BOOL", "messages sent keep their timestamps (false)"},
		{"bitrate", "N", "in bit/s, for a server that has a device (not said)"},
		{"fd", "BOOL", "ask a server that has a device for CAN FD (not said)"},
		filter,
	}
	insecure := Option{"insecure", "BOOL", "take any certificate (false)"}
	server := []Option{
		{"token", "TEXT", "what a client must tell (nothing)"},
		{"origin", "PATTERN", "hosts whose web pages may connect, as *.example.com; may be there several times (its own)"},
		{"clients", "N", "who may be there at a time (1024)"},
	}
	certificate := []Option{
		{"cert", "FILE", "the certificate, in PEM (needed)"},
		{"key", "FILE", "its private key (needed)"},
	}
	return []Scheme{
		{
			Name: "hub", Form: "hub:can0", Meaning: "a channel of the hub in this process",
			Options: []Option{
				{"name", "TEXT", "the subscriber's name in logs and errors"},
				{"queue", "N", "messages that wait to be received (256)"},
				{"policy", "block|drop-oldest|drop-newest", "what happens to one more (block)"},
				{"blockfor", "DURATION", "how long block waits (no limit)"},
				{"own", "BOOL", "receive own messages too (false)"},
				{"keep", "BOOL", "messages sent keep their timestamps (false)"},
				{"errors", "BOOL", "receive an error frame where messages were lost (false)"},
				{"listen", "BOOL", "never send (false)"},
				filter,
			},
			open: openHub,
		},
		{
			Name: "multicast", Form: "multicast://239.74.163.2:43113", Meaning: "python-can's udp_multicast; without a group its IPv6 default",
			Options: []Option{
				{"iface", "NAME", "the network interface (what the system's routes choose)"},
				{"hops", "N", "networks that a frame may pass, 1 to 255 (1)"},
				{"fd", "BOOL", "carry CAN FD frames (true)"},
				{"own", "BOOL", "receive own messages too (false)"},
				{"buffer", "BYTES", "receive buffer to ask the system for (2097152)"},
				filter,
			},
			open: openMulticast,
		},
		{
			Name: "ws", Form: "ws://localhost:54701/can0", Meaning: "a channel of a server that speaks python-can-remote's protocol",
			Options: client, Listen: server,
			open: openRemote("ws"), listen: listenRemote,
		},
		{
			Name: "wss", Form: "wss://localhost:54701/can0", Meaning: "the same, over TLS",
			Options: append([]Option{insecure}, client...),
			Listen:  append(certificate, server...),
			open:    openRemote("wss"), listen: listenRemote,
		},
		{
			Name: "zeromcan", Form: "zeromcan://localhost:5555", Meaning: "a client of a virtualcan server with ZeroMQ",
			Options: []Option{
				{"publish", "HOST:PORT", "where the server publishes (the same host, the next port)"},
				{"wait", "DURATION", "how long the server may take to answer (5s)"},
				{"own", "BOOL", "receive own messages too (false)"},
				filter,
			},
			Listen: []Option{
				{"publish", "HOST:PORT", "where to publish (the same host, the next port)"},
				{"clients", "N", "connections to each of the two at a time (256)"},
			},
			open: openZeromcan, listen: listenZeromcan,
		},
		{
			Name: "virtualcan", Form: "virtualcan://localhost:18881", Meaning: "a server of windelbouwman/virtualcan's TCP protocol",
			Options: []Option{filter},
			Listen:  []Option{{"clients", "N", "who may be there at a time (256)"}},
			open:    openVirtualcan, listen: listenVirtualcan,
		},
		{
			Name: "log", Form: "log:drive.log", Meaning: "a log file (.log, .asc, .blf, .csv, .trc, also .gz), played from the first Recv on",
			Options: []Option{
				{"speed", "N|max", "times faster than recorded (1)"},
				{"loop", "N|forever", "how often to play it (1)"},
				{"maxpause", "DURATION", "cut longer pauses to this (no limit)"},
				{"channel", "NAME", "only this channel of the log (all)"},
				filter,
			},
			open: openLog,
		},
	}
}
