package monitor_test

import (
	"fmt"
	"net"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canhub-go/canhub/internal/live"
)

// pythonServer is python-can-remote's server on a virtual bus, beside a node
// that answers each frame that it receives: identifier plus one, an FD frame,
// the same data.
const pythonServer = `
import sys, threading, can, can_remote
from can_remote.server import RemoteServer
server = RemoteServer("127.0.0.1", int(sys.argv[1]), interface="virtual", channel="page")
threading.Thread(target=server.serve_forever, daemon=True).start()
bus = can.Bus(interface="virtual", channel="page")
print("ready", flush=True)
for m in bus:
    bus.send(can.Message(arbitration_id=m.arbitration_id + 1, is_extended_id=m.is_extended_id,
        is_fd=True, bitrate_switch=True, data=m.data))
`

// TestPageWithPythonCANRemote connects the page to python-can-remote's server,
// behind a proxy that serves the page in the place of the server's own.
func TestPageWithPythonCANRemote(t *testing.T) {
	b := chromium(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // to find a free port
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	peer := live.Start(t, live.Python(t, "-c", pythonServer, fmt.Sprint(addr.Port)))
	end := sync.OnceFunc(peer.Kill)
	t.Cleanup(end)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr.String()); err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("python-can-remote does not listen")
		}
	}
	s := siteOf(t, httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr.String()}), nil)
	p := s.open(b, "/can0")
	p.fill(`#send [name="id"]`, "123")
	p.fill(`#send [name="data"]`, "AA BB")
	p.click("#send .primary")
	p.wait(`document.querySelector("#send-note").textContent.includes("seen on the bus")`)
	p.wait(row("123") + `?.querySelector(".tx")`)
	p.wait(row("124") + `?.textContent.includes("FD BRS")`)
	p.fill(`#send [name="id"]`, "200")
	p.fill(`#send [name="period"]`, "20")
	p.click("#start")
	p.wait(row("201") + ` && Number(` + row("201") + `.querySelector(".c-count").textContent) > 5`)
	p.fill(`#send [name="data"]`, "CC")
	p.click("#start") // again, with other data
	p.wait(row("201") + `.querySelector(".c-data").textContent === "CC"`)
	p.click("#periodics button")
	p.click("#send .primary")
	p.wait(`document.querySelector("#send-note").textContent.includes("seen on the bus")`)
	if got := p.text("#state"); !strings.HasPrefix(got, "Connected") {
		t.Errorf("after all: %s", got)
	}
}
