package multicast_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/transport/multicast"
)

// hops returns the hop limit with which the next datagram to the group comes,
// after send has sent it.
func hops(t *testing.T, group string, send func()) int {
	t.Helper()
	conn, err := net.ListenMulticastUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(group), Port: multicast.DefaultPort})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var buf [multicast.MaxDatagram]byte
	if net.ParseIP(group).To4() != nil {
		p := ipv4.NewPacketConn(conn)
		if err := p.SetControlMessage(ipv4.FlagTTL, true); err != nil {
			t.Fatal(err)
		}
		send()
		_, c, _, err := p.ReadFrom(buf[:])
		if err != nil {
			t.Fatal(err)
		}
		return c.TTL
	}
	p := ipv6.NewPacketConn(conn)
	if err := p.SetControlMessage(ipv6.FlagHopLimit, true); err != nil {
		t.Fatal(err)
	}
	send()
	_, c, _, err := p.ReadFrom(buf[:])
	if err != nil {
		t.Fatal(err)
	}
	return c.HopLimit
}

func TestHopLimitIs1UnlessAskedFor(t *testing.T) {
	if !isolated(t) {
		return
	}
	for family, group := range groups {
		t.Run(family, func(t *testing.T) {
			for _, c := range []struct{ option, want int }{{0, 1}, {1, 1}, {7, 7}, {255, 255}} {
				b := open(t, group, &multicast.Options{HopLimit: c.option})
				if got := hops(t, group, func() { send(t, b, marker) }); got != c.want {
					t.Errorf("HopLimit %d: datagrams have %d, want %d", c.option, got, c.want)
				}
			}
		})
	}
}

// Link-local groups are there on each interface, so they need its name.
func TestInterfaceMayBeAZone(t *testing.T) {
	if !isolated(t) {
		return
	}
	a := open(t, "ff12::1234%lo", nil)
	b := open(t, "ff12::1234", &multicast.Options{Interface: "lo"})
	send(t, a, hub.Std(1))
	hubtest.Want(t, b, hub.Std(1))
	send(t, b, hub.Std(2))
	hubtest.Want(t, a, hub.Std(2))
}

func TestEmptyGroupIsTheDefaultGroup(t *testing.T) {
	if !isolated(t) {
		return
	}
	a, b := open(t, "", nil), open(t, multicast.DefaultGroup, nil)
	send(t, a, hub.Std(1))
	hubtest.Want(t, b, hub.Std(1))
}

func TestSendRefusesWhatPythonWouldReject(t *testing.T) {
	if !isolated(t) {
		return
	}
	a, b := open(t, "", nil), open(t, "", nil)
	between := hub.FD(1)
	between.Len = 9
	for _, m := range []hub.Message{
		hub.Std(0x800), hub.Ext(1 << 29), between, {Flags: hub.BRS}, {Flags: hub.ESI},
		{Flags: hub.Remote | hub.FDF}, {Flags: hub.Remote | hub.Error}, hub.RTR(1, 9),
	} {
		if err := a.Send(t.Context(), m); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("Send(%v) = %v, want hub.ErrInvalid", m, err)
		}
	}
	send(t, a, marker)
	hubtest.Want(t, b, marker)
	if got, want := a.Stats(), (multicast.Stats{Sent: 1, Unwanted: 1}); got.Sent != want.Sent {
		t.Errorf("Stats %+v, want Sent 1", got)
	}
}

// With a context that can end too, and the receiving of its own datagram.
func TestSendDoesNotAllocate(t *testing.T) {
	if !isolated(t) {
		return
	}
	b := open(t, "", nil)
	m := hub.Std(0x123, 1, 2, 3)
	for _, ctx := range []context.Context{context.Background(), t.Context()} {
		if n := testing.AllocsPerRun(100, func() {
			if err := b.Send(ctx, m); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("Send with %v and receiving its datagram allocate %v times", ctx, n)
		}
	}
}
