package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/transport/multicast"
	"github.com/canhub-go/canhub/transport/remote"
	"github.com/canhub-go/canhub/transport/virtualcan"
	"github.com/canhub-go/canhub/transport/zeromcan"
	"github.com/google/go-cmp/cmp"
)

// A bench has two buses to dump, "front" and "rear", and a node on each.
type bench struct {
	buses      []*namedBus
	subscribed []*hub.Subscriber // what the buses are
	nodes      []*hub.Subscriber
	d          dumping
	out, errs  bytes.Buffer
}

func newBench(t *testing.T) *bench {
	h := hubtest.New(t)
	b := &bench{}
	for _, name := range []string{"front", "rear"} {
		s := hubtest.Open(t, h, name, &hub.SubscriberOptions{Queue: 1 << 12})
		b.subscribed = append(b.subscribed, s)
		b.buses = append(b.buses, &namedBus{name: name, Bus: s})
		b.nodes = append(b.nodes, hubtest.Open(t, h, name, nil))
	}
	b.d.errs = &b.errs
	b.d.out = newDumpLines(&b.out, b.buses)
	return b
}

func (b *bench) send(t *testing.T, node int, frames ...string) {
	t.Helper()
	for _, text := range frames {
		m, err := hub.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.nodes[node].Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// start runs the dump, and returns where its end is told.
func (b *bench) start(ctx context.Context) <-chan error {
	ended := make(chan error, 1) // one send
	go func() { ended <- b.d.run(ctx, b.buses) }()
	return ended
}

func wantOut(t *testing.T, b *bench, want ...string) {
	t.Helper()
	text := strings.Join(want, "\n")
	if want != nil {
		text += "\n"
	}
	if diff := cmp.Diff(text, b.out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDumpShowsSeveralBusesInOrderOfArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := b.start(ctx)
		for _, node := range []int{0, 1, 1, 0} {
			b.send(t, node, "123#01")
			synctest.Wait()
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		wantOut(t, b, "  front  123   [1]  01", "   rear  123   [1]  01", "   rear  123   [1]  01", "  front  123   [1]  01")
	})
}

func TestDumpHoldsNothingBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := b.start(ctx)
		b.send(t, 0, "123#01")
		time.Sleep(showAfter + 1)
		synctest.Wait()
		wantOut(t, b, "  front  123   [1]  01")
		// Nor under load.
		for i := range 10 {
			lines := strings.Count(b.out.String(), "\n")
			for range 10 {
				b.send(t, 0, "123#01")
				time.Sleep(showAfter / 8)
			}
			synctest.Wait()
			if now := strings.Count(b.out.String(), "\n"); now < lines+1 {
				t.Errorf("step %d: %d lines are shown, %d before", i, now, lines)
			}
		}
		stop()
		<-ended
	})
}

func TestDumpEndsAtItsLimits(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*dumping)
		want time.Duration
		rows int
	}{ // of frames that come each second, the last at 5 s
		{"count", func(d *dumping) { d.count = 3 }, 3 * time.Second, 3},
		{"duration", func(d *dumping) { d.duration = 4500 * time.Millisecond }, 4500 * time.Millisecond, 4},
		{"idle", func(d *dumping) { d.idle = 1100 * time.Millisecond }, 6100 * time.Millisecond, 5},
		{"idle from the start", func(d *dumping) { d.idle = 900 * time.Millisecond }, 900 * time.Millisecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				tt.set(&b.d)
				begin := time.Now()
				ended := b.start(t.Context())
				for range 5 {
					time.Sleep(time.Second)
					b.send(t, 0, "123#")
				}
				var took time.Duration
				select {
				case err := <-ended: // it may be there since long
					if err != nil {
						t.Error(err)
					}
					took = time.Since(begin)
				case <-time.After(time.Minute):
					t.Fatal("no end")
				}
				if tt.want > 5*time.Second && took != tt.want {
					t.Errorf("it took %v, want %v", took, tt.want)
				}
				if got := strings.Count(b.out.String(), "\n"); got != tt.rows {
					t.Errorf("%d lines, want %d", got, tt.rows)
				}
			})
		})
	}
}

// What no filter lets through is silence.
func TestDumpFiltersCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var err error
		if b.d.selection, err = parseSelection("--filter", []string{"100:700", "103~7FF"}); err != nil {
			t.Fatal(err)
		}
		b.d.count = 2
		ended := b.start(t.Context())
		b.send(t, 0, "0FF#", "101#", "103#", "200#", "1FF#", "102#")
		if err := <-ended; err != nil {
			t.Error(err)
		}
		wantOut(t, b, "  front  101   [0]", "  front  1FF   [0]")
		b.d.report(b.buses)
		if !strings.Contains(b.errs.String(), "front: 6 received, 2 of them shown, 0 dropped\n") &&
			!strings.Contains(b.errs.String(), "front: 5 received, 2 of them shown, 0 dropped\n") {
			t.Errorf("report: %s", b.errs.String())
		}
	})
}

// A countedBus has received nothing that is a frame.
type countedBus[Stats any] struct {
	hub.Bus
	stats Stats
}

func (b countedBus[Stats]) Stats() Stats { return b.stats }

func TestDumpReportsWhatIsMalformedOnEachTransport(t *testing.T) {
	for want, bus := range map[string]hub.Bus{
		"front: 0 received, 3 dropped by the system, 2 datagrams malformed\n": countedBus[multicast.Stats]{stats: multicast.Stats{Dropped: 3, Malformed: 2}},
		"front: 0 received, 2 messages malformed\n":                           countedBus[remote.Stats]{stats: remote.Stats{Malformed: 2}},
		"front: 0 received, 1 packet malformed\n":                             countedBus[virtualcan.Stats]{stats: virtualcan.Stats{Malformed: 1}},
		"front: 0 received, 2 publications malformed\n":                       countedBus[zeromcan.Stats]{stats: zeromcan.Stats{Malformed: 2}},
		"front: 0 received\n":                                                 countedBus[zeromcan.Stats]{},
	} {
		var errs bytes.Buffer
		d := dumping{errs: &errs, tallies: make([]tally, 1)}
		d.report([]*namedBus{{name: "front", Bus: bus}})
		if got := errs.String(); got != "canhub: "+want {
			t.Errorf("report: %q, want %q", got, want)
		}
	}
}

func TestDumpGoesOnWhenABusEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ended := b.start(t.Context())
		b.send(t, 0, "001#")
		synctest.Wait()
		b.subscribed[0].Close()
		synctest.Wait()
		b.send(t, 1, "002#")
		synctest.Wait()
		b.subscribed[1].Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		wantOut(t, b, "  front  001   [0]", "   rear  002   [0]")
	})
}

// A failingBus fails with err after its messages.
type failingBus struct {
	hub.Bus
	err  error
	left atomic.Int32
}

func (f *failingBus) Recv(ctx context.Context) (hub.Message, error) {
	if f.left.Add(-1) >= 0 {
		return f.Bus.Recv(ctx)
	}
	return hub.Message{}, f.err
}

func TestDumpNamesTheBusThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		cause := errors.New("wire cut")
		f := &failingBus{Bus: b.buses[1].Bus, err: cause}
		f.left.Store(1)
		b.buses[1].Bus = f
		ended := b.start(t.Context())
		b.send(t, 1, "001#")
		err := <-ended
		if !errors.Is(err, cause) || err.Error() != "rear: wire cut" {
			t.Errorf("got %v", err)
		}
		wantOut(t, b, "   rear  001   [0]") // what came before
	})
}

// A brokenWriter fails after a number of bytes.
type brokenWriter struct{ left int }

var errFull = errors.New("no space left")

func (w *brokenWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestDumpEndsWhenItCannotWrite(t *testing.T) {
	for name, look := range map[string]dumpLook{
		"lines": {time: "none", color: "auto"}, "json": {json: true}, "log": {log: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.d.out = look.sink(&brokenWriter{}, io.Discard, b.buses)
				ended := b.start(t.Context())
				b.send(t, 0, "001#")
				if err := <-ended; !errors.Is(err, errFull) || strings.Count(err.Error(), errFull.Error()) != 1 {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}
