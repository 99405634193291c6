package monitor_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/monitor"
	"github.com/chromedp/chromedp"
)

// TestCountAndPeriodAreInSight has in the table and in the trace what takes the
// most room, on windows of all widths.
func TestCountAndPeriodAreInSight(t *testing.T) {
	b := chromium(t)
	s := newSite(t, &monitor.Options{Labels: monitor.Labels{
		{Value: 0x460}: strings.Repeat("Camera ", 14), {Value: 0x1FFFFFFF, Extended: true}: strings.Repeat("W", 100),
	}})
	ecu := hubtest.Open(t, s.hub, "can0", &hub.SubscriberOptions{SendOnly: true, KeepTimestamps: true})
	p := s.open(b, "/can0")
	long := bytes.Repeat([]byte{0xDA}, 64)
	at := time.Now().UnixNano()
	for _, after := range []time.Duration{0, 9999 * time.Millisecond, 9998 * time.Millisecond, 8 * time.Second} {
		at += int64(after)
		for _, m := range []hub.Message{
			hub.Std(0x0C0, 1, 2, 3, 4, 5, 6, 7, 8), hub.RTR(0x7FF, 8),
			withFlags(hub.FD(0x460, long[:48]...), hub.BRS),
			withFlags(hub.FD(0x1FFFFFFF, long...), hub.Extended|hub.BRS|hub.ESI),
			hub.Message{ID: 0x1FFFFFFF, Flags: hub.Error, Len: 8, Data: [64]byte{1: 0x7F}},
		} {
			m.Timestamp = at
			send(t, ecu, m)
		}
	}
	p.wait(row("1FFFFFFF") + `?.querySelector(".c-period").textContent`)
	for _, width := range []int64{320, 390, 600, 861, 1024, 1280, 1440, 2560} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			p := *p
			p.t = t
			p.run(chromedp.EmulateViewport(width, 800))
			// What is hidden or out of its box, and what lies upon something else.
			if got := eval[string](&p, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
				const bad = [], scroller = document.querySelector("#table-panel .scroll").getBoundingClientRect();
				const text = (e) => {
					const r = document.createRange();
					r.selectNodeContents(e);
					return r.getBoundingClientRect();
				};
				for (const tr of document.querySelectorAll("#rows tr")) {
					const id = tr.firstChild.firstChild.data, cells = [...tr.children];
					for (const td of cells) {
						const r = text(td), box = td.getBoundingClientRect();
						if (!r.width) continue;
						if (box.left < scroller.left - 1 || box.right > scroller.right + 1) bad.push(id + " " + td.className + " is out of sight");
						if (td.className !== "c-name" && (r.left < box.left - 4 || r.right > box.right + 1)) bad.push(id + " " + td.className + " is cut off");
						for (const other of cells) {
							const o = other.getBoundingClientRect();
							if (other !== td && td.className !== "c-name" && text(other).width && r.left < o.right - 4 && o.left < r.right - 4 && r.top < o.bottom - 4 && o.top < r.bottom - 4) {
								bad.push(id + " " + td.className + " is upon " + other.className);
							}
						}
					}
				}
				for (const line of document.querySelectorAll("#trace .line:not([hidden])")) {
					const spans = [...line.children].filter((s) => s.offsetParent && s.textContent);
					const inside = line.getBoundingClientRect();
					spans.forEach((s, i) => {
						const clipped = getComputedStyle(s).overflow === "hidden";
						const right = (clipped ? s.getBoundingClientRect() : text(s)).right;
						const next = spans[i + 1] && text(spans[i + 1]).left;
						if (right > inside.right + 1 || right > next + 1) bad.push("trace: " + s.className + " of " + line.textContent.slice(0, 50));
					});
				}
				if (document.documentElement.scrollWidth > innerWidth) bad.push("the page is wider than the window");
				done([...new Set(bad)].join("\n"));
			})))`); got != "" {
				t.Error(got)
				p.picture("failed-" + fmt.Sprint(width))
			}
		})
	}
}
