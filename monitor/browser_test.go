package monitor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/live"
	"github.com/canhub-go/canhub/monitor"
	"github.com/canhub-go/canhub/transport/remote"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// chromium starts Chromium, and skips the test where that is not asked for.
func chromium(t *testing.T) context.Context {
	t.Helper()
	live.Wanted(t)
	o := chromedp.DefaultExecAllocatorOptions[:]
	if os.Getuid() == 0 {
		o = append(o, chromedp.NoSandbox)
	}
	o = append(o, chromedp.WSURLReadTimeout(patience))
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), o...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("ending chromium: %v", err)
		}
		cancel()
	})
	if _, err := chromedp.Run(ctx, chromedp.Title()); err != nil {
		t.Fatalf("chromium: %v", err)
	}
	return ctx
}

// A site is a hub behind a server with the page.
type site struct {
	t    *testing.T
	hub  *hub.Hub
	addr string
	page http.Handler
	stop func()
}

func newSite(t *testing.T, o *monitor.Options) *site {
	t.Helper()
	s := &site{t: t, hub: hubtest.New(t), addr: "127.0.0.1:0", page: monitor.Handler(o)}
	s.start()
	t.Cleanup(func() { s.stop() }) // that of the last start
	return s
}

// start listens where it did before. Its queues have room for what a page does
// not take at once on a busy machine.
func (s *site) start() {
	s.t.Helper()
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1) // what Serve returned; it closes nothing
	go func() {
		served <- remote.Serve(ctx, l, s.hub, &remote.Options{Access: remote.Any, Queue: 1 << 17, Fallback: s.page})
	}()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			s.t.Errorf("server: %v", err)
		}
	})
}

// siteOf is one with a server of the test's own, without a hub, to which the
// page's plain requests do not come.
func siteOf(t *testing.T, server http.Handler, o *monitor.Options) *site {
	t.Helper()
	page := monitor.Handler(o)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			page.ServeHTTP(w, r)
			return
		}
		server.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	return &site{t: t, addr: web.Listener.Addr().String()}
}

// A tab is one page in the browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// open opens the page at path in a tab of its own, as a new visitor, and waits
// until it is connected. What fails in the page's script fails the test.
func (s *site) open(parent context.Context, path string) *tab {
	s.t.Helper()
	p := s.visit(parent, path, 1440, 900)
	p.wait(`document.body.dataset.state === "open"`)
	return p
}

func (s *site) visit(parent context.Context, path string, width, height int64) *tab {
	s.t.Helper()
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext(), chromedp.WithListener(func(ev any) {
		switch e := ev.(type) {
		case *runtime.EventExceptionThrown:
			s.t.Errorf("the page's script failed: %v", e.ExceptionDetails)
		case *log.EventEntryAdded:
			// A server that is away is an error to the browser, not to us.
			if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork &&
				!strings.Contains(e.Entry.Text, "WebSocket") {
				s.t.Errorf("the browser complains: %s %s", e.Entry.Text, e.Entry.URL)
			}
		}
	}))
	s.t.Cleanup(cancel)
	p := &tab{s.t, ctx}
	if _, err := chromedp.Run(ctx, chromedp.Title()); err != nil { // it must not have a deadline
		s.t.Fatal(err)
	}
	p.run(chromedp.EmulateViewport(width, height), chromedp.Navigate("http://"+s.addr+path))
	return p
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// eval returns what the expression, or the promise that it is, comes to.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wait returns when the expression is true.
func (p *tab) wait(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if eval[bool](p, "!!("+expression+")") {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("not in %v: %s\nthe page shows: %.1500s", patience, expression, eval[string](p, "document.body.innerText"))
		}
	}
}

// prefer makes the browser one of somebody who prefers a colour scheme.
func (p *tab) prefer(scheme string) {
	p.t.Helper()
	p.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return chromedp.Void{}, err
	})
}

// text returns the text of the first element that the selector finds.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf(`document.querySelector(%s)?.textContent ?? "(nothing)"`, quote(selector)))
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.run(chromedp.Click(chromedp.CSS(selector)))
}

// fill puts text into a field of the form, as somebody who types it.
func (p *tab) fill(selector, text string) {
	p.t.Helper()
	eval[bool](p, fmt.Sprintf(`(document.querySelector(%s).select(), true)`, quote(selector)))
	if text == "" {
		text = kb.Backspace
	}
	p.run(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// virtualKeys has the codes of keys that the browser itself knows.
var virtualKeys = map[string]int64{"Escape": 27, "Enter": 13, "ArrowUp": 38, "ArrowDown": 40}

// press presses a key, by the name that scripts know it by. Unlike chromedp's
// KeyEvent it leaves it to the browser whether that writes something.
func (p *tab) press(key string) {
	p.t.Helper()
	p.run(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		for _, what := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
			if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, input.DispatchKeyEventParams{
				Type: what, Key: key, WindowsVirtualKeyCode: virtualKeys[key],
			}); err != nil {
				return chromedp.Void{}, err
			}
		}
		return chromedp.Void{}, nil
	})
}

// number returns the number that an element shows.
func (p *tab) number(selector string) int {
	p.t.Helper()
	return eval[int](p, fmt.Sprintf(`Number(document.querySelector(%s).textContent.replace(/[^0-9.]/g, ""))`, quote(selector)))
}

// row is an expression for the table's row of an identifier as it is shown.
func row(id string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#rows tr")].find((tr) => !tr.hidden && tr.querySelector(".c-id").firstChild.data === %s)`, quote(id))
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
