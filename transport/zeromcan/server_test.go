package zeromcan_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
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
	slow := newPeer(t, s.Publish, "SUB")
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
	p := newPeer(t, s.Publish, "SUB")
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
	p := newPeer(t, s.Address, "DEALER")
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

// A client that has gone on from an earlier server, or that thinks of a name.
func TestOtherNamesArePublishedAsTheyAre(t *testing.T) {
	s := serve(t, newHub(t), zeromcan.Options{})
	sub := newPeer(t, s.Publish, "SUB")
	sub.subscribe(t, topicOld(1, ""))
	m := hub.Ext(3, 1, 200)
	if got := newPeer(t, s.Address, "REQ").call(t, zeromcan.AppendSend(nil, "größe", &m)); string(got) != "\x92\x00\xc0" {
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

func TestServeRefusesWhatItCannotDo(t *testing.T) {
	h := newHub(t)
	used, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for want, o := range map[string]*zeromcan.Options{
		"MaxClients -1":             {MaxClients: -1},
		"Queue 65537":               {Queue: 65537},
		`address "localhost"`:       {Address: "localhost"},
		"a port of 0 to 65535":      {Address: "localhost:70000"},
		"there is no port after":    {Address: "localhost:65535"},
		`Publish "localhost"`:       {Address: "127.0.0.1:0", Publish: "localhost"},
		used.Addr().String():        {Address: used.Addr().String()},
		"zeromcan: publish: listen": {Address: "127.0.0.1:0", Publish: used.Addr().String()},
	} {
		if err := zeromcan.Serve(t.Context(), h, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Serve with %+v: %v, want an error with %q", o, err, want)
		}
	}
	h.Close()
	if err := zeromcan.Serve(t.Context(), h, &zeromcan.Options{Address: "127.0.0.1:0"}); !errors.Is(err, hub.ErrClosed) {
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
