package zeromcan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

// A record is what a logger was told.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

func (r *record) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

// want waits for text in the log.
func (r *record) want(t testing.TB, text string) {
	t.Helper()
	for end := time.Now().Add(long); !strings.Contains(r.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log has\n%s\nwant %q", r, text)
		}
	}
}

func TestSlowSubscriberLosesOnlyItsOwnMessages(t *testing.T) {
	const number = 100_000
	log := new(record)
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{Queue: 16, Logger: log.logger()})
	slow := newPeer(t, s.publish, "SUB")
	if err := slow.Conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	slow.subscribe(t, []byte("\x00\x01\x01"))
	local, other := node(t, h), node(t, h)
	done := make(chan error, 1)
	go func() {
		for i := range number {
			if err := local.Send(context.Background(), hub.Ext(uint32(i), 1, 2, 3, 4, 5, 6, 7, 8)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range number {
		if m := recv(t, other); m.ID != uint32(i) {
			t.Fatalf("message %d is %v", i, m)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	log.want(t, "a subscriber is too slow")
	quick := dial(t, s, nil)
	send(t, local, hub.Std(1))
	hubtest.Want(t, quick, hub.Std(1))
	// What the slow one does get is whole and in order.
	last := -1
	for range 100 {
		_, body := slow.frame(t)
		_, m, err := zeromcan.DecodePublication(body)
		if err != nil || int(m.ID) <= last {
			t.Fatalf("%v behind %d, %v", m, last, err)
		}
		last = int(m.ID)
	}
}

func TestWhatIsNotCarriedIsLoggedAndPassedOver(t *testing.T) {
	log := new(record)
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{Logger: log.logger()})
	local, b := node(t, h), dial(t, s, nil)
	send(t, local, hub.RTR(1, 2), hub.FD(1, 2), hub.Message{ID: 1, Flags: hub.Error, Len: 8}, hub.Std(9))
	hubtest.Want(t, b, hub.Std(9))
	log.want(t, "the protocol has no remote frames")
	if n := strings.Count(log.String(), "not published"); n != 1 {
		t.Errorf("told %d times within a second, want once:\n%s", n, log)
	}
}

// What is counted after the last line of the log is told when Serve ends.
func TestTheLastCountIsTold(t *testing.T) {
	log := new(record)
	h := newHub(t)
	t.Run("", func(t *testing.T) {
		s := serve(t, h, zeromcan.Options{Logger: log.logger()})
		local, b := node(t, h), dial(t, s, nil)
		send(t, local, hub.RTR(1, 2), hub.FD(1, 2), hub.FD(1, 2), hub.Std(9))
		hubtest.Want(t, b, hub.Std(9))
	})
	log.want(t, "count=3")
}

// Neither by one server nor by the next: a client of the one goes on with its name
// at the other.
func TestNamesAreNotGivenTwice(t *testing.T) {
	given := make(map[string]bool)
	for server := range 3 {
		s := serve(t, newHub(t), zeromcan.Options{})
		for range 3 {
			b := dial(t, s, nil)
			if given[b.Name()] || !strings.HasPrefix(b.Name(), "client") {
				t.Errorf("server %d gives the name %q; given before: %v", server, b.Name(), given)
			}
			given[b.Name()] = true
			b.Close()
		}
	}
}

// subscriptions in both forms.
func topicOld(on byte, topic string) []byte {
	return zeromcan.AppendZMTP(nil, 0, append([]byte{on}, topic...))
}

func topicNew(command, topic string) []byte {
	return zeromcan.AppendZMTP(nil, 4, []byte(string(rune(len(command)))+command+topic))
}

func TestSubscriptionsAreKept(t *testing.T) {
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{})
	local, witness := node(t, h), dial(t, s, nil)
	p := newPeer(t, s.publish, "SUB")
	n := byte(0)
	hears := func(want bool, after ...[]byte) {
		t.Helper()
		n++
		p.subscribe(t, bytes.Join(after, nil))
		send(t, local, hub.Std(1, n))
		hubtest.Want(t, witness, hub.Std(1, n)) // now it is published to all
		if !want {
			return // what p hears next must be a later one
		}
		_, body := p.frame(t)
		if _, m, err := zeromcan.DecodePublication(body); err != nil || !m.Equal(hub.Std(1, n)) {
			t.Fatalf("%x is %v, %v, want message %d", body, m, err, n)
		}
	}
	hears(false)
	hears(true, topicOld(1, ""))
	hears(true, topicNew("SUBSCRIBE", ""), topicOld(0, ""))
	hears(false, topicNew("CANCEL", ""))
	hears(true, topicOld(1, "\x94\xa6canhub"))
	hears(true, topicOld(1, "\x94\xa6canhub"), topicNew("CANCEL", "another"), []byte("\x00\x01\x07"), []byte("\x04\x02\x01?"))
	hears(false, topicOld(0, "\x94\xa6canhub"), topicOld(0, "\x94\xa6canhub"), topicOld(1, "\x95"))
	hears(true, topicOld(1, "\x94"))
	p.say(t, bytes.Repeat(topicOld(1, ""), zeromcan.MaxTopics))
	p.mustEnd(t, "more subscriptions than one connection may have")
}

// Not REQ has sent these: no delimiter, or more than one part behind it.
func TestOddEnvelopes(t *testing.T) {
	s := serve(t, newHub(t), zeromcan.Options{})
	p := newPeer(t, s.calls, "DEALER")
	p.say(t, []byte("\x00\x03\x92\x01\x90")) // no answer
	p.say(t, []byte("\x01\x01a\x00\x03\x92\x01\x90"))
	p.say(t, []byte("\x04\x0b\x04PING\x00\x00test"))
	if flags, body := p.frame(t); flags != 4 || string(body) != "\x04PONGtest" {
		t.Errorf("frame %#x %q, want PONG", flags, body)
	}
	p.say(t, []byte("\x01\x00\x01\x03\x92\x01\x90\x00\x01a"))
	p.frame(t)
	if _, body := p.frame(t); !bytes.Contains(body, []byte("more than one part")) {
		t.Errorf("reply %q, want that it has more than one part", body)
	}
	if got := p.call(t, []byte("\x92\x01\x90")); string(got) != "\x92\x00\x01" {
		t.Errorf("then the reply is %x", got)
	}
}

// Proxies put the names of their clients first, and REQ a number if it is to
// (ZMQ_REQ_CORRELATE): the reply has them too, or it would not find its way.
func TestRepliesGoBackTheWayThatCallsCame(t *testing.T) {
	s := serve(t, newHub(t), zeromcan.Options{})
	p := newPeer(t, s.calls, "DEALER")
	for _, way := range []string{
		"\x01\x00",
		"\x01\x04\x00\x00\x00\x07\x01\x00",
		"\x01\x05\x00abcd\x01\x05\x00efgh\x01\x04\x00\x00\x00\x07\x01\x00",
	} {
		p.say(t, []byte(way+"\x00\x03\x92\x01\x90"))
		got := make([]byte, len(way)+5)
		if _, err := io.ReadFull(p.r, got); err != nil || string(got) != way+"\x00\x03\x92\x00\x01" {
			t.Errorf("behind %q comes %q, %v", way, got, err)
		}
	}
}

// libzmq says PING when it is time for it, be that between two parts.
func TestPINGBetweenThePartsOfACall(t *testing.T) {
	s := serve(t, newHub(t), zeromcan.Options{})
	p := newPeer(t, s.calls, "DEALER")
	p.say(t, []byte("\x01\x00\x04\x0b\x04PING\x00\x00test\x00\x03\x92\x01\x90"))
	want := "\x04\x09\x04PONGtest\x01\x00\x00\x03\x92\x00\x01"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(p.r, got); err != nil || string(got) != want {
		t.Errorf("the server says %q, %v, want %q", got, err, want)
	}
}

// With its PING a peer may say how long it can be silent and live.
func TestPeerThatIsSilentForItsTTLIsDisconnected(t *testing.T) {
	log := new(record)
	s := serve(t, newHub(t), zeromcan.Options{Logger: log.logger()})
	for address, kind := range map[string]string{s.calls: "REQ", s.publish: "SUB"} {
		p := newPeer(t, address, kind)
		p.say(t, []byte("\x04\x07\x04PING\x00\x01"))
		p.mustEnd(t, kind+" has said nothing for 0.1 s")
	}
	if text := log.String(); text != "" {
		t.Errorf("it is what they wanted, but the log has\n%s", text)
	}
}

// A client that has gone on from an earlier server, or that thinks of a name.
func TestOtherNamesArePublishedAsTheyAre(t *testing.T) {
	s := serve(t, newHub(t), zeromcan.Options{})
	sub := newPeer(t, s.publish, "SUB")
	sub.subscribe(t, topicOld(1, ""))
	m := hub.Ext(3, 1, 200)
	if got := newPeer(t, s.calls, "REQ").call(t, zeromcan.AppendSend(nil, "größe", &m)); string(got) != "\x92\x00\xc0" {
		t.Errorf("reply %q", got)
	}
	_, body := sub.frame(t)
	if name, got, err := zeromcan.DecodePublication(body); err != nil || name != "größe" || got != m {
		t.Errorf("published %q, %v, %v", name, got, err)
	}
}

func TestSendThatFindsNoRoomIsAnsweredInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		stuck, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer stuck.Close()
		from, err := h.Open("can0", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		for {
			began := time.Now()
			err := zeromcan.SendFrom(t.Context(), from, "x", hub.Std(1))
			if err == nil {
				continue
			}
			if d := time.Since(began); d != 3*time.Second || !strings.Contains(err.Error(), "not sent") {
				t.Errorf("%v after %v, want that it is not sent, after 3s", err, d)
			}
			return
		}
	})
}

// The channel waits for a subscriber that does not receive, and so do all who
// send. The client is told, and goes on when the channel does.
func TestClientHearsThatTheChannelIsStalled(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 3 seconds")
	}
	log := new(record)
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{Logger: log.logger()})
	stuck, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	b := dial(t, s, nil)
	for {
		if err = b.Send(t.Context(), hub.Std(1)); err != nil {
			break
		}
	}
	if !strings.Contains(err.Error(), "not sent: the channel has had no room for 3s") {
		t.Errorf("Send = %v, want what the server says", err)
	}
	log.want(t, "message of a client not sent")
	stuck.Close()
	send(t, b, hub.Std(2))
}

// Whatever becomes of the sends of many clients at once: what is answered as sent
// is published once, with its sender's name and in its sender's order, and what is
// refused never.
func TestPublishedIsWhatWasAnsweredAsSent(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes 3 seconds")
	}
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{Queue: 1 << 14})
	sub := newPeer(t, s.publish, "SUB")
	sub.subscribe(t, topicOld(1, ""))
	stuck, err := h.Open("can0", &hub.SubscriberOptions{Queue: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	const clients, more = 6, 50
	var sent [clients][]hub.Message
	var working, refused sync.WaitGroup
	free := make(chan struct{})
	refused.Add(clients)
	for i := range clients {
		p := newPeer(t, s.calls, "REQ")
		working.Go(func() {
			told := sync.OnceFunc(refused.Done)
			defer told()
			ask := func(n int) (refused bool) {
				m := hub.Std(uint32(i), byte(n), byte(n>>8))
				if _, err := p.Write(zeromcan.AppendEnvelope(nil, zeromcan.AppendSend(nil, fmt.Sprint("client of ", i), &m))); err != nil {
					t.Error(err)
					return true
				}
				if _, _, err := p.read(); err != nil {
					t.Error(err)
					return true
				}
				_, reply, err := p.read()
				if err != nil {
					t.Error(err)
					return true
				}
				if _, err := zeromcan.DecodeReply(reply); err != nil {
					return true
				}
				sent[i] = append(sent[i], m)
				return false
			}
			n := 0
			for ; !ask(n); n++ {
			}
			told()
			<-free
			for range more {
				if n++; ask(n) {
					t.Errorf("client %d is refused on a channel that works", i)
				}
			}
		})
	}
	refused.Wait()
	stuck.Close()
	close(free)
	working.Wait()
	total := 0
	for _, msgs := range sent {
		total += len(msgs)
	}
	var got [clients][]hub.Message
	for range total {
		_, body := sub.frame(t)
		name, m, err := zeromcan.DecodePublication(body)
		if err != nil || m.ID >= clients || name != fmt.Sprint("client of ", m.ID) {
			t.Fatalf("%v is published as of %q, %v", m, name, err)
		}
		got[m.ID] = append(got[m.ID], m)
	}
	for i := range clients {
		if !slices.Equal(got[i], sent[i]) {
			t.Errorf("client %d: %d messages are published, %d answered as sent, not the same", i, len(got[i]), len(sent[i]))
		}
	}
}

func TestListenTellsWhatIsWrong(t *testing.T) {
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for want, at := range map[string]place{
		`address "localhost"`:       {"localhost", ""},
		"a port of 0 to 65535":      {"localhost:70000", ""},
		"there is no port after":    {"localhost:65535", ""},
		`address "otherhost"`:       {"127.0.0.1:0", "otherhost"},
		used.Addr().String():        {used.Addr().String(), ""},
		"zeromcan: publish: listen": {"127.0.0.1:0", used.Addr().String()},
	} {
		calls, publish, err := zeromcan.Listen(at.calls, at.publish)
		if err == nil {
			calls.Close()
			publish.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "zeromcan: ") {
			t.Errorf("Listen at %+v: %v, want an error with %q", at, err, want)
		}
	}
}

// Who names a port alone means one beside that of the calls, and not one that all
// the network reaches.
func TestPublicationsAreOnTheHostOfTheCalls(t *testing.T) {
	s, _ := serveAt(t, newHub(t), zeromcan.Options{}, place{"127.0.0.1:0", ":0"})
	if !strings.HasPrefix(s.publish, "127.0.0.1:") {
		t.Errorf("calls are at %s, publications at %s", s.calls, s.publish)
	}
	// And so for a client: the error names what it wanted.
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	_, port, err := net.SplitHostPort(gone.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zeromcan.Dial(t.Context(), s.calls, &zeromcan.DialOptions{Publish: ":" + port}); err == nil || !strings.Contains(err.Error(), gone.Addr().String()) {
		t.Errorf("Dial with the publications at :%s: %v, want that %s is not there", port, err, gone.Addr())
	}
}

func TestServeRefusesWhatItCannotDo(t *testing.T) {
	listen := func() (calls, publish net.Listener) {
		calls, publish, err := zeromcan.Listen("127.0.0.1:0", "")
		if err != nil {
			t.Fatal(err)
		}
		return calls, publish
	}
	h := newHub(t)
	for want, o := range map[string]*zeromcan.Options{
		"MaxClients -1": {MaxClients: -1},
		"Queue 65537":   {Queue: 65537},
	} {
		calls, publish := listen()
		if err := zeromcan.Serve(t.Context(), calls, publish, h, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Serve with %+v: %v, want an error with %q", o, err, want)
		}
		if c, err := calls.Accept(); err == nil {
			c.Close()
			t.Errorf("Serve with %+v leaves its listener open", o)
		}
	}
	for i := range 2 {
		calls, publish := listen()
		[]net.Listener{calls, publish}[i].Close()
		if err := zeromcan.Serve(t.Context(), calls, publish, h, nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve with a closed listener: %v, want net.ErrClosed", err)
		}
	}
	calls, publish := listen()
	h.Close()
	if err := zeromcan.Serve(t.Context(), calls, publish, h, nil); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Serve with a closed hub: %v, want hub.ErrClosed", err)
	}
}

func TestServeEndsWithTheHub(t *testing.T) {
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{})
	b := dial(t, s, nil)
	h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	if _, err := b.Recv(ctx); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Recv = %v, want hub.ErrClosed", err)
	}
}
