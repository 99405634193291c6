package virtualcan

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

// beyond are packets that hold more than the protocol has, and the messages in
// them.
var beyond = []struct {
	packet, message string
}{
	{"0000000e 40000705 00 00 0000000000000000", "705#R"},       // as gocanopen asks a node whether it lives
	{"0000000e 40000705 00 08 0000000000000000", "705#R8"},      // with a length
	{"0000000e 40000705 00 02 0102000000000000", "705#0102"},    // with data, so it is no remote frame
	{"0000000e 40123456 01 03 0000000000000000", "00123456#R3"}, // extended
	{"0000000e c0000123 00 00 0000000000000000", "00000123#R"},  // as SocketCAN marks an extended one
	{"0000000e 80000123 00 01 aa00000000000000", "00000123#AA"},
	{"0000000e 20000004 00 08 0001000000000000", "20000004#0001000000000000"}, // an error frame
	{"0000000e 00000ac6 00 01 c600000000000000", "00000AC6#C6"},               // too large for a standard one
	{"0000000e ffffffc7 01 01 8a00000000000000", "3FFFFFC7#8A"},
	{"0000000e 00000123 fe 01 bb00000000000000", "123#BB"},
	{"0000000e 00000123 ff 08 0102030405060708", "00000123#0102030405060708"},
}

// text returns packets in hexadecimal, a line each.
func text(stream []byte) (lines []string) {
	for ; len(stream) >= packetLen; stream = stream[packetLen:] {
		lines = append(lines, hex.EncodeToString(stream[:packetLen]))
	}
	return lines
}

func TestWhatAPacketHasBeyondItsFrameReachesOtherClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		sender := b.pipes.dial(t)
		own, other := collect(sender), collect(b.pipes.dial(t))
		client := newBus(b.pipes.dial(t), "", DialOptions{Logger: orSilent(nil)})
		defer client.Close()
		synctest.Wait()
		var stream []byte
		var packets, messages []string
		for _, v := range beyond {
			p := golden.Hex(t, strings.ReplaceAll(v.packet, " ", ""))
			stream = append(stream, p...)
			packets, messages = append(packets, hex.EncodeToString(p)), append(messages, v.message)
		}
		if _, err := sender.Write(stream); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if d := cmp.Diff(packets, text(other.got.Bytes())); d != "" {
			t.Errorf("another client received (-want +got):\n%s", d)
		}
		var atNode, atClient []string
		for _, m := range poll(t, b.node) {
			atNode = append(atNode, m.String())
		}
		if d := cmp.Diff(messages, atNode); d != "" {
			t.Errorf("a node of the hub received (-want +got):\n%s", d)
		}
		// A Bus receives the messages, and can send them on as they came.
		for range beyond {
			m, err := client.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			atClient = append(atClient, m.String())
			send(t, client, m)
		}
		synctest.Wait()
		if d := cmp.Diff(messages, atClient); d != "" {
			t.Errorf("a Bus received (-want +got):\n%s", d)
		}
		if d := cmp.Diff(packets, text(own.got.Bytes())); d != "" {
			t.Errorf("and sent on (-want +got):\n%s", d)
		}
		if s := b.Stats(); s.Malformed != 0 || s.Refused != 0 {
			t.Errorf("%+v, want nothing refused", s)
		}
		b.end()
	})
}

// decoded returns the message that a packet holds.
func decoded(t *testing.T, packet string) hub.Message {
	t.Helper()
	got, errs := decodeAll(golden.Hex(t, strings.ReplaceAll(packet, " ", "")))
	if len(got) != 1 || errs != nil {
		t.Fatalf("%s: %v, %v", packet, got, errs)
	}
	return got[0]
}

func TestATagThatDoesNotFitIsNotLookedAt(t *testing.T) {
	remote := decoded(t, "0000000e 40000705 00 00 0000000000000000")
	data := decoded(t, "0000000e 40000705 00 02 0102000000000000")
	change := func(m hub.Message, f func(m *hub.Message)) hub.Message {
		f(&m)
		return m
	}
	for name, m := range map[string]hub.Message{
		"another identifier": change(remote, func(m *hub.Message) { m.ID++ }),
		"another length":     change(remote, func(m *hub.Message) { m.Flags, m.Len = hub.FDF, 12 }),
		"CAN FD":             change(remote, func(m *hub.Message) { m.Flags = hub.FDF }),
		"an error frame":     change(remote, func(m *hub.Message) { m.Flags = hub.Error }),
		"extended":           change(remote, func(m *hub.Message) { m.Flags |= hub.Extended }),
		"of somebody else":   change(remote, func(m *hub.Message) { m.Tag &^= 1 << 62 }),
		"none":               change(remote, func(m *hub.Message) { m.Tag = 0 }),
	} {
		if err := uncarried(&m); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, want that it is not carried", name, err)
		}
	}
	for name, m := range map[string]hub.Message{
		"another identifier": change(data, func(m *hub.Message) { m.ID++ }),
		"no data":            change(data, func(m *hub.Message) { m.Data = [64]byte{} }), // with it, it would be a remote frame
		"of somebody else":   change(data, func(m *hub.Message) { m.Tag = 0x705 }),
		"any":                change(data, func(m *hub.Message) { m.Tag = 1<<64 - 1 }),
		// As who answers a remote frame may make it of that.
		"the answer": change(remote, func(m *hub.Message) { m.Flags, m.Len, m.Data[0] = 0, 1, 0x85 }),
	} {
		plain := m
		plain.Tag = 0
		if got, want := hex.EncodeToString(appendPacket(nil, &m)), hex.EncodeToString(appendPacket(nil, &plain)); got != want {
			t.Errorf("%s: wrote %s, want %s", name, got, want)
		}
	}
}
