package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/live"
)

// startServer starts a server in Python and returns its address.
func startServer(t *testing.T, pem ...string) (*live.Peer, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // for a port that is free
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	p := startPeer(t, nil, append([]string{"serve", strconv.Itoa(port)}, pem...)...)
	return p, fmt.Sprintf("ws://127.0.0.1:%d/", port)
}

func TestLivePythonServerRelaysEverything(t *testing.T) {
	for name, o := range map[string]DialOptions{"binary": {}, "JSON": {JSON: true}} {
		t.Run(name, func(t *testing.T) {
			p, address := startServer(t)
			o.KeepTimestamps = true
			a, b := dial(t, address, &o), dial(t, address, &o)
			want := everyKind(t)
			sent := make(chan error, 1)
			go func() {
				for _, m := range want {
					if err := a.Send(t.Context(), m); err != nil {
						sent <- err
						return
					}
				}
				sent <- nil
			}()
			equal(t, recvAll(t, b, len(want)), want)
			if err := <-sent; err != nil {
				t.Error(err)
			}
			a.Close()
			b.Close()
			p.Lines(t)
		})
	}
}

func TestLivePythonServerHasTheConfig(t *testing.T) {
	p, address := startServer(t)
	a := dial(t, address, nil)
	b := dial(t, address, &DialOptions{OwnMessages: true, Filters: []hub.Filter{{ID: 0x100, Mask: 0x700, StandardOnly: true}}})
	send(t, a, hub.Std(0x200), hub.Ext(0x101), hub.Std(0x1FF))
	hubtest.Want(t, b, hub.Std(0x1FF))
	send(t, b, hub.Std(0x123))
	hubtest.Want(t, b, hub.Std(0x123))
	if info := a.ChannelInfo(); !strings.Contains(info, "peer") {
		t.Errorf("ChannelInfo %q", info)
	}
	a.Close()
	b.Close()
	p.Lines(t)
}

func TestLivePythonServerSendsPeriodically(t *testing.T) {
	p, address := startServer(t)
	a, b := dial(t, address, nil), dial(t, address, nil)
	ctx := t.Context()
	task, err := a.SendPeriodic(ctx, hub.Std(0x123, 1), 10*time.Millisecond, 0)
	if err != nil {
		t.Fatal(err)
	}
	hubtest.Want(t, b, hub.Std(0x123, 1), hub.Std(0x123, 1))
	if err := task.Update(ctx, hub.Std(0x123, 2)); err != nil {
		t.Fatal(err)
	}
	drain(t, b, hub.Std(0x123, 2))
	for range 2 { // the second would end the session if it were sent
		if err := task.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	send(t, a, marker)
	drain(t, b, marker)
	short, err := a.SendPeriodic(ctx, hub.Std(0x124), 50*time.Millisecond, 70*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	drain(t, b, hub.Std(0x124))
	hubtest.Want(t, b, hub.Std(0x124))
	hubtest.WantNone(t, b)
	if err := short.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	send(t, a, marker)
	hubtest.Want(t, b, marker)
	a.Close()
	b.Close()
	p.Lines(t)
}

func TestLivePythonServerEndsASessionWithAReason(t *testing.T) {
	p, address := startServer(t)
	b := dial(t, address, nil)
	// What this package would never send: the reason is longer than a CLOSE may have.
	text, _ := appendEvent(nil, periodicStop, strings.Repeat("k", 300))
	if err := b.out.Put(t.Context(), b.life, outgoing{text: text}); err != nil {
		t.Fatal(err)
	}
	var closed *CloseError
	if err := recvError(t, b); !errors.As(err, &closed) || closed.Code != 1011 || !strings.Contains(closed.Reason, "kkk") || len(closed.Reason) < 300 {
		t.Errorf("Recv: %v", err)
	}
	p.Lines(t)
}

func TestLivePythonServerIsLost(t *testing.T) {
	p, address := startServer(t)
	b := dial(t, address, nil)
	p.Kill()
	if err := recvError(t, b); errors.Is(err, hub.ErrClosed) || !strings.Contains(err.Error(), "lost") {
		t.Errorf("Recv: %v, want one that says the connection is lost", err)
	}
}

func TestLivePythonServerOverTLS(t *testing.T) {
	certificate, key, pool := selfSigned(t)
	p, address := startServer(t, certificate, key)
	address = strings.Replace(address, "ws:", "wss:", 1)
	o := &DialOptions{TLS: &tls.Config{RootCAs: pool}, KeepTimestamps: true}
	a, b := dial(t, address, o), dial(t, address, o)
	want := everyKind(t)[:1000]
	for _, m := range want {
		send(t, a, m)
	}
	equal(t, recvAll(t, b, len(want)), want)
	a.Close()
	b.Close()
	p.Lines(t)
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) (certificate, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(parsed)
	write := func(name, kind string, p []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: p}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs), pool
}
