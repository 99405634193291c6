package remote

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/internal/golden"

	"github.com/canhub-go/canhub/hub/hubtest"
)

// Every request that Python's server accepts is accepted, but for those that
// break RFC 6455, and gets the subprotocol that Python's server chooses.
func TestHandshakesOfPython(t *testing.T) {
	type handshake struct {
		Name     string `json:"name"`
		Request  string `json:"wire_text"`
		Kind     string `json:"direction"`
		Response string `json:"response_head"`
	}
	refused := map[string]int{
		"no_key": 400, "no_version": 400, "version_8": 400, "no_connection_header": 426, "two_protocol_headers": 0,
		"origin_header": 403, "upgrade_list": 101, "no_upgrade_header": 404, "other_path": 404, "uppercase_protocol": 0,
	}
	h := hubtest.New(t)
	address := serve(t, h, nil)
	for _, v := range golden.Load[handshake](t, "remote_handshake.json", 42) {
		if v.Kind != "handshake" {
			continue
		}
		t.Run(v.Name, func(t *testing.T) {
			resp := rawDial(t, address).upgrade(t, strings.ReplaceAll(v.Request, "<port>", "1"))
			want, listed := refused[v.Name]
			if !listed {
				want = http.StatusSwitchingProtocols
			}
			if want != 0 && resp.StatusCode != want {
				t.Fatalf("status %s, want %d; Python: %.40q", resp.Status, want, v.Response)
			}
			if !listed && !strings.Contains(v.Response, "Sec-WebSocket-Protocol: "+resp.Header.Get("Sec-WebSocket-Protocol")+"\r\n") {
				t.Errorf("subprotocol %q; Python: %q", resp.Header.Get("Sec-WebSocket-Protocol"), v.Response)
			}
			if e := resp.Header.Get("Sec-WebSocket-Extensions"); e != "" {
				t.Errorf("extensions %q, want none", e)
			}
		})
	}
}

func TestProtocolInCapitals(t *testing.T) {
	h := hubtest.New(t)
	c := rawDial(t, serve(t, h, nil))
	resp := c.upgrade(t, strings.Replace(head, protocolBinary, strings.ToUpper(protocolBinary), 1))
	c.text(t, `{"type": "bus_request", "payload": {"config": {"receive_own_messages": true}}}`)
	c.frame()
	c.binary(t, appendBinary(nil, &marker))
	if op, p, err := c.frame(); op != opBinary {
		t.Errorf("agreed on %s, and received %d %q, %v", resp.Header.Get("Sec-WebSocket-Protocol"), op, p, err)
	}
}

// status returns how the server answers a request for a WebSocket.
func status(t testing.TB, address, path, header string) int {
	t.Helper()
	r := strings.Replace(head, "GET /", "GET "+path, 1)
	if header != "" {
		r = strings.Replace(r, "Host: test\r\n", "Host: test\r\n"+header+"\r\n", 1)
	}
	return rawDial(t, address).upgrade(t, r).StatusCode
}

func TestTokenIsNeeded(t *testing.T) {
	address := serve(t, hubtest.New(t), &Options{Token: "secret"})
	for _, c := range []struct {
		path, header string
		want         int
	}{
		{"/", "", 401},
		{"/", "Authorization: Bearer wrong", 401},
		{"/", "Authorization: Basic secret", 401},
		{"/?token=", "", 401},
		{"/?token=secre", "", 401},
		{"/?token=secret", "Authorization: Bearer wrong", 401},
		{"/", "Authorization: Bearer secret", 101},
		{"/?token=secret", "", 101},
	} {
		if got := status(t, address, c.path, c.header); got != c.want {
			t.Errorf("%s with %q: status %d, want %d", c.path, c.header, got, c.want)
		}
	}
	dial(t, address, &DialOptions{Token: "secret"})
	_, err := Dial(t.Context(), address+"?token=other", nil)
	if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "other") {
		t.Errorf("Dial without a token: %v, want one that says 401, and not the token", err)
	}
}

func TestPagesOfOtherOriginsAreRefused(t *testing.T) {
	address := serve(t, hubtest.New(t), &Options{Origins: []string{"*.example.com"}})
	for origin, want := range map[string]int{
		"http://test": 101, "https://test": 101, "http://a.example.com": 101,
		"http://example.org": 403, "http://test.example.org": 403, "null": 403,
	} {
		if got := status(t, address, "/", "Origin: "+origin); got != want {
			t.Errorf("origin %s: status %d, want %d", origin, got, want)
		}
	}
}

// A stranger lets a name of his point to 127.0.0.1, and so his page is one of the
// server's own host.
func TestPagesOfAReboundNameAreRefused(t *testing.T) {
	ask := func(o *Options, host, origin string) int {
		r := strings.Replace(head, "Host: test", "Host: "+host+"\r\nOrigin: "+origin, 1)
		r = strings.Replace(r, "GET /", "GET /?token=secret", 1)
		return rawDial(t, serve(t, hubtest.New(t), o)).upgrade(t, r).StatusCode
	}
	for _, c := range []struct {
		o    *Options
		host string
		want int
	}{
		{nil, "evil.example.com", 403},
		{nil, "evil.example.com:54701", 403},
		{nil, "127.0.0.1.evil.example.com", 403},
		{&Options{Origins: []string{"*.example.org"}}, "evil.example.com", 403},
		{&Options{Origins: []string{"*.EXAMPLE.com"}}, "good.example.com", 101},
		{&Options{Origins: []string{"http://good.example.com:*"}}, "good.example.com:54701", 101},
		{&Options{Token: "secret"}, "good.example.com", 101}, // he does not know it
		{nil, "localhost:54701", 101},
		{nil, "127.0.0.1:54701", 101},
		{nil, "[::1]:54701", 101},
		{nil, "can.localhost", 101},
		{nil, "workstation:54701", 101},
	} {
		if got := ask(c.o, c.host, "http://"+c.host); got != c.want {
			t.Errorf("host %s with %+v: status %d, want %d", c.host, c.o, got, c.want)
		}
	}
	// One that is no browser may come by any name.
	if got := status(t, serve(t, hubtest.New(t), nil), "/", "X-Forwarded-Host: a.example.com"); got != 101 {
		t.Errorf("without an origin: status %d", got)
	}
}

func TestOriginsThatAreNoPatternsAdmitNobody(t *testing.T) {
	var log bytes.Buffer
	o := &Options{Origins: []string{"[", "*.example.com"}, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	address := serve(t, hubtest.New(t), o)
	for origin, want := range map[string]int{"http://a.example.com": 101, "http://example.org": 403} {
		if got := status(t, address, "/", "Origin: "+origin); got != want {
			t.Errorf("origin %s: status %d, want %d", origin, got, want)
		}
	}
	if n := strings.Count(log.String(), "no pattern"); n != 1 {
		t.Errorf("logged %q, want the pattern once", log.String())
	}
}

func TestFallbackAnswersOtherRequests(t *testing.T) {
	get := func(o *Options) (int, string) {
		w := httptest.NewRecorder()
		Handler(hubtest.New(t), o).ServeHTTP(w, httptest.NewRequest("GET", "/page", nil))
		return w.Code, w.Body.String()
	}
	if code, _ := get(nil); code != 404 {
		t.Errorf("without Fallback: status %d, want 404", code)
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page of "+r.URL.Path) })
	if code, body := get(&Options{Fallback: page}); code != 200 || body != "page of /page" {
		t.Errorf("status %d, body %q", code, body)
	}
}

func TestTooManyClientsGet503(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, &Options{MaxClients: 2})
	first := dial(t, address, nil)
	dial(t, address, nil)
	if _, err := Dial(t.Context(), address, nil); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("the third client: %v, want 503", err)
	}
	first.Close()
	hubtest.WaitPeers(t, h, "can0", 1)
	for deadline := time.Now().Add(patience); status(t, address, "/", "") != 101; {
		if time.Now().After(deadline) {
			t.Fatal("no room after a client has gone")
		}
	}
}

// Strangers who connect and say nothing, or little, do not add up.
func TestConnectionsWithoutAClientHaveABound(t *testing.T) {
	s := newServer(hubtest.New(t), nil)
	closed := 0
	conn := &closer{close: func() { closed++ }}
	for range maxWaiting + 10 {
		s.bound(conn, http.StateNew)
	}
	if closed != 10 {
		t.Errorf("%d connections are closed, want 10", closed)
	}
	for range 10 {
		s.bound(conn, http.StateClosed)
	}
	s.bound(conn, http.StateHijacked) // a client, which leaves room for one more
	s.bound(conn, http.StateNew)
	if s.bound(conn, http.StateNew); closed != 11 {
		t.Errorf("%d connections are closed, want 11", closed)
	}
}

type closer struct {
	net.Conn
	close func()
}

func (c *closer) Close() error { c.close(); return nil }

func TestServeReturnsTheListenersError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := Serve(t.Context(), l, hubtest.New(t), nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve on a closed listener: %v", err)
	}
}
