package canhub_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/remote"
	"github.com/canhub-go/canhub/transport/virtualcan"
	"github.com/canhub-go/canhub/transport/zeromcan"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// write makes a file and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

const drive = `(1700000000.000000) can0 123#01
(1700000000.500000) can1 18FEF100#02
(1700000002.000000) can0 124#03
`

// open opens a bus that the test closes at its end.
func open(t *testing.T, o *canhub.Opener, url string) hub.Bus {
	t.Helper()
	b, err := o.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

func TestHubURLsOpenChannelsOfTheOpenersHub(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	o := &canhub.Opener{Hub: h}
	a := open(t, o, "hub:can0?keep=1")
	b := open(t, o, "hub:can0?filter=123&filter=200:700&queue=4")
	other := open(t, o, "hub:can1")
	for _, m := range []hub.Message{hub.Std(0x124), hub.Std(0x123, 1), hub.Std(0x2FF)} {
		m.Timestamp = 42
		if err := a.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []uint32{0x123, 0x2FF} {
		if m, err := b.Recv(t.Context()); err != nil || m.ID != want || m.Timestamp != 42 {
			t.Errorf("received %v at %d, %v; want %X at 42", m, m.Timestamp, err, want)
		}
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := other.Recv(done); err != context.Canceled {
		t.Errorf("another channel received %v, %v", m, err)
	}
}

func TestOptionsOfHubURLs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		o := &canhub.Opener{Hub: h}
		quiet := open(t, o, "hub:can0?listen")
		if err := quiet.Send(t.Context(), hub.Std(1)); err != hub.ErrListenOnly {
			t.Errorf("Send of a listen-only bus: %v", err)
		}
		own := open(t, o, "hub:can0?own=true&name=me")
		latest := open(t, o, "hub:can0?policy=drop-oldest&queue=1&errors")
		for id := range uint32(3) {
			if err := own.Send(t.Context(), hub.Std(id)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if m, err := own.Recv(t.Context()); err != nil || m.Flags != hub.Own {
			t.Errorf("own message: %v, flags %v, %v", m, m.Flags, err)
		}
		if m, err := latest.Recv(t.Context()); err != nil || m.Flags&hub.Error == 0 {
			t.Errorf("received %v, %v; want the error frame of the loss", m, err)
		}
		if m, err := latest.Recv(t.Context()); err != nil || m.ID != 2 {
			t.Errorf("received %v, %v; want the latest", m, err)
		}
	})
}

func TestZeromcanURLsAreClientsOfAServer(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	calls, publish, err := zeromcan.Listen("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- zeromcan.Serve(ctx, calls, publish, h, nil) }()
	defer func() { cancel(); <-done }()
	a := open(t, &canhub.Opener{}, fmt.Sprintf("zeromcan://%v?publish=%v&own", calls.Addr(), publish.Addr()))
	b := open(t, &canhub.Opener{}, fmt.Sprintf("zeromcan://%v?publish=%v&filter=123&wait=10s", calls.Addr(), publish.Addr()))
	for _, m := range []hub.Message{hub.Std(0x124), hub.Std(0x123, 1)} {
		if err := a.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []uint32{0x124, 0x123} {
		if m, err := a.Recv(t.Context()); err != nil || m.ID != want || m.Flags&hub.Own == 0 {
			t.Errorf("received %v, %v; want %X, its own", m, err, want)
		}
	}
	if m, err := b.Recv(t.Context()); err != nil || m.ID != 0x123 {
		t.Errorf("received %v, %v; want 123", m, err)
	}
}

func TestLogURLsPlayALogAtItsPace(t *testing.T) {
	path := write(t, "drive.log", drive)
	for _, tt := range []struct {
		query string
		want  []string // ms after the first Recv, and the frame
	}{
		{"", []string{"0 123#01", "500 18FEF100#02", "2000 124#03"}},
		{"?speed=2", []string{"0 123#01", "250 18FEF100#02", "1000 124#03"}},
		{"?speed=max", []string{"0 123#01", "0 18FEF100#02", "0 124#03"}},
		{"?maxpause=1s", []string{"0 123#01", "500 18FEF100#02", "1500 124#03"}},
		{"?loop=2&channel=can0", []string{"0 123#01", "2000 124#03", "2000 123#01", "4000 124#03"}},
		{"?filter=120:7F0&filter=000:80000000", []string{"0 123#01", "2000 124#03"}},
		{"?channel=can7&loop=forever", nil},
	} {
		t.Run(tt.query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := open(t, &canhub.Opener{}, "log:"+path+tt.query)
				time.Sleep(time.Hour) // it begins with the first Recv
				begin := time.Now()
				var got []string
				for {
					m, err := b.Recv(t.Context())
					if err == hub.ErrClosed {
						break
					} else if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprint(time.Since(begin).Milliseconds(), " ", m))
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("received %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestALogURLWithSlashesHasTheWholePath(t *testing.T) {
	path := filepath.ToSlash(write(t, "drive.log", drive))
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // C:/drive.log
	}
	for _, url := range []string{"log:" + path, "log://" + path} {
		if m, err := open(t, &canhub.Opener{}, url).Recv(t.Context()); err != nil || m.ID != 0x123 {
			t.Errorf("%s: received %v, %v", url, m, err)
		}
	}
}

func TestNamesWithPercentAndHashAreEscaped(t *testing.T) {
	path := write(t, "100% #1.log", drive)
	url := "log:" + strings.NewReplacer("%", "%25", "#", "%23").Replace(path)
	if m, err := open(t, &canhub.Opener{}, url).Recv(t.Context()); err != nil || m.ID != 0x123 {
		t.Errorf("%s: received %v, %v", url, m, err)
	}
}

func TestALogIsListenOnlyAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := open(t, &canhub.Opener{}, "log:"+write(t, "drive.log", drive)+"?loop=forever")
		if err := b.Send(t.Context(), hub.Std(1)); err != hub.ErrListenOnly {
			t.Errorf("Send: %v, want ErrListenOnly", err)
		}
		if _, err := b.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
		soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := b.Recv(soon); err != context.DeadlineExceeded {
			t.Errorf("Recv between two messages: %v", err)
		}
		ended := make(chan error)
		go func() { _, err := b.Recv(t.Context()); ended <- err }()
		synctest.Wait()
		b.Close()
		if err := <-ended; err != hub.ErrClosed {
			t.Errorf("Recv while Close: %v, want ErrClosed", err)
		}
		if _, err := b.Recv(t.Context()); err != hub.ErrClosed {
			t.Errorf("Recv after Close: %v, want ErrClosed", err)
		}
		if err := b.Send(t.Context(), hub.Std(1)); err != hub.ErrClosed {
			t.Errorf("Send after Close: %v, want ErrClosed", err)
		}
	})
}

func TestALineThatCannotBeReadIsAnErrorAndTheNextFollows(t *testing.T) {
	b := open(t, &canhub.Opener{}, "log:"+write(t, "drive.log", strings.Replace(drive, "18FEF100#02", "18FEF100#0", 1))+"?speed=max")
	if m, err := b.Recv(t.Context()); err != nil || m.ID != 0x123 {
		t.Fatalf("received %v, %v", m, err)
	}
	if _, err := b.Recv(t.Context()); err == nil || !strings.Contains(err.Error(), "drive.log:2:") {
		t.Errorf("%v, want an error that names file and line", err)
	}
	if m, err := b.Recv(t.Context()); err != nil || m.ID != 0x124 {
		t.Errorf("received %v, %v; want the line behind", m, err)
	}
}

func TestALogThatIsCutOffEndsWithAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drive.log.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	fmt.Fprint(z, drive)
	z.Flush()
	f.Close()
	b := open(t, &canhub.Opener{}, "log:"+path+"?speed=max")
	for range 3 {
		if _, err := b.Recv(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Recv(t.Context()); err == nil || err == hub.ErrClosed {
		t.Errorf("at the cut: %v, want an error that tells of it", err)
	}
	if _, err := b.Recv(t.Context()); err != hub.ErrClosed {
		t.Errorf("behind it: %v, want ErrClosed", err)
	}
}

func TestWebSocketURLsAreClients(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	handler := remote.Handler(h, &remote.Options{Token: "a b&c", Channels: []string{"can 1"}})
	for name, start := range map[string]func(http.Handler) *httptest.Server{"ws": httptest.NewServer, "wss": httptest.NewTLSServer} {
		t.Run(name, func(t *testing.T) {
			s := start(handler)
			defer s.Close()
			_, host, _ := strings.Cut(s.URL, "://")
			node, err := h.Open("can 1", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer node.Close()
			url := name + "://" + host + "/can%201?token=a+b%26c&own&keep&json&filter=100:700"
			if name == "wss" {
				url += "&insecure"
			}
			b := open(t, &canhub.Opener{}, url)
			m := hub.Std(0x123, 1)
			m.Timestamp = 1_500_000_000
			for _, m := range []hub.Message{hub.Std(0x200), m} {
				if err := b.Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			got, err := b.Recv(t.Context())
			if want := m; !got.Equal(want) || got.Timestamp != want.Timestamp || got.Flags&hub.Own == 0 {
				t.Errorf("received %v, %v, want %v", got, err, want)
			}
		})
	}
}

func TestVirtualcanURLsAreClients(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- virtualcan.Serve(ctx, l, h, nil) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	node, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := canhub.Open(t.Context(), "virtualcan://"+l.Addr().String()+"?filter=100:700")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Send(t.Context(), hub.Std(0x123, 1)); err != nil {
		t.Fatal(err)
	}
	if m, err := node.Recv(t.Context()); err != nil || !m.Equal(hub.Std(0x123, 1)) {
		t.Errorf("the server's side received %v, %v", m, err)
	}
	for _, m := range []hub.Message{hub.Std(0x223), hub.Std(0x124)} { // the client is there by now
		if err := node.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := b.Recv(t.Context()); err != nil || m.ID != 0x124 {
		t.Errorf("the client received %v, %v", m, err)
	}
}

func TestWrongURLsAreErrorsThatSayWhatIsRight(t *testing.T) {
	log := write(t, "drive.log", drive)
	h := hub.New(nil)
	defer h.Close()
	for _, tt := range []struct{ url, want string }{
		{"", "no scheme; known: hub:can0, multicast://239.74.163.2:43113"},
		{"can0", "no scheme"},
		{"carrier-pigeon:can0", `unknown scheme "carrier-pigeon"; known: hub:can0`},
		{"hub:can0?quue=3", `unknown option "quue"; hub: has name, queue, policy`},
		{"hub:can0?queue=0", "option queue=0: want a number from 1"},
		{"hub:can0?queue=x", "option queue=x: want a number from 1"},
		{"hub:can0?queue=1&queue=2", "option queue=2: want it once"},
		{"hub:can0?own=maybe", "option own=maybe: want true or false"},
		{"hub:can0?policy=lose", "option policy=lose: want block, drop-oldest or drop-newest"},
		{"hub:can0?blockfor=3", "option blockfor=3: want a duration such as"},
		{"hub:can0?filter=xyz", `option filter: hub: filter "xyz"`},
		{"hub:can0?listen&own", "OwnMessages with ListenOnly"},
		{"hub:", "want hub:CHANNEL"},
		{"hub://can0", "want hub:CHANNEL"},
		{"hub:///can0", "want hub:CHANNEL"},
		{"hub:can0#1", "a # must be written as %23"},
		{"hub:can0?name=%zz", "invalid URL escape"},
		{"hub:%zz", "invalid URL escape"},
		{"multicast://10.0.0.1", "not a multicast address"},
		{"multicast://239.74.163.2:0", `port "0": want 1 to 65535`},
		{"multicast://239.74.163.2:70000", `port "70000": want 1 to 65535`},
		{"multicast://[ff15::1]:x", `port "x": want 1 to 65535`},
		{"multicast://example.org", "not an IP address"},
		{"multicast://239.74.163.2/can0", `path "can0"`},
		{"multicast:?iface=nowhere0", `interface "nowhere0"`},
		{"multicast:?hops=256", "option hops=256: want a number from 1 to 255"},
		{"ws:can0", "want ws://HOST:PORT/CHANNEL"},
		{"ws://127.0.0.1:1/?insecure", `unknown option "insecure"; ws: has token, json`},
		{"ws://127.0.0.1:1/?bitrate=0", "option bitrate=0: want a number from 1"},
		{"ws://127.0.0.1:1/can0?token=secret", "open ws://127.0.0.1:1/can0?token=...: remote: dial ws://127.0.0.1:1/can0: "},
		{"virtualcan:can0", `path "can0": want virtualcan://HOST:PORT`},
		{"virtualcan://127.0.0.1:1/can0", `path "can0": want virtualcan://HOST:PORT`},
		{"virtualcan://:1", "open virtualcan://:1: virtualcan: dial tcp 127.0.0.1:1: "},
		{"ws://:1", "dial ws://127.0.0.1:1/: "},
		{"zeromcan://:1", "zeromcan: dial tcp 127.0.0.1:1: "},
		{"virtualcan://127.0.0.1:1?own", `unknown option "own"; virtualcan: has filter`},
		{"virtualcan://127.0.0.1:1?filter=xyz", `option filter: hub: filter "xyz"`},
		{"virtualcan://127.0.0.1:1", "open virtualcan://127.0.0.1:1: virtualcan: dial tcp 127.0.0.1:1: "},
		{"zeromcan://localhost:x", "want a port of 0 to 65535"},
		{"zeromcan://localhost/can0", `path "can0"`},
		{"zeromcan:?publish=x", `publication address "x": want HOST:PORT`},
		{"zeromcan:?wait=5", "option wait=5: want a duration such as"},
		{"log:" + log + "?speed=0", "option speed=0: want a number above 0, or max"},
		{"log:" + log + "?speed=NaN", "option speed=NaN"},
		{"log:" + log + "?loop=0", "option loop=0: want a number from 1"},
		{"log:" + log + ".txt", "drive.log.txt"},
		{"log:no/such.log", "no/such.log"},
		{"log:", "want log:FILE"},
		{"log://host/drive.log", "want log:FILE"},
		{"log:///no/such.log", "open /no/such.log"},
		{"multicast:///239.74.163.2", "not an IP address"},
	} {
		b, err := (&canhub.Opener{Hub: h}).Open(t.Context(), tt.url)
		if b != nil || err == nil || !strings.HasPrefix(err.Error(), "canhub: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want an error with %q", tt.url, b, err, tt.want)
		}
	}
	if _, err := canhub.Open(t.Context(), "hub:can0"); err == nil || !strings.Contains(err.Error(), "an Opener with a Hub") {
		t.Errorf("hub: without a hub: %v", err)
	}
	h.Close()
	if _, err := (&canhub.Opener{Hub: h}).Open(t.Context(), "hub:can0"); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("a hub that is closed: %v, want ErrClosed", err)
	}
}

// Somebody may be there, or nobody.
func TestAServerWithoutAHostIsOnThisMachine(t *testing.T) {
	for url, want := range map[string]string{
		"ws:":         "ws://127.0.0.1:54701/",
		"virtualcan:": "127.0.0.1:18881",
		"zeromcan:":   "127.0.0.1:5555",
	} {
		b, err := canhub.Open(t.Context(), url)
		if err == nil {
			b.Close()
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want one about %s", url, err, want)
		}
	}
}

func TestOpenLooksAtTheContextFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := canhub.Open(ctx, "nonsense"); err != context.Canceled {
		t.Errorf("%v, want context.Canceled", err)
	}
}

// Whatever Schemes tells can be written in a URL: nothing in it is an unknown
// option.
func TestSchemesTellsOptionsThatOpenKnows(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	log := write(t, "drive.log", drive)
	words := strings.NewReplacer("N", "3", "TEXT", "x", "NAME", "x", "DURATION", "1s", "BOOL", "false", "BYTES", "4096", "HOST:PORT", "localhost:1", "ID:MASK", "1:1")
	for _, s := range canhub.Schemes() {
		if !strings.HasPrefix(s.Form, s.Name+":") || s.Meaning == "" {
			t.Errorf("%q, form %q, meaning %q", s.Name, s.Form, s.Meaning)
		}
		for _, o := range s.Options {
			for value := range strings.SplitSeq(o.Value, "|") {
				url := strings.NewReplacer("drive.log", log, ":5555", ":1").Replace(s.Form) + "?" + o.Name + "=" + words.Replace(value)
				if s.Name == "multicast" && o.Name != "iface" {
					url += "&iface=nowhere0" // nothing must reach a network
				}
				b, err := (&canhub.Opener{Hub: h}).Open(t.Context(), url)
				if err == nil {
					b.Close()
				} else if strings.Contains(err.Error(), "option") {
					t.Errorf("%s: %v", url, err)
				}
			}
		}
	}
}
