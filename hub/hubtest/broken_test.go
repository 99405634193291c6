package hubtest_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// A broken bus does what a subscriber does, but for the functions that are set.
type broken struct {
	hub.Bus
	send  func(ctx context.Context, m hub.Message) error
	recv  func(ctx context.Context) (hub.Message, error)
	close func() error
}

func (b *broken) Send(ctx context.Context, m hub.Message) error {
	if b.send != nil {
		return b.send(ctx, m)
	}
	return b.Bus.Send(ctx, m)
}

func (b *broken) Recv(ctx context.Context) (hub.Message, error) {
	if b.recv != nil {
		return b.recv(ctx)
	}
	return b.Bus.Recv(ctx)
}

func (b *broken) Close() error {
	if b.close != nil {
		return b.close()
	}
	return b.Bus.Close()
}

// A surrounding is what a defect may need besides its bus.
type surrounding struct {
	hub     *hub.Hub
	second  bool          // it is node B
	release chan struct{} // closed when the check is over, for what hangs
	ended   *atomic.Bool  // EndBus has been called
}

// A defect is a way for a bus to be broken.
type defect struct {
	name    string
	says    string   // a part of every report
	noticed []string // the checks that must fail
	o       hubtest.BusOptions
	wreck   func(b *broken, s surrounding)
}

var defects = slices.Concat(frameDefects, orderDefects, contextDefects, closeDefects)

// runCheck runs one check in a bubble, so that what hangs is found at once, and
// returns what it has reported.
func runCheck(t *testing.T, name string, makePair func(t testing.TB) (a, b hub.Bus), o hubtest.BusOptions) *recorder {
	t.Helper()
	var r *recorder
	synctest.Test(t, func(*testing.T) {
		r = record(func(t testing.TB) { hubtest.RunCheck(t, name, makePair, o) })
	})
	return r
}

// runDefect runs one check on buses with that defect.
func runDefect(t *testing.T, name string, wreck func(*broken, surrounding), o hubtest.BusOptions) *recorder {
	t.Helper()
	var r *recorder
	synctest.Test(t, func(t *testing.T) {
		s := surrounding{release: make(chan struct{}), ended: &atomic.Bool{}}
		open := func(t testing.TB) hub.Bus {
			b := &broken{Bus: hubtest.Open(t, s.hub, "can0", nil)}
			wreck(b, s)
			return b
		}
		o.Synctest = true
		o.Join = open
		o.EndBus = func() {
			s.ended.Store(true)
			s.hub.Close()
		}
		r = record(func(t testing.TB) {
			hubtest.RunCheck(t, name, func(t testing.TB) (a, b hub.Bus) {
				s.hub = hub.New(nil)
				t.Cleanup(func() { s.hub.Close() })
				a = open(t)
				s.second = true
				return a, open(t)
			}, o)
		})
		close(s.release)
	})
	return r
}

func TestBusNoticesEveryDefect(t *testing.T) {
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			for _, name := range d.noticed {
				r := runDefect(t, name, d.wreck, d.o)
				if !r.Failed() {
					t.Errorf("%s does not fail", name)
					continue
				}
				wantReport(t, r, d.says)
				if strings.Contains(r.report(), "hangs") && r.took > 10*time.Second {
					t.Errorf("it takes %s %v to tell what hangs", name, r.took)
				}
			}
		})
	}
}

// A check that cannot fail is none.
func TestEveryCheckCanFail(t *testing.T) {
	var noticed []string
	for _, d := range defects {
		noticed = append(noticed, d.noticed...)
	}
	names := hubtest.CheckNames()
	for _, name := range names {
		if !slices.Contains(noticed, name) {
			t.Errorf("no defect makes %s fail", name)
		}
	}
	for _, name := range noticed {
		if !slices.Contains(names, name) {
			t.Errorf("there is no check called %s", name)
		}
	}
}

// The wrapping and the recording alone fail no check.
func TestBusFindsNothingInWholeBuses(t *testing.T) {
	whole := map[string]struct {
		wreck func(*broken, surrounding)
		o     hubtest.BusOptions
	}{
		"subscriber": {func(*broken, surrounding) {}, hubtest.BusOptions{}},
		"buffered":   {buffered(true), hubtest.BusOptions{OrdersItself: true}},
	}
	for kind, w := range whole {
		for _, name := range hubtest.CheckNames() {
			t.Run(kind+"/"+name, func(t *testing.T) {
				r := runDefect(t, name, w.wreck, w.o)
				wantNoReport(t, r)
				wantSkip := name == "FramesThatCannotBeCarriedAreRefused" ||
					name == "NodesThatSendInTurnAreReceivedInTurn" && w.o.OrdersItself
				if r.skipped != wantSkip {
					t.Errorf("skipped is %v, want %v", r.skipped, wantSkip)
				}
			})
		}
	}
}
