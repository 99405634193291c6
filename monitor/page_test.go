package monitor_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/monitor"
	"github.com/canhub-go/canhub/transport/remote"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

func TestPage(t *testing.T) {
	b := chromium(t)
	for _, c := range []struct {
		name string
		test func(t *testing.T, b context.Context)
	}{
		{"shows traffic", showsTraffic},
		{"takes JSON", takesJSON},
		{"filters", filters},
		{"pauses the trace", pausesTheTrace},
		{"sends", sends},
		{"tells what cannot be sent", tellsWhatCannotBeSent},
		{"sends periodically", sendsPeriodically},
		{"records", records},
		{"survives a restart of the server", survivesARestart},
		{"tells why it was refused", tellsWhyItWasRefused},
		{"shows errors and losses", showsErrorsAndLosses},
		{"switches between channels", switchesChannels},
		{"fits a phone", fitsAPhone},
		{"is dark or light", isDarkOrLight},
		{"is used by keyboard", isUsedByKeyboard},
		{"holds 20,000 messages a second", holdsTheRate},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, b) })
	}
}

func showsTraffic(t *testing.T, b context.Context) {
	s := newSite(t, &monitor.Options{Labels: carLabels})
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	send(t, ecu, hub.Std(0x0C0, 0x01, 0x02), hub.Std(0x0C0, 0x01, 0x03), hub.Ext(0x0CF00400, 0xF1),
		hub.RTR(0x6F0, 4), withFlags(hub.FD(0x460, make([]byte, 64)...), hub.BRS))
	p.wait(row("6F0"))
	p.wait(row("460"))
	for id, want := range map[string]string{
		"0C0":      "0C0 | Engine | 01 03 | 2",
		"0CF00400": "0CF00400 | EEC1 | F1 | 1",
		"6F0":      "6F0 RTR |  | asks for 4 | 1",
		"460":      "460 FD BRS | Camera | " + strings.TrimSpace(strings.Repeat("00 ", 64)) + " | 1",
	} {
		got := eval[string](p, `((tr) => [...tr.cells].slice(0, 4).map((td) =>
			[...td.childNodes].map((n) => n.textContent).filter((s) => s.trim()).join(" ")).join(" | "))(`+row(id)+`)`)
		if got != want {
			t.Errorf("row of %s: %s, want %s", id, got, want)
		}
	}
	send(t, ecu, hub.Std(0x0C0, 0x02, 0x03))
	p.wait(row("0C0") + `.querySelectorAll(".b")[0].classList.contains("lit")`)
	p.wait(row("0C0") + `.querySelectorAll(".lit").length === 0`) // in time it goes out
	if got := p.number("#total"); got != 6 {
		t.Errorf("total is %d, want 6", got)
	}
	// The trace has them in their order.
	p.wait(`document.querySelectorAll("#trace .line:not([hidden])").length === 6`)
	got := eval[string](p, `[...document.querySelectorAll("#trace .line:not([hidden])")].map((l) =>
		["dir", "id", "len", "data"].map((c) => l.querySelector("." + c).textContent).join(" ")).slice(0, 4).join("\n")`)
	want := "Rx 0C0 2 01 02\nRx 0C0 2 01 03\nRx 0CF00400 1 F1\nRx 6F0 4 asks for 4"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}

func takesJSON(t *testing.T, b context.Context) {
	h := hubtest.New(t)
	server := remote.Handler(h, nil)
	s := siteOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Sec-WebSocket-Protocol", "can.json.v1") // as if the page knew no other
		server.ServeHTTP(w, r)
	}), nil)
	s.hub = h
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	send(t, ecu, hub.Std(0x0C0, 0x01, 0x02), hub.RTR(0x18FEF100, 3), withFlags(hub.FD(0x460, 1, 2), hub.BRS))
	p.wait(row("0C0") + `?.querySelector(".c-data").textContent === "0102"`)
	p.wait(row("18FEF100") + `?.textContent.includes("asks for 3")`)
	p.wait(row("460") + `?.textContent.includes("FD BRS")`)
}

func filters(t *testing.T, b context.Context) {
	s := newSite(t, &monitor.Options{Labels: carLabels})
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	send(t, ecu, hub.Std(0x0C0, 1), hub.Std(0x0C6, 2), hub.Std(0x120, 3), hub.Ext(0x0CF00400, 4), hub.Std(0x0C0, 5))
	p.wait(row("0CF00400"))
	shown := func() string {
		return eval[string](p, `[...document.querySelectorAll("#rows tr:not([hidden]) .c-id")].map((td) => td.firstChild.data).join(" ")`)
	}
	traced := func() int {
		return eval[int](p, `document.querySelectorAll("#trace .line:not([hidden])").length`)
	}
	for _, c := range []struct {
		filter, rows string
		lines        int
	}{
		{"c0", "0C0", 2},
		{"0C?", "0C0 0C6", 3},
		{"c0-120 -c6", "0C0 120", 3},
		{"120:7F0", "120", 1},
		{"ext", "0CF00400", 1},
		{"steer", "0C6", 1},
		{"-eng", "0C6 120 0CF00400", 3},
		{"no such name", "", 0},
	} {
		p.fill("#filter", c.filter)
		if !soon(func() bool { return shown() == c.rows && traced() == c.lines }) {
			t.Errorf("filter %q: rows %q and %d lines, want %q and %d", c.filter, shown(), traced(), c.rows, c.lines)
		}
	}
	p.run(chromedp.KeyEvent(kb.Escape))
	if !soon(func() bool { return shown() == "0C0 0C6 120 0CF00400" && traced() == 5 }) {
		t.Errorf("without filter: %q, %d lines", shown(), traced())
	}
}

func pausesTheTrace(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	send(t, ecu, hub.Std(1, 1))
	p.wait(row("001"))
	p.click("#pause")
	send(t, ecu, hub.Std(2, 1), hub.Std(2, 2))
	p.wait(row("002")) // the table goes on
	p.wait(`document.querySelector("#trace-note").textContent.includes("2 passed")`)
	if got := p.text("#trace-lines"); strings.Contains(got, "Rx002") {
		t.Errorf("the paused trace has %q", got)
	}
	p.click("#pause")
	for n := range 100 {
		send(t, ecu, hub.Std(3, byte(n)))
	}
	p.wait(`document.querySelector("#trace-lines").textContent.includes("003")`)
	p.wait(`document.querySelector("#trace-note").textContent === "102"`)
	eval[bool](p, `(document.querySelector("#trace").scrollTop = 0, true)`) // going back pauses too
	p.wait(`document.querySelector("#pause").getAttribute("aria-pressed") === "true"`)
	p.wait(`document.querySelector("#trace-lines").textContent.includes("2 messages passed")`)
	if got := p.text("#trace-lines"); !strings.Contains(got, "2 messages passed") || strings.Contains(got, "Rx002") {
		t.Errorf("the trace does not tell of the pause: %q", got)
	}
}

func sends(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	for _, c := range []struct {
		kind, id, data string
		want           hub.Message
	}{
		{"data", "123", "DE AD be.ef", hub.Std(0x123, 0xDE, 0xAD, 0xBE, 0xEF)},
		{"data", "00000123", "", hub.Ext(0x123)},
		{"brs", "7FF", strings.Repeat("A5", 12), withFlags(hub.FD(0x7FF, bytes.Repeat([]byte{0xA5}, 12)...), hub.BRS)},
		{"data", "18FEF100#0102", "", hub.Ext(0x18FEF100, 1, 2)}, // a whole frame in the field
	} {
		p.run(chromedp.SetValue(chromedp.CSS(`#send [name="kind"]`), c.kind))
		p.fill(`#send [name="id"]`, c.id)
		p.fill(`#send [name="data"]`, c.data)
		p.click("#send .primary")
		if got := recv(t, ecu); !got.Equal(c.want) {
			t.Errorf("%s %s %q: the bus has %v, want %v", c.kind, c.id, c.data, got, c.want)
		}
		p.wait(`document.querySelector("#send-note").textContent.includes("seen on the bus")`)
	}
	p.wait(`document.querySelectorAll("#rows .tx").length === 4`)
	// The same frame from somebody else is not ours.
	send(t, ecu, hub.Std(0x123, 0xDE, 0xAD, 0xBE, 0xEF))
	p.wait(`[...document.querySelectorAll("#rows tr")].filter((tr) => tr.textContent.startsWith("123")).length === 2`)
}

func tellsWhatCannotBeSent(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	for _, c := range []struct{ kind, id, data, want string }{
		{"data", "", "", "an identifier is missing"},
		{"data", "12G", "", "“12G”"},
		{"data", "800", "", "above 7FF, the last of 11 bits: choose 29 bits"},
		{"data", "FFFFFFFF", "", "above 1FFFFFFF"},
		{"data", "123", "1", "1 digits"},
		{"data", "123", "XY", "“X”"},
		{"data", "123", strings.Repeat("00", 9), "9 bytes: a classic frame has at most 8"},
		{"fd", "123", strings.Repeat("00", 9), "9 bytes: an FD frame has 0 to 8, 12"},
		{"fd", "123", strings.Repeat("00", 65), "65 bytes"},
	} {
		p.run(chromedp.SetValue(chromedp.CSS(`#send [name="kind"]`), c.kind))
		p.fill(`#send [name="id"]`, c.id)
		p.fill(`#send [name="data"]`, c.data)
		p.click("#send .primary")
		if got := p.text("#send-note"); !strings.Contains(strings.ToLower(got), strings.ToLower(c.want)) {
			t.Errorf("%s %q %q: the page says %q, want %q", c.kind, c.id, c.data, got, c.want)
		}
		if eval[int](p, `document.querySelectorAll("#send [aria-invalid]").length`) != 1 {
			t.Errorf("%s %q %q: no field is marked", c.kind, c.id, c.data)
		}
	}
	for _, period := range []string{"0", "-5", "x", "1e9"} {
		p.fill(`#send [name="id"]`, "123")
		p.fill(`#send [name="data"]`, "00")
		p.fill(`#send [name="period"]`, period)
		p.click("#start")
		if got := p.text("#send-note"); !strings.Contains(got, "want 1 to 3600000 milliseconds") {
			t.Errorf("period %q: the page says %q", period, got)
		}
	}
	if got := ecu.Stats().Received; got != 0 {
		t.Errorf("%d messages were sent", got)
	}
}

func sendsPeriodically(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	p.fill(`#send [name="id"]`, "100")
	p.fill(`#send [name="data"]`, "01")
	p.fill(`#send [name="period"]`, "20")
	p.click("#start")
	for range 5 {
		if got := recv(t, ecu); !got.Equal(hub.Std(0x100, 1)) {
			t.Fatalf("the bus has %v", got)
		}
	}
	p.wait(`/[1-9]\d* seen/.test(document.querySelector("#periodics").textContent)`)
	// Another with its identifier replaces it.
	p.fill(`#send [name="data"]`, "02")
	p.click("#start")
	for !recv(t, ecu).Equal(hub.Std(0x100, 2)) {
	}
	if got := eval[int](p, `document.querySelectorAll("#periodics li").length`); got != 1 {
		t.Errorf("%d tasks are listed, want 1", got)
	}
	p.click("#periodics button")
	p.wait(`document.querySelectorAll("#periodics li").length === 0`)
	// The stop and this go the same way: behind it nothing comes.
	p.fill(`#send [name="id"]`, "7FF")
	p.click("#send .primary")
	for recv(t, ecu).ID != 0x7FF {
	}
	if got := p.text("#state"); !strings.HasPrefix(got, "Connected") {
		t.Errorf("after all: %s", got)
	}
}

func records(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	dir := t.TempDir()
	p.run(func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
			Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir,
			BrowserContextID: chromedp.FromContext(ctx).BrowserContextID,
		})
		return chromedp.Void{}, err
	})
	send(t, ecu, hub.Std(0x001)) // before
	p.wait(row("001"))
	p.click("#record")
	want := []hub.Message{
		hub.Std(0x123, 1, 2, 3), hub.Ext(0x18FEF100, 0xFF), hub.RTR(0x7FF, 8), hub.RTR(0x7FE, 0), hub.FD(0x10, 1, 2),
		withFlags(hub.FD(0x11, make([]byte, 64)...), hub.BRS|hub.ESI), {ID: 4, Flags: hub.Error, Len: 8, Data: [64]byte{1: 1}},
	}
	send(t, ecu, want...)
	p.fill(`#send [name="id"]`, "7DF")
	p.click("#send .primary")
	want = append(want, hub.Std(0x7DF))
	p.wait(fmt.Sprintf(`document.querySelector("#record").textContent === "Stop, %d"`, len(want)))
	p.click("#record")
	var files []string
	var text []byte
	if !soon(func() bool { // the browser may make the file before it writes it
		files, _ = filepath.Glob(filepath.Join(dir, "can0-*.log"))
		if len(files) == 1 {
			text, _ = os.ReadFile(files[0])
		}
		return bytes.Count(text, []byte("\n")) >= len(want)
	}) {
		t.Fatalf("no log in the downloads: %s\n%s", p.text("#send-note"), text)
	}
	r := canlog.NewReader(bytes.NewReader(text), files[0])
	var got []string
	for e, err := range r.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(e.Message.Time()); age < 0 || age > time.Hour {
			t.Errorf("%v is %v old", e.Message, age)
		}
		got = append(got, fmt.Sprint(e.Channel, " ", e.Message, " ", e.Dir))
	}
	var lines []string
	for i, m := range want {
		direction := canlog.DirReceived
		if i == len(want)-1 {
			direction = canlog.DirSent
		}
		lines = append(lines, fmt.Sprint("can0 ", m, " ", direction))
	}
	if diff := cmp.Diff(lines, got); diff != "" {
		t.Errorf("the log (-want +got):\n%s\n%s", diff, text)
	}
}

func survivesARestart(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	send(t, ecu, hub.Std(1, 1))
	p.wait(row("001"))
	p.fill(`#send [name="id"]`, "100")
	p.click("#start")
	for recv(t, ecu).ID != 0x100 {
	}
	s.stop()
	p.wait(`document.body.dataset.state === "waiting"`)
	p.click("#send .primary")
	if got := p.text("#send-note"); got != "Not sent: not connected." {
		t.Errorf("without connection a send says %q", got)
	}
	s.start()
	p.wait(`document.body.dataset.state === "open"`)
	send(t, ecu, hub.Std(2, 1))
	p.wait(row("002"))
	p.wait(row("001")) // what was shown is still there
	p.wait(`document.querySelector("#trace-lines").textContent.includes("connected again after")`)
	for quiet := ecu.Stats().Queued; quiet > 0; quiet-- {
		recv(t, ecu)
	}
	for recv(t, ecu).ID != 0x100 { // and what was sent periodically is sent again
	}
}

func tellsWhyItWasRefused(t *testing.T, b context.Context) {
	s := siteOf(t, speaks(t, func(ctx context.Context, c *websocket.Conn) {
		c.Close(websocket.StatusInternalError, "there is no channel closed") // the page may be gone already
	}), nil)
	p := s.visit(b, "/closed", 1440, 900)
	p.wait(`document.querySelector("#state").textContent === "There is no channel closed (1011)"`)
	p.wait(`/^Connect now; or in \d+ s$/.test(document.querySelector("#retry").textContent)`)
	p.click("#retry")
	p.wait(`document.body.dataset.state === "waiting"`)
}

func showsErrorsAndLosses(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	overflow := hub.Message{ID: 4, Flags: hub.Error, Len: 8, Data: [64]byte{1: 1}}
	busOff := hub.Message{ID: 0x40, Flags: hub.Error, Len: 8}
	send(t, ecu, overflow, busOff, overflow)
	p.wait(`document.querySelector("#errors").textContent === "3"`)
	if got := p.number("#losses"); got != 2 {
		t.Errorf("losses: %d, want 2", got)
	}
	if got := p.text("#rows"); !strings.Contains(got, "20000004") || !strings.Contains(got, "receive overflow") ||
		!strings.Contains(got, "20000040") || !strings.Contains(got, "bus off") {
		t.Errorf("table: %q", got)
	}
	if !eval[bool](p, `document.querySelector("#losses").parentNode.classList.contains("alarm")`) {
		t.Error("a loss does not stand out")
	}
}

func switchesChannels(t *testing.T, b context.Context) {
	s := newSite(t, &monitor.Options{Channels: func() []string { return []string{"can0", "can1", "a/b c"} }})
	zero, one := node(t, s, "can0"), node(t, s, "can1")
	p := s.open(b, "/can0")
	send(t, zero, hub.Std(0x100))
	p.wait(row("100"))
	p.click(`#channels a:nth-child(2)`)
	p.wait(`location.pathname === "/can1" && document.body.dataset.state === "open" && !` + row("100"))
	send(t, one, hub.Std(0x200))
	send(t, zero, hub.Std(0x101)) // it is still connected there
	p.wait(row("200"))
	p.run(chromedp.NavigateBack())
	p.wait(row("100"))
	p.wait(row("101"))
	p.click(`#channels a:nth-child(3)`)
	p.wait(`location.pathname === "/a%2Fb%20c" && document.querySelector("#state").textContent.includes("channel a/b c")`)
}

func fitsAPhone(t *testing.T, b context.Context) {
	s := newSite(t, &monitor.Options{Labels: carLabels})
	ecu := node(t, s, "can0")
	p := s.visit(b, "/can0", 360, 640)
	p.wait(`document.body.dataset.state === "open"`)
	send(t, ecu, hub.Std(0x0C0, 1, 2, 3, 4, 5, 6, 7, 8), withFlags(hub.FD(0x460, make([]byte, 64)...), hub.BRS))
	p.wait(row("460"))
	for _, view := range []string{"table", "trace", "send"} {
		p.click(`.views [data-view="` + view + `"]`)
		visible := `document.querySelector("#` + view + `-panel").offsetParent !== null`
		p.wait(visible)
		wide := eval[string](p, `[...document.querySelectorAll("body *")].filter((e) => e.offsetParent && !e.closest("thead") &&
			(e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1)).map((e) => e.tagName + "." + e.className).join()`)
		if wide != "" || eval[bool](p, `document.documentElement.scrollWidth > innerWidth`) {
			t.Errorf("%s: wider than a phone: %s", view, wide)
		}
	}
}

func isDarkOrLight(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	p := s.open(b, "/can0")
	const light = `getComputedStyle(document.body).backgroundColor === "rgb(244, 243, 239)"`
	p.prefer("light")
	p.wait(light)
	p.prefer("dark")
	p.wait("!(" + light + ")")
	p.click("#theme")
	p.wait(light)
	p.run(chromedp.Reload())
	p.wait(light) // it was remembered
}

func isUsedByKeyboard(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	send(t, ecu, hub.Std(0x123, 0xAB), hub.Std(0x124, 0xCD))
	p.wait(row("124"))
	p.press("?")
	p.wait(`document.querySelector("#help-dialog").open`)
	p.press("Escape")
	p.wait(`!document.querySelector("#help-dialog").open && document.activeElement === document.body`)
	p.press(" ")
	p.wait(`document.querySelector("#pause").getAttribute("aria-pressed") === "true"`)
	p.press("/")
	p.wait(`document.activeElement.id === "filter"`)
	p.press("Escape")
	p.press("s")
	p.wait(`document.activeElement.name === "id"`)
	p.press("Escape")
	// Into the table, one down, and its message is in the form.
	eval[bool](p, `(document.querySelector("#rows tr").focus(), true)`)
	p.press("ArrowDown")
	p.press("Enter")
	p.wait(`document.querySelector('#send [name="id"]').value === "124" && document.querySelector('#send [name="data"]').value === "CD"`)
	p.press("c")
	p.wait(`document.querySelector("#total").textContent === "0"`)
	// Whatever can be used has a name.
	if got := eval[string](p, `[...document.querySelectorAll("button, input, select, dialog, nav, [role=img], [role=list], [role=region]")].filter((e) =>
		!(e.ariaLabel || e.labels?.length || (e.tagName === "BUTTON" && e.textContent.trim()) || e.id === "retry"))
		.map((e) => e.outerHTML.slice(0, 60)).join("; ")`); got != "" {
		t.Errorf("without a name: %s", got)
	}
	// Whatever has the focus shows it.
	if got := eval[string](p, `(() => {
		const bad = [];
		for (const e of document.querySelectorAll("button, input, select, a, [tabindex='0']")) {
			if (!e.offsetParent) continue;
			e.focus({ focusVisible: true });
			if (document.activeElement === e && getComputedStyle(e).outlineStyle === "none") bad.push(e.outerHTML.slice(0, 60));
		}
		return bad.join("; ");
	})()`); got != "" {
		t.Errorf("without a visible focus: %s", got)
	}
}

func holdsTheRate(t *testing.T, b context.Context) {
	s := newSite(t, nil)
	ecu := node(t, s, "can0")
	p := s.open(b, "/can0")
	const rate, seconds, ids = 20000, 5, 100
	var sent atomic.Int64
	done := make(chan error, 1) // the sender's; it closes nothing
	go func() {
		start := time.Now()
		for n := 0; n < rate*seconds; {
			due := min(int(time.Since(start).Seconds()*rate), rate*seconds)
			for ; n < due; n++ {
				if err := ecu.Send(t.Context(), hub.Std(uint32(n%ids), byte(n), byte(n>>8), byte(n>>16))); err != nil {
					done <- err
					return
				}
				sent.Add(1)
			}
			time.Sleep(time.Millisecond)
		}
		done <- nil
	}()
	// Meanwhile the page draws, and answers a click.
	var clicks []float64 // ms
	for i := range 8 {
		began := time.Now()
		want := fmt.Sprint(i%2 == 0)
		took := eval[float64](p, `new Promise((done) => {
			const start = performance.now();
			setTimeout(() => {
				document.querySelector("#pause").click();
				requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - start)));
			});
		})`)
		if got := eval[string](p, `document.querySelector("#pause").getAttribute("aria-pressed")`); got != want {
			t.Errorf("pressed is %s, want %s", got, want)
		}
		clicks = append(clicks, took)
		t.Logf("click %d: drawn after %.0f ms, %v with the way to the browser; %d sent, page has %d",
			i, took, time.Since(began).Round(time.Millisecond), sent.Load(), p.number("#total"))
		time.Sleep(400 * time.Millisecond)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.wait(fmt.Sprintf(`document.querySelector("#total").textContent === "%d,000"`, rate*seconds/1000))
	// The machine may be busy with other things, so not each of them counts.
	slices.Sort(clicks)
	if half := clicks[len(clicks)/2]; half > 200 {
		t.Errorf("half of the clicks took %.0f ms or more", half)
	}
	if got := p.number("#losses"); got != 0 {
		t.Errorf("%d losses", got)
	}
	p.wait(`document.querySelector("#trace-note").textContent.includes("older ones left out")`)
	p.fill("#filter", "63") // it may be out of sight otherwise
	p.wait(row("063") + `?.querySelector(".c-count").textContent === "` + fmt.Sprint(rate*seconds/ids) + `"`)
}

// node joins a channel of the site, lossless and with room for what tests send.
func node(t *testing.T, s *site, channel string) *hub.Subscriber {
	return hubtest.Open(t, s.hub, channel, &hub.SubscriberOptions{Queue: 4096, Policy: hub.DropOldest})
}

func send(t *testing.T, s *hub.Subscriber, msgs ...hub.Message) {
	t.Helper()
	for _, m := range msgs {
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func recv(t *testing.T, s *hub.Subscriber) hub.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := s.Recv(ctx)
	if err != nil {
		t.Fatalf("nothing on the bus: %v", err)
	}
	return m
}

// soon reports whether what the condition asks for came about in time.
func soon(condition func() bool) bool {
	for end := time.Now().Add(patience); !condition(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
