package monitor_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/monitor"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"
)

func TestHostile(t *testing.T) {
	b := chromium(t)
	for _, c := range []struct {
		name string
		test func(t *testing.T, b context.Context)
	}{
		{"shows text as text", showsTextAsText},
		{"survives garbage", survivesGarbage},
		{"waits longer after each failure", waitsLonger},
		{"lists no more channels than it can", listsSomeChannels},
		{"survives settings of somebody else", survivesSettings},
		{"bounds what waits for a busy page", boundsWhatWaits},
		{"tells what it was too busy for", tellsWhatItWasTooBusyFor},
		{"bounds a recording", boundsARecording},
		{"says what the table leaves out", saysWhatIsLeftOut},
		{"keeps the focus", keepsTheFocus},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, b) })
	}
}

// speaks is a server that does what f does.
func speaks(t *testing.T, f func(ctx context.Context, c *websocket.Conn)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"can.binary+json.v1"}})
		if err != nil {
			t.Errorf("websocket: %v", err)
			return
		}
		defer c.CloseNow()
		f(r.Context(), c)
	})
}

// say sends texts. A page that is gone already is not an error.
func say(ctx context.Context, c *websocket.Conn, texts ...string) {
	for _, text := range texts {
		if c.Write(ctx, websocket.MessageText, []byte(text)) != nil {
			return
		}
	}
}

// mark is what must be shown and not be done.
const mark = `<img src=x onerror=hacked=1>`

func showsTextAsText(t *testing.T, b context.Context) {
	server := speaks(t, func(ctx context.Context, c *websocket.Conn) {
		say(ctx, c, `{"type": "bus_response", "payload": {"channel_info": "`+mark+`"}}`,
			`{"type": "error", "payload": "`+mark+`"}`,
			`{"type": "message", "payload": {"arbitration_id": 1, "is_extended_id": false, "data": [1]}}`)
		c.Read(ctx) // the bus_request
		c.Read(ctx) // what it sends
		c.Close(websocket.StatusInternalError, mark)
	})
	s := siteOf(t, server, &monitor.Options{
		Labels:   monitor.Labels{{Value: 1}: mark},
		Channels: func() []string { return []string{mark, "javascript:alert(1)", "..", "a/b"} },
	})
	p := s.visit(b, "/"+"%3Cimg%20src=x%20onerror=hacked=1%3E", 1440, 900)
	const has = `.textContent.includes("` + mark + `")`
	for _, selector := range []string{"#state", "#notice", "#channels", "#rows", "#trace"} {
		p.wait(`document.querySelector("` + selector + `")` + has)
	}
	p.fill(`#send [name="id"]`, "123")
	p.click("#send .primary") // now the server ends it
	p.wait(`document.body.dataset.state === "waiting" && document.querySelector("#state")` + has)
	if got := eval[string](p, `[...document.querySelectorAll("img:not(h1 img), [onerror]"), globalThis.hacked ?? ""].join()`); got != "" {
		t.Errorf("text became %s", got)
	}
	for _, href := range eval[[]string](p, `[...document.querySelectorAll("#channels a")].map((a) => a.href)`) {
		if !strings.HasPrefix(href, "http://"+s.addr+"/") {
			t.Errorf("a channel leads to %s", href)
		}
	}
}

func survivesGarbage(t *testing.T, b context.Context) {
	garbage := []string{
		"", "{", "null", "[]", "1", `"x"`, "{}", `{"type": 1}`, `{"type": "message"}`, `{"type": "message", "payload": []}`,
		`{"type": "message", "payload": {"arbitration_id": {"toString": 1, "valueOf": 1}}}`,
		`{"type": "message", "payload": {"dlc": {"toString": 1}, "is_remote_frame": true}}`,
		`{"type": "message", "payload": {"data": [[[]]]}}`,
		`{"type": "message", "payload": {"data": {"length": 1e9}}}`,
		`{"type": "error", "payload": {"toString": 1}}`, `{"type": "bus_response", "payload": null}`,
		`{"type": "__proto__", "payload": {"__proto__": {"x": 1}}}`,
		strings.Repeat("[", 100000), strings.Repeat("x", 1<<20),
	}
	good := make([]byte, 15)
	good[0] = 1
	binary.BigEndian.PutUint64(good[1:], math.Float64bits(1.7e9))
	binary.BigEndian.PutUint32(good[9:], 0x123)
	server := speaks(t, func(ctx context.Context, c *websocket.Conn) {
		say(ctx, c, garbage...)
		for n := range len(good) {
			c.Write(ctx, websocket.MessageBinary, good[:n]) // the page may be gone, as above
		}
		for _, time := range []float64{math.NaN(), math.Inf(1), -1, 1e300, 0} {
			odd := append([]byte(nil), good...)
			binary.BigEndian.PutUint64(odd[1:], math.Float64bits(time))
			c.Write(ctx, websocket.MessageBinary, odd)
		}
		c.Write(ctx, websocket.MessageBinary, good)
		c.Read(ctx) // the bus_request
		c.Read(ctx) // until the page goes
	})
	p := siteOf(t, server, nil).visit(b, "/can0", 1440, 900)
	p.wait(row("123") + `?.querySelector(".c-count").textContent === "6"`)
	p.wait(`/^\d+ messages refused: /.test(document.querySelector("#losses-note").textContent)`)
	p.wait(`document.body.dataset.state === "open"`)
}

func waitsLonger(t *testing.T, b context.Context) {
	server := speaks(t, func(ctx context.Context, c *websocket.Conn) {
		say(ctx, c, `{"type": "bus_response", "payload": {}}`) // and the connection ends
		c.Close(websocket.StatusInternalError, "not today")
	})
	p := siteOf(t, server, nil).visit(b, "/can0", 1440, 900)
	p.wait(`/or in ([4-9]|\d\d) s/.test(document.querySelector("#retry").textContent)`)
}

func listsSomeChannels(t *testing.T, b context.Context) {
	var n atomic.Int32
	n.Store(100_000)
	s := newSite(t, &monitor.Options{Channels: func() []string {
		names := make([]string, n.Load())
		for i := range names {
			names[i] = fmt.Sprint("can", i)
		}
		return names
	}})
	p := s.open(b, "/can0")
	p.wait(`document.querySelector("#channels").textContent.includes("and 99,800 more")`)
	if got := eval[int](p, `document.querySelectorAll("#channels a").length`); got != 200 {
		t.Errorf("%d channels are listed, want 200", got)
	}
}

func survivesSettings(t *testing.T, b context.Context) {
	p := newSite(t, nil).open(b, "/can0")
	eval[bool](p, `(Object.assign(localStorage, { "canhub.nominal": "-1", "canhub.fast": "lots", "canhub.theme": "}" }), true)`)
	p.run(chromedp.Reload())
	p.wait(`document.body.dataset.state === "open" && document.querySelector("#load").textContent === "0.0 %"`)
	if got := eval[string](p, `nominal.value + " " + fast.value`); got != "500 2000" {
		t.Errorf("bit rates %s, want 500 2000", got)
	}
	p.fill("#nominal", "250")
	p.press("Enter")
	p.fill("#fast", "0") // cannot be
	p.press("Enter")
	p.run(chromedp.Reload())
	p.wait(`document.body.dataset.state === "open"`)
	if got := eval[string](p, `nominal.value + " " + fast.value`); got != "250 2000" {
		t.Errorf("bit rates %s, want 250 2000", got)
	}
}

// boundsWhatWaits asks the page's worker itself, and takes no pack from it.
func boundsWhatWaits(t *testing.T, b context.Context) {
	const count = 60 // of a mebibyte
	server := speaks(t, func(ctx context.Context, c *websocket.Conn) {
		c.Read(ctx) // the bus_request
		say(ctx, c, `{"type": "bus_response", "payload": {}}`)
		for range count {
			say(ctx, c, strings.Repeat("x", 1<<20))
		}
		c.Close(websocket.StatusNormalClosure, "")
	})
	s := siteOf(t, server, nil)
	p := s.visit(b, "/can0", 1440, 900)
	got := eval[map[string]int](p, `new Promise((done) => {
		const worker = new Worker("/socket.js"), out = { had: 0, lost: 0 };
		worker.onmessage = ({ data: { open, pack, lost, closed } }) => {
			if (open) worker.postMessage("");
			out.had += pack?.length ?? 0;
			out.lost += lost ?? 0;
			if (closed) done(out);
		};
		worker.postMessage({ url: "ws://`+s.addr+`/", protocols: ["can.binary+json.v1"] });
	})`)
	if got["had"]+got["lost"] != count+1 || got["had"] > 34 || got["had"] < 20 {
		t.Errorf("%d kept and %d lost of %d", got["had"], got["lost"], count+1)
	}
	// The page takes what comes.
	p.wait(fmt.Sprintf(`document.querySelector("#losses-note").textContent.startsWith("%d messages refused: text that is no JSON")`, count))
}

func tellsWhatItWasTooBusyFor(t *testing.T, b context.Context) {
	const count = 80            // of a mebibyte
	sent := make(chan struct{}) // closed by the server
	server := speaks(t, func(ctx context.Context, c *websocket.Conn) {
		c.Read(ctx) // the bus_request
		say(ctx, c, `{"type": "bus_response", "payload": {}}`)
		c.Read(ctx) // a frame: the page is busy
		for range count {
			say(ctx, c, strings.Repeat("x", 1<<20))
		}
		close(sent)
		c.Read(ctx) // until the page goes
	})
	p := siteOf(t, server, &monitor.Options{Channels: func() []string {
		<-sent
		return nil
	}}).open(b, "/can0")
	p.fill(`#send [name="id"]`, "123")
	// A synchronous request that is answered late keeps the page busy.
	eval[bool](p, `(() => {
		document.querySelector("#send .primary").click();
		const r = new XMLHttpRequest();
		r.open("GET", "/channels.json?late", false);
		r.send();
		return true;
	})()`)
	var lost, refused int
	if !soon(func() bool {
		lost = p.number("#losses")
		refused = eval[int](p, `parseInt(document.querySelector("#losses-note").textContent) || 0`)
		return lost+refused == count
	}) || lost < 10 {
		t.Errorf("%d messages lost and %d refused of %d", lost, refused, count)
	}
}

func boundsARecording(t *testing.T, b context.Context) {
	p := newSite(t, nil).open(b, "/can0")
	got := eval[[]int](p, `(async () => {
		const { Recording, MOST } = await import("/model.js");
		const { newFrame } = await import("/frame.js");
		const r = new Recording("can0"), f = newFrame();
		for (let i = 0; i < 100000; i++) r.take(f);
		const packs = r.packs.length;
		r.packs.length = MOST;
		for (let i = 0; i < 5; i++) r.take(f);
		return [packs, r.count, r.left];
	})()`)
	if got[0] < 5 || got[1] != 100000 || got[2] != 5 {
		t.Errorf("packs, messages and those left out: %d", got)
	}
}

func saysWhatIsLeftOut(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := hubtest.Open(t, s.hub, "can0", &hub.SubscriberOptions{SendOnly: true})
	p := s.open(b, "/can0")
	const ids = 100_000
	for id := range uint32(ids) {
		send(t, ecu, hub.Ext(id, 1))
	}
	p.wait(`document.querySelector("#total").textContent === "100,000"`)
	p.wait(`document.querySelector("#table-panel .bar").textContent.includes("2,048; 97,952 messages of further ones are not listed")`)
	if got := eval[int](p, `document.querySelectorAll("#rows tr").length`); got != 2048 {
		t.Errorf("%d rows", got)
	}
	p.fill("#filter", "1869F") // the last one is in the trace
	p.wait(`document.querySelectorAll("#trace .line:not([hidden])").length === 1`)
}

func keepsTheFocus(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	send(t, ecu, hub.Std(1), hub.Std(2), hub.Std(2), hub.Std(3), hub.Std(3), hub.Std(3))
	p.wait(row("003"))
	p.click("#table-panel .c-count button")
	const order = `[...document.querySelectorAll("#rows tr")].map((tr) => tr.firstChild.firstChild.data).join()`
	p.wait(order + ` === "003,002,001"`)
	p.fill("#filter", "-3")
	p.wait(`document.querySelectorAll("#rows tr:not([hidden])").length === 2`)
	eval[bool](p, `(document.querySelector("#table-panel .scroll").focus(), true)`)
	p.press("ArrowDown") // to the first row that is shown
	p.wait(`document.activeElement === ` + row("002"))
	for range 3 {
		send(t, ecu, hub.Std(2))
	}
	p.wait(order + ` === "002,003,001"`)
	p.wait(`document.activeElement === ` + row("002"))
	p.press("Enter")
	p.wait(`document.querySelector('#send [name="id"]').value === "002"`)
}
