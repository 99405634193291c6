package canhub_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub"
	"github.com/canhub-go/canhub/hub"
)

// listen runs a server until the test ends, and returns its URL.
func listen(t *testing.T, o *canhub.Opener, channel, url string) *canhub.Server {
	t.Helper()
	s, err := o.Listen(channel, url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return s
}

func TestListenLetsClientsOntoAChannel(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the page") })
	o := &canhub.Opener{Hub: h, Page: page}
	s := listen(t, o, "can0", "ws://127.0.0.1:0?token=secret")
	if s.Open() || strings.Contains(s.URL(), "secret") {
		t.Errorf("%s, open %v; want one that asks for its token and does not tell it", s.URL(), s.Open())
	}
	here := open(t, o, "hub:can0")
	there := open(t, o, s.URL()+"?token=secret")
	if err := there.Send(t.Context(), hub.Std(0x123, 1)); err != nil {
		t.Fatal(err)
	}
	if m, err := here.Recv(t.Context()); err != nil || m.String() != "123#01" {
		t.Errorf("received %v, %v", m, err)
	}
	if b, err := o.Open(t.Context(), s.URL()+"?token=guess"); err == nil || strings.Contains(err.Error(), "guess") {
		t.Errorf("with a wrong token: %v, %v", b, err)
	}
	r, err := http.Get("http" + strings.TrimPrefix(s.URL(), "ws"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	if body, _ := io.ReadAll(r.Body); string(body) != "the page" {
		t.Errorf("a browser gets %q", body)
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	o := &canhub.Opener{Hub: h}
	taken, err := o.Listen("can0", "ws://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ url, want string }{
		{"log:x.log", `unknown scheme "log"; known: ws://`},
		{"ws://127.0.0.1:0?json", `unknown option "json"; ws: has token, origin, clients`},
		{"ws://127.0.0.1:0?clients=0", "option clients=0: want a number from 1"},
		{"ws://127.0.0.1:0?token=", "option token: it is empty"},
		{"ws://127.0.0.1:0?token=SECRET&token=SECRET", "option token=...: want it once"},
		{"ws://127.0.0.1:0?origin=a.example.com&origin=[", `option origin=[: want a pattern`},
		{"ws://127.0.0.1:0?Token=SECRET", `unknown option "Token"`},
		{"ws://user:SECRET@127.0.0.1:0?json", `URL "ws://user:...@127.0.0.1:0?json"`},
		{"ws://127.0.0.1:0/can0", `path "can0": want ws://HOST:PORT`},
		{"wss://127.0.0.1:0?cert=no.pem&key=no.pem", "options cert and key: open no.pem"},
		{strings.TrimSuffix(taken.URL(), "/"), "bind: "},
	} {
		if s, err := o.Listen("can0", tt.url); err == nil || !strings.HasPrefix(err.Error(), "canhub: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want an error with %q", tt.url, s, err, tt.want)
		} else if strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v: it tells the token", tt.url, err)
		}
	}
	if _, err := (&canhub.Opener{}).Listen("can0", "ws://127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "an Opener with a Hub") {
		t.Errorf("without a hub: %v", err)
	}
	if err := taken.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	again, err := o.Listen("can0", strings.TrimSuffix(taken.URL(), "/")) // the address is free
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestEveryServerIsOpenedByItsURL(t *testing.T) {
	for _, scheme := range canhub.Schemes() {
		if scheme.Listen == nil || scheme.Name == "wss" { // which takes a certificate
			continue
		}
		t.Run(scheme.Name, func(t *testing.T) {
			h := hub.New(nil)
			defer h.Close()
			o := &canhub.Opener{Hub: h}
			ctx, stop := context.WithCancel(t.Context())
			s, err := o.Listen("can0", scheme.Name+"://127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			here, there := open(t, o, "hub:can0"), open(t, o, s.URL())
			if err := there.Send(t.Context(), hub.Std(0x123, 1)); err != nil {
				t.Fatal(err)
			}
			if m, err := here.Recv(t.Context()); err != nil || m.String() != "123#01" {
				t.Errorf("received %v, %v", m, err)
			}
			if err := here.Send(t.Context(), hub.Std(0x124, 2)); err != nil {
				t.Fatal(err)
			}
			if m, err := there.Recv(t.Context()); err != nil || m.String() != "124#02" {
				t.Errorf("received %v, %v", m, err)
			}
			stop()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}

			unused, err := o.Listen("can0", scheme.Name+"://127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if taken, err := o.Listen("can0", strings.TrimSuffix(unused.URL(), "/")); err == nil {
				taken.Close()
				t.Error("two servers have one address")
			}
			if err := unused.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}

func TestNobodyIsLetInBeforeRun(t *testing.T) {
	for _, scheme := range canhub.Schemes() {
		if scheme.Listen == nil || scheme.Name == "wss" {
			continue
		}
		h := hub.New(nil)
		defer h.Close()
		o := &canhub.Opener{Hub: h}
		s, err := o.Listen("can0", scheme.Name+"://127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if b, err := o.Open(ctx, s.URL()); err == nil {
			b.Close()
			if scheme.Name != "virtualcan" { // whose client does not wait for the server
				t.Errorf("%s: a client is in before Run", scheme.Name)
			}
		}
		cancel()
		if names := h.Channels(); len(names) != 0 {
			t.Errorf("%s: before Run there are the channels %v", scheme.Name, names)
		}
		s.Close()
	}
}

func TestServerOfTwoAddressesTellsBoth(t *testing.T) {
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() }) // after the servers
	o := &canhub.Opener{Hub: h}
	s := listen(t, o, "can0", "zeromcan://127.0.0.1:0?publish=0.0.0.0:0")
	if !s.Open() {
		t.Errorf("%s: not open, though anybody can read what it publishes", s.URL())
	}
	if s = listen(t, o, "can0", "zeromcan://127.0.0.1:0?publish=:0"); s.Open() { // and not of all the machine's addresses
		t.Errorf("%s: open, want loopback alone", s.URL())
	}
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 loopback: %v", err)
	} else {
		l.Close()
	}
	port := 0
	var publish string
	for range 100 { // for a port that is free, with the next one on the other loopback
		if port, publish = pairOfPorts(); port != 0 {
			break
		}
	}
	s = listen(t, o, "can0", fmt.Sprintf("zeromcan://127.0.0.1:%d?publish=%s", port, publish))
	if !strings.HasSuffix(s.URL(), "?publish="+publish) {
		t.Errorf("%s, want it to tell that it publishes at %s", s.URL(), publish)
	}
	if s.Open() {
		t.Errorf("%s: open, want loopback alone", s.URL())
	}
}

// pairOfPorts returns a port of 127.0.0.1 and the address of the next one on ::1, or
// 0 if that is taken.
func pairOfPorts() (port int, next string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, ""
	}
	defer l.Close()
	port = l.Addr().(*net.TCPAddr).Port
	next = fmt.Sprintf("[::1]:%d", port+1)
	n, err := net.Listen("tcp", next)
	if err != nil {
		return 0, ""
	}
	n.Close()
	return port, next
}
