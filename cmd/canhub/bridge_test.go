package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub"
	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// newLink returns what these flags ask for.
func newLink(t *testing.T, o bridgeFlags, a, b string) (*busLink, *bytes.Buffer) {
	t.Helper()
	o.maxPause = max(o.maxPause, o.minPause)
	buses, err := parseBuses([]string{a, b})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	l, err := (&app{err: &said}).link(&o, buses)
	if err != nil {
		t.Fatal(err)
	}
	return l, &said
}

// openLog opens a log with this text as a bus.
func openLog(t *testing.T, text string) hub.Bus {
	t.Helper()
	path := t.TempDir() + "/x.log"
	write(t, path, text)
	bus, err := canhub.Open(t.Context(), "log:"+path+"?speed=max")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	return bus
}

// slow takes its time for each message.
type slow struct{ hub.Bus }

func (s slow) Send(ctx context.Context, m hub.Message) error {
	time.Sleep(time.Second)
	return s.Bus.Send(ctx, m)
}

func TestBridgeEndsBehindTheLastFrameOfALog(t *testing.T) {
	for _, side := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			h := hubtest.New(t)
			node := hubtest.Open(t, h, "b", nil)
			urls := [2]string{"log:x.log", "hub:b"}
			buses := [2]hub.Bus{
				openLog(t, "(1.0) can0 001#\n(1.0) can0 002#\n(1.0) can0 003#\n(1.0) can0 004#\n"),
				slow{hubtest.Open(t, h, "b", nil)},
			}
			l, _ := newLink(t, bridgeFlags{}, urls[side], urls[1-side])
			if err := l.run(t.Context(), buses[side], buses[1-side]); err != nil {
				t.Errorf("run = %v", err)
			}
			hubtest.Want(t, node, hub.Std(1), hub.Std(2), hub.Std(3), hub.Std(4))
		})
	}
}

// What others send would be an error of the log, which is listen-only.
func TestBridgeSendsNothingToALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hubtest.New(t)
		node := hubtest.Open(t, h, "b", nil)
		l, _ := newLink(t, bridgeFlags{}, "log:x.log", "hub:b")
		bus := hubtest.Open(t, h, "b", nil)
		if err := node.Send(t.Context(), hub.Std(5)); err != nil {
			t.Fatal(err)
		}
		if err := l.run(t.Context(), openLog(t, "(1.0) can0 001#\n"), bus); err != nil {
			t.Errorf("run = %v", err)
		}
		hubtest.Want(t, node, hub.Std(1))
	})
}

func TestBridgePassesOverLinesThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hubtest.New(t)
		node := hubtest.Open(t, h, "b", nil)
		l, said := newLink(t, bridgeFlags{}, "log:x.log", "hub:b")
		err := l.run(t.Context(), openLog(t, "(1.0) can0 001#\nrubbish\n(1.0) can0 003#\n"), hubtest.Open(t, h, "b", nil))
		if err == nil || err.Error() != "x: 1 entry could not be read" {
			t.Errorf("run = %v", err)
		}
		if !strings.Contains(said.String(), "x.log:2:1: ") {
			t.Errorf("said %q, want the place", said.String())
		}
		hubtest.Want(t, node, hub.Std(1), hub.Std(3))
	})
}

// until runs a link in the background, and returns a function that ends it.
func until(t *testing.T, l *busLink, a, b hub.Bus) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.run(ctx, a, b) }()
	synctest.Wait()
	return func() {
		synctest.Wait()
		cancel()
		if err := <-done; err != context.Canceled {
			t.Errorf("run = %v, want the ctx's error", err)
		}
	}
}

func TestBridgeSelectsAndMapsEachWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hubtest.New(t)
		a, b := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		l, _ := newLink(t, bridgeFlags{
			filterAB: []string{"100:700", "~123"},
			filterBA: []string{"~001", "~002"}, // neither of them
			mapAB:    []string{"124=18FEF100"},
			mapBA:    []string{"00000003=004"},
		}, "hub:a", "hub:b")
		stop := until(t, l, hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil))
		for _, text := range []string{"123#", "124#", "125#", "200#"} {
			m, _ := hub.Parse(text)
			a.Send(t.Context(), m)
		}
		for _, text := range []string{"001#", "002#", "003#", "00000003#"} {
			m, _ := hub.Parse(text)
			b.Send(t.Context(), m)
		}
		stop()
		hubtest.Want(t, b, hub.Ext(0x18FEF100), hub.Std(0x125))
		hubtest.Want(t, a, hub.Std(3), hub.Std(4))
		hubtest.WantNone(t, a)
		hubtest.WantNone(t, b)
		const text = "a to b: 4 frames, 2 forwarded, 2 filtered; b to a: 4 frames, 2 forwarded, 2 filtered"
		if got := l.text(); got != text {
			t.Errorf("counters %q, want %q", got, text)
		}
		var got map[string]map[string]uint64
		fields := map[string]json.RawMessage{}
		json.Unmarshal([]byte(l.json()), &fields)
		delete(fields, "time")
		rest, _ := json.Marshal(fields)
		if err := json.Unmarshal(rest, &got); err != nil || got["a_to_b"]["received"] != 4 || got["b_to_a"]["filtered"] != 2 {
			t.Errorf("%v: %s", err, l.json())
		}
	})
}

func TestBridgeOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hubtest.New(t)
		a, b := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		l, _ := newLink(t, bridgeFlags{oneWay: true}, "hub:a", "hub:b")
		stop := until(t, l, hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil))
		a.Send(t.Context(), hub.Std(1))
		b.Send(t.Context(), hub.Std(2))
		stop()
		hubtest.Want(t, b, hub.Std(1))
		hubtest.WantNone(t, a)
		if got := l.text(); got != "a to b: 1 frame, 1 forwarded" {
			t.Errorf("counters %q", got)
		}
	})
}

func TestBridgeFailureNamesTheBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hubtest.New(t)
		for _, tt := range []struct {
			close int
			want  string
		}{{0, "a: hub: closed"}, {1, "b: hub: closed"}} {
			l, _ := newLink(t, bridgeFlags{}, "hub:a", "hub:b")
			buses := []hub.Bus{hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)}
			buses[tt.close].Close()
			err := named(l.run(t.Context(), buses[0], buses[1]), []string{"a", "b"})
			if !errors.Is(err, hub.ErrClosed) || err.Error() != tt.want {
				t.Errorf("run = %v, want %s", err, tt.want)
			}
		}
	})
}

func TestBridgeOpensABusAgainAndSelectsAsBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hubtest.New(t)
		a, b := hubtest.Open(t, h, "a", nil), hubtest.Open(t, h, "b", nil)
		o := bridgeFlags{filterAB: []string{"~002"}, minPause: time.Second, maxPause: time.Minute}
		l, _ := newLink(t, o, "hub:a", "hub:b")
		var dialled []string
		l.redial(&o, [2]string{"hub:a", "hub:b"}, func(_ context.Context, url string) (hub.Bus, error) {
			dialled = append(dialled, url)
			if len(dialled) == 1 {
				return nil, errors.New("not yet")
			}
			return h.Open("a", nil)
		})
		lost := hubtest.Open(t, h, "a", nil)
		stop := until(t, l, lost, hubtest.Open(t, h, "b", nil))
		lost.Close()
		time.Sleep(3*time.Second + 1) // a second, and two more
		synctest.Wait()
		a.Send(t.Context(), hub.Std(2))
		a.Send(t.Context(), hub.Std(3))
		stop()
		hubtest.Want(t, b, hub.Std(3))
		hubtest.WantNone(t, b)
		if diff := cmp.Diff([]string{"hub:a", "hub:a"}, dialled); diff != "" {
			t.Errorf("dialled, -want +got:\n%s", diff)
		}
	})
}

func TestBridgePlaysALogOnlyOnce(t *testing.T) {
	l, _ := newLink(t, bridgeFlags{}, "log:x.log", "hub:b")
	l.redial(&bridgeFlags{}, [2]string{"log:x.log", "hub:b"}, nil)
	if l.options.A.Redial != nil || l.options.B.Redial == nil {
		t.Error("want the other side alone to be opened again")
	}
}

func TestCountersAreAllThatABridgeCounts(t *testing.T) {
	var c bridge.Counts
	v := reflect.ValueOf(&c).Elem()
	var want []string
	for i := range v.NumField() {
		want = append(want, strings.ToLower(v.Type().Field(i).Name))
		v.Field(i).Addr().MethodByName("Add").Call([]reflect.Value{reflect.ValueOf(uint64(i + 1))})
	}
	var got []string
	for i, c := range counters(&c) {
		got = append(got, c.name)
		if c.n != uint64(i+1) {
			t.Errorf("%s is %d, want %d", c.name, c.n, i+1)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counters, -want +got:\n%s", diff)
	}
}

func TestCountersArePrintedAsOftenAsAskedFor(t *testing.T) {
	for _, json := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			l, _ := newLink(t, bridgeFlags{}, "hub:a", "hub:b")
			var out, err bytes.Buffer
			a := &app{nil, &out, &err}
			if err := a.counted(t.Context(), l, &bridgeFlags{interval: time.Second, json: json}, func(context.Context) error {
				time.Sleep(2500 * time.Millisecond)
				return nil
			}); err != nil {
				t.Error(err)
			}
			lines := [2]int{strings.Count(out.String(), "\n"), strings.Count(err.String(), "\n")}
			if want := map[bool][2]int{false: {0, 3}, true: {3, 0}}[json]; lines != want {
				t.Errorf("%v lines on stdout and stderr, want %v", lines, want)
			}
		})
	}
}

// A full disk or a closed pipe ends the bridge: nobody hears the counters.
func TestCountersThatCannotBeWrittenAreAnError(t *testing.T) {
	for _, interval := range []time.Duration{0, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			l, _ := newLink(t, bridgeFlags{}, "hub:a", "hub:b")
			a := &app{nil, &brokenWriter{}, io.Discard}
			err := a.counted(t.Context(), l, &bridgeFlags{interval: interval, json: true}, func(ctx context.Context) error {
				if interval > 0 {
					<-ctx.Done()
				}
				return ctx.Err()
			})
			if !errors.Is(err, errFull) || strings.Contains(err.Error(), "context") {
				t.Errorf("every %v: %v, want %v", interval, err, errFull)
			}
		})
	}
}

// A log of nothing that can be read, played for ever, has no end of its own.
func TestBridgeOfALogWithoutEntriesEndsWithItsContext(t *testing.T) {
	bus := unreadable{}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	l := &logEnd{Bus: bus, unread: unread{log: "x", errs: io.Discard}}
	if _, err := l.Recv(ctx); err != ctx.Err() || err == nil {
		t.Errorf("Recv = %v, want the ctx's error", err)
	}
}

type unreadable struct{ hub.Bus }

func (unreadable) Recv(context.Context) (hub.Message, error) {
	return hub.Message{}, &canlog.LineError{}
}
