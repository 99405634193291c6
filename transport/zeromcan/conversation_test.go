package zeromcan_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

type conversation struct {
	Frames      []*golden.Frame `json:"frames"`
	Connections []struct {
		Port     int       `json:"server_port"`
		Segments []segment `json:"tcp_segments_in_order"`
	} `json:"connections"`
}

type segment struct {
	From string `json:"from"`
	Hex  string `json:"hex"`
}

func recorded(t testing.TB) conversation {
	return golden.Load[conversation](t, "virtualcan_zmq_conversation.json", 1)[0]
}

// said returns all that one side says.
func said(t testing.TB, segments []segment, from string) (all []byte) {
	t.Helper()
	for _, s := range segments {
		if s.From == from {
			all = append(all, golden.Hex(t, s.Hex)...)
		}
	}
	return all
}

// Two of the original's clients, as libzmq has put them on the wire: this server
// says to them, byte for byte, what the original has said.
func TestRecordedClientsHearWhatTheOriginalServerSaid(t *testing.T) {
	c := recorded(t)
	var o zeromcan.Options
	zeromcan.CountFrom(&o, 0)
	s := serve(t, newHub(t), o)
	var peers []*peer
	var sends [][]byte // what is still to be said
	var heard [][]byte // what has been
	const ping = "\x04\x07\x04PING\x00\x00"
	const pong = "\x04\x05\x04PONG"
	for _, conn := range c.Connections {
		address := s.calls
		if conn.Port == zeromcan.DefaultPublishPort {
			address = s.publish
		}
		p := connect(t, address)
		peers = append(peers, p)
		var rest, got []byte
		for _, seg := range conn.Segments {
			b := golden.Hex(t, seg.Hex)
			switch {
			case seg.From == "client" && bytes.Contains(b, []byte("\x92\x03\x94")):
				rest = b
			case rest != nil:
			case seg.From == "client":
				p.say(t, b)
			case !bytes.HasPrefix(b, []byte("\x00")): // not a publication, and no FIN
				in := make([]byte, len(b))
				if _, err := io.ReadFull(p.r, in); err != nil {
					t.Fatal(err)
				}
				got = append(got, in...)
			}
		}
		if rest == nil {
			p.say(t, []byte(ping)) // to know that the subscription is in force
			in := make([]byte, len(pong))
			if _, err := io.ReadFull(p.r, in); err != nil || string(in) != pong {
				t.Fatalf("%q, %v, want PONG", in, err)
			}
		}
		sends, heard = append(sends, rest), append(heard, got)
	}
	for i, b := range sends {
		if b != nil {
			peers[i].say(t, b)
			in := make([]byte, 7)
			if _, err := io.ReadFull(peers[i].r, in); err != nil {
				t.Fatal(err)
			}
			heard[i] = append(heard[i], in...)
		}
	}
	for i, conn := range c.Connections {
		want := said(t, conn.Segments, "server")
		in := make([]byte, len(want)-len(heard[i]))
		if _, err := io.ReadFull(peers[i].r, in); err != nil {
			t.Fatal(err)
		}
		if got := append(heard[i], in...); !bytes.Equal(got, want) {
			t.Errorf("connection %d: the server said\n%x\nwant\n%x", i, got, want)
		}
	}
}

// play has a listener go through the segments with the first that connects: what
// is from the client it expects, what is from the server it says, and at "wait" it
// waits for the next gate.
func play(t *testing.T, segments []segment, gates ...chan struct{}) (address string, played chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	played = make(chan error, 1)
	end := make(chan struct{})
	t.Cleanup(func() { close(end); l.Close() })
	go func() {
		played <- func() error {
			c, err := l.Accept()
			if err != nil {
				return err
			}
			go func() { <-end; c.Close() }()
			if err := c.SetDeadline(time.Now().Add(long)); err != nil {
				return err
			}
			for i, s := range segments {
				b, err := hex.DecodeString(s.Hex)
				switch s.From {
				case "server":
					_, err = c.Write(b)
				case "wait":
					<-gates[0]
					gates = gates[1:]
				default:
					in := make([]byte, len(b))
					if _, err = io.ReadFull(c, in); err == nil && !bytes.Equal(in, b) {
						err = fmt.Errorf("segment %d: the client says\n%x\nwant\n%x", i, in, b)
					}
				}
				if err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	return l.Addr().String(), played
}

func hexed(b string) string { return fmt.Sprintf("%x", b) }

// The original server as recorded: this client says to it, byte for byte, what
// the original's has said; only its subscription has another form.
func TestRecordedServerHearsWhatTheOriginalClientSaid(t *testing.T) {
	c := recorded(t)
	sub := c.Connections[1].Segments
	for i, s := range sub {
		if s.From == "client" && strings.HasSuffix(s.Hex, hexed("\x04\x0a\x09SUBSCRIBE")) {
			sub[i].Hex = strings.TrimSuffix(s.Hex, hexed("\x04\x0a\x09SUBSCRIBE")) + hexed("\x00\x01\x01\x04\x07\x04PING\x00\x00")
			sub = append(sub[:i+1:i+1], append([]segment{{"server", hexed("\x04\x05\x04PONG")}}, sub[i+1:]...)...)
		}
	}
	calls, playedCalls := play(t, c.Connections[0].Segments)
	publish, playedPublish := play(t, sub)
	b := dial(t, place{calls, publish}, nil)
	send(t, b, c.Frames[0].Raw(t))
	hubtest.Want(t, b, c.Frames[1].Raw(t)) // and not its own
	for _, played := range []chan error{playedCalls, playedPublish} {
		if err := <-played; err != nil {
			t.Error(err)
		}
	}
	if s := b.Stats(); s.Sent != 1 || s.Received != 1 || s.Unwanted != 1 || s.Malformed != 0 {
		t.Errorf("Stats %+v", s)
	}
}

const (
	greetingHex   = "ff00000000000000017f03014e554c4c" + "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	readyREP      = "04190552454144590b536f636b65742d5479706500000003524550"
	readyPUB      = "04190552454144590b536f636b65742d5479706500000003505542"
	readyREQ      = "04260552454144590b536f636b65742d5479706500000003524551084964656e7469747900000000"
	readySUB      = "04190552454144590b536f636b65742d5479706500000003535542"
	askVersion    = "01000003920190"
	tellVersion   = "01000003920001"
	askName       = "01000003920290"
	tellName      = "0100000a9200a7636c69656e7430"
	subscribePING = "000101" + "0407" + "0450494e470000"
	tellPONG      = "0405" + "04504f4e47"
)

// callsOf and framesOf are servers that do well for a while.
func callsOf(more ...segment) []segment {
	return append([]segment{{"client", greetingHex}, {"server", greetingHex}, {"client", readyREQ}, {"server", readyREP},
		{"client", askVersion}, {"server", tellVersion}, {"client", askName}, {"server", tellName}}, more...)
}

func framesOf(more ...segment) []segment {
	return append([]segment{{"client", greetingHex}, {"server", greetingHex}, {"client", readySUB}, {"server", readyPUB},
		{"client", subscribePING}, {"server", tellPONG}}, more...)
}

func TestOddPublicationsArePassedOverAndCounted(t *testing.T) {
	odd := []segment{}
	for _, b := range []string{"", "\xc1", "\x94\xa1a\xcd\x08\x00\xc2\x90", "\x94\xa1a\x01\xc2\x91\xcd\x01\x2c", "\x94\xa1a\x01\xc2\xc0"} {
		odd = append(odd, segment{"server", hexed(string(zeromcan.AppendZMTP(nil, 0, []byte(b))))})
	}
	odd = append(odd, segment{"server", hexed("\x01\x01a\x00\x01b")}, // two parts
		segment{"server", hexed("\x04\x0a\x04PING\x00\x00abc")}, segment{"client", hexed("\x04\x08\x04PONGabc")})
	m := hub.Std(5, 6)
	odd = append(odd, segment{"server", hexed(string(zeromcan.AppendZMTP(nil, 0, zeromcan.AppendFrame(nil, "x", &m))))})
	calls, _ := play(t, callsOf())
	publish, played := play(t, framesOf(odd...))
	b := dial(t, place{calls, publish}, nil)
	hubtest.Want(t, b, m)
	if err := <-played; err != nil {
		t.Error(err)
	}
	if s := b.Stats(); s.Malformed != 6 {
		t.Errorf("Stats %+v, want 6 malformed", s)
	}
}

func TestOddServersEndTheBusAndNoMore(t *testing.T) {
	for name, more := range map[string][]segment{
		"a frame that is too long": {{"server", "02000000000000ffff"}},
		"a claim of 2^63-1 bytes":  {{"server", "027fffffffffffffff"}},
		"a claim of 2^64-1 bytes":  {{"server", "02ffffffffffffffff"}},
		"a flag that is not there": {{"server", "0801"}},
		"a message without end":    {{"server", strings.Repeat("0100", 100)}},
		"a command that is cut":    {{"server", "040109"}},
		"an endless PING":          {{"server", hexed(string(zeromcan.AppendZMTP(nil, 4, []byte("\x04PING"+strings.Repeat("x", 50)))))}},
	} {
		t.Run(name, func(t *testing.T) {
			calls, _ := play(t, callsOf())
			publish, _ := play(t, framesOf(more...))
			b, err := zeromcan.Dial(t.Context(), calls, &zeromcan.DialOptions{Publish: publish})
			if err == nil { // what follows the PONG may come before Dial returns
				defer b.Close()
				_, err = b.Recv(t.Context())
			}
			if err == nil || errors.Is(err, hub.ErrClosed) || !strings.Contains(err.Error(), "the peer sends") {
				t.Errorf("Recv or Dial: %v, want what the server does", err)
			}
		})
	}
}
