package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/google/go-cmp/cmp"
)

// measured returns what a meter reports of a live bus that gets what send sends.
func measured(t *testing.T, rate hub.Bitrate, count uint64, stderr *bytes.Buffer, send func(tx *hub.Subscriber)) (all []report) {
	t.Helper()
	h := hub.New(nil)
	defer h.Close()
	tx, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	rx, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan report)
	m := &meter{bus: &namedBus{name: "can0", url: "hub:can0", Bus: rx}, rate: rate, interval: time.Second, count: count, out: out, log: slog.New(slog.NewTextHandler(stderr, nil))}
	var failed error
	start := time.Now()
	go func() {
		failed = m.run(t.Context(), start)
		close(out)
	}()
	send(tx)
	for r := range out {
		r.Start -= float64(start.Unix())
		all = append(all, r)
	}
	if failed != nil {
		t.Error(failed)
	}
	return all
}

func TestLoadOfALiveBusIsThatOfRealTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8)
		bits, _ := m.Bits()
		bits += hub.Intermission
		var stderr bytes.Buffer
		got := measured(t, hub.Bitrate{Nominal: 500_000}, 3, &stderr, func(tx *hub.Subscriber) {
			time.Sleep(5 * time.Millisecond) // away from the ends of intervals
			if _, err := tx.SendPeriodic(&hub.Periodic{Messages: []hub.Message{m}, Period: 10 * time.Millisecond, Count: 150}); err != nil {
				t.Fatal(err)
			}
		})
		want := []report{
			{Bus: "can0", Start: 0, Seconds: 1, Frames: 100, Bits: 100 * bits, Load: float64(100*bits) / 5000},
			{Bus: "can0", Start: 1, Seconds: 1, Frames: 50, Bits: 50 * bits, Load: float64(50*bits) / 5000},
			{Bus: "can0", Start: 2, Seconds: 1},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLoadCountsErrorFramesAndTheDataBitrate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fast := hub.FD(0x123, make([]byte, 64)...)
		fast.Flags |= hub.BRS
		nominal, data := fast.Bits()
		send := func(tx *hub.Subscriber) {
			for _, m := range []hub.Message{fast, {ID: 0x088, Flags: hub.Error, Len: 8}, {ID: 0x004, Flags: hub.Error, Len: 8}} {
				if err := tx.Send(t.Context(), m); err != nil {
					t.Error(err)
				}
			}
		}
		var stderr bytes.Buffer
		rate := hub.Bitrate{Nominal: 500_000, Data: 2_000_000}
		got := measured(t, rate, 1, &stderr, send)
		slow := nominal + 3 + 20 + 3
		want := []report{{Bus: "can0", Seconds: 1, Frames: 3, Errors: 2, Bits: slow + data, Load: 100 * rate.Time(slow, data).Seconds()}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if stderr.Len() > 0 {
			t.Error(stderr.String())
		}
		measured(t, hub.Bitrate{Nominal: 500_000}, 1, &stderr, send)
		if !strings.Contains(stderr.String(), "no bitrate for their data") {
			t.Errorf("without a data bitrate it says %q", &stderr)
		}
	})
}

// A busyBus always has a message.
type busyBus struct {
	hub.Bus
	received func()
}

func (b *busyBus) Recv(context.Context) (hub.Message, error) {
	b.received()
	return hub.Std(1), nil
}

func TestLoadReportsOfABusThatNeverRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &busyBus{received: func() { time.Sleep(time.Millisecond) }}
		out := make(chan report, 2)
		m := &meter{bus: &namedBus{name: "b", Bus: bus}, rate: hub.Bitrate{Nominal: 500_000}, interval: time.Second, count: 2, out: out}
		if err := m.run(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if r := <-out; r.Frames != 1000 {
				t.Errorf("%d frames, want 1000", r.Frames)
			}
		}
	})
}

// A brokenBus fails for good.
type brokenBus struct{ hub.Bus }

var errBroken = errors.New("cable cut")

func (brokenBus) Recv(context.Context) (hub.Message, error) { return hub.Message{}, errBroken }

func TestLoadEndsWhenABusFails(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	quiet, err := h.Open("can0", nil)
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	a := &app{out: &stdout, err: &stderr}
	buses := []*namedBus{{name: "a", Bus: quiet}, {name: "b", Bus: brokenBus{}}}
	err = a.measure(t.Context(), buses, make([]hub.Bitrate, 2), &loadFlags{interval: time.Hour})
	if !errors.Is(err, errBroken) || err.Error() != "b: "+errBroken.Error() {
		t.Errorf("measure: %v, want the error of bus b alone", err)
	}
}
