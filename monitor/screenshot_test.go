package monitor_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/canhub-go/canhub/examples/vehicle"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/monitor"
	"github.com/chromedp/chromedp"
)

// pictures is where screenshots are kept for those who want to look.
const pictures = "../ci-artifacts"

// TestScreenshots keeps what the page looks like with a car on two channels, a
// disturbance and somebody who sends.
func TestScreenshots(t *testing.T) {
	b := chromium(t)
	s := newSite(t, &monitor.Options{Labels: carLabels, Channels: func() []string { return []string{"can0", "can1"} }})
	drive(t, s.hub)
	fd := hubtest.Open(t, s.hub, "can0", &hub.SubscriberOptions{SendOnly: true})
	if _, err := fd.SendPeriodic(&hub.Periodic{
		Messages: []hub.Message{withFlags(hub.FD(0x18FEF1A0, make([]byte, 24)...), hub.BRS)},
		Period:   40 * time.Millisecond,
		Modify: func(m *hub.Message) {
			m.Data[3]++
			if m.Data[3]%16 == 0 {
				m.Data[17] += 3
			}
		},
	}); err != nil {
		t.Fatal(err)
	}
	disturber := node(t, s, "can0")
	if err := os.MkdirAll(pictures, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, shot := range []struct {
		name          string
		width, height int64
		dark          bool
		view          string
	}{
		{"desktop-dark", 1440, 900, true, ""},
		{"desktop-light", 1440, 900, false, ""},
		{"phone-table", 390, 844, false, "table"},
		{"phone-trace", 390, 844, true, "trace"},
		{"phone-send", 390, 844, false, "send"},
	} {
		t.Run(shot.name, func(t *testing.T) {
			s := *s
			s.t = t
			p := s.visit(b, "/can0", shot.width, shot.height)
			if shot.dark {
				p.prefer("dark")
			}
			p.wait(`document.querySelectorAll("#rows tr").length >= 10`)
			if shot.view == "" || shot.view == "send" {
				if shot.view != "" {
					p.click(`.views [data-view="send"]`)
				}
				p.fill(`#send [name="id"]`, "7DF")
				p.fill(`#send [name="data"]`, "02 01 0C")
				p.click("#start")
				p.fill(`#send [name="period"]`, "250")
				p.click(`#send .primary`)
				p.wait(`document.querySelector("#send-note").textContent.includes("seen on the bus")`)
			} else {
				p.click(`.views [data-view="` + shot.view + `"]`)
			}
			if shot.dark && shot.view == "" {
				send(t, disturber, hub.RTR(0x6F0, 4), hub.Message{ID: 0x88, Flags: hub.Error, Len: 8, Data: [64]byte{2: 4}},
					hub.Message{ID: 0x04, Flags: hub.Error, Len: 8, Data: [64]byte{1: 1}})
			}
			p.wait(`performance.now() > 9000`) // something to plot
			p.picture(shot.name)
			if shot.view == "" && !shot.dark {
				p.run(chromedp.KeyEvent("?"))
				p.wait(`document.querySelector("#help-dialog").open`)
				p.picture("help")
			}
		})
	}
}

func (p *tab) picture(name string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(pictures, "monitor-"+name+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func withFlags(m hub.Message, f hub.Flags) hub.Message {
	m.Flags |= f
	return m
}

var carLabels = monitor.Labels{
	{Value: 0x0C0}: "Engine", {Value: 0x0C6}: "Steering", {Value: 0x0D0}: "Wheels", {Value: 0x0D4}: "Brakes",
	{Value: 0x130}: "Airbag", {Value: 0x1A0}: "Gearbox", {Value: 0x460}: "Camera", {Value: 0x464}: "Radar",
	{Value: 0x7DF}: "OBD request", {Value: 0x7E8}: "OBD answer of the engine",
	{Value: 0x0CF00400, Extended: true}: "EEC1", {Value: 0x18FEF1A0, Extended: true}: "Trailer",
}

// drive puts the car of the examples on can0 and can1.
func drive(t *testing.T, h *hub.Hub) {
	ctx, cancel := context.WithCancel(context.Background())
	var driving sync.WaitGroup
	driving.Go(func() {
		if err := vehicle.RunSplit(ctx, h, "can0", "can1", 1); err != nil {
			t.Errorf("vehicle: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		driving.Wait()
	})
}
