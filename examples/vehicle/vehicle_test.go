package vehicle_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/examples/vehicle"
	"github.com/canhub-go/canhub/hub"
)

var update = flag.Bool("update", false, "write the quickstart's log anew")

const driveLog = "../quickstart/drive.log"

// record returns a log of ten seconds of the vehicle, in fake time: it starts
// at midnight of 1 January 2000, UTC, and takes no time at all.
func record(t *testing.T, seed uint64) []byte {
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		defer h.Close()
		listener, err := h.Open("can0", nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- vehicle.Run(ctx, h, "can0", seed) }()

		w := canlog.NewWriter(&log, nil)
		for m := range listener.All(ctx) {
			if err := w.Write(canlog.Entry{Channel: "can0", Message: m}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return log.Bytes()
}

func TestDriveLogIsWhatTheVehicleSends(t *testing.T) {
	got := record(t, 1)
	if *update {
		if err := os.WriteFile(driveLog, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(driveLog)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := bytes.Split(got, []byte("\n")), bytes.Split(want, []byte("\n"))
	for i := range min(len(gotLines), len(wantLines)) {
		if !bytes.Equal(gotLines[i], wantLines[i]) {
			t.Fatalf("%s:%d: %s, the vehicle sends %s: run go generate", driveLog, i+1, wantLines[i], gotLines[i])
		}
	}
	if len(gotLines) != len(wantLines) {
		t.Errorf("%s has %d lines, the vehicle sends %d: run go generate", driveLog, len(wantLines), len(gotLines))
	}
}

func TestSameSeedSameTraffic(t *testing.T) {
	one, again, two := record(t, 1), record(t, 1), record(t, 2)
	if !bytes.Equal(one, again) {
		t.Error("seed 1 gives different traffic the second time")
	}
	if bytes.Equal(one, two) {
		t.Error("seeds 1 and 2 give the same traffic")
	}
}

func TestRunEndsWhenTheHubIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(nil)
		time.AfterFunc(3*time.Second, func() { h.Close() })
		if err := vehicle.Run(t.Context(), h, "can0", 1); err != hub.ErrClosed {
			t.Errorf("Run: %v, want %v", err, hub.ErrClosed)
		}
		h.Close() // waits for the other Close
	})
}

func TestTheDriveIsPlausible(t *testing.T) {
	var top, last float64
	var asked, answered, extended, fd int
	for e, err := range canlog.NewReader(bytes.NewReader(record(t, 1)), driveLog).Entries() {
		if err != nil {
			t.Fatal(err)
		}
		m := e.Message
		if v, ok := vehicle.Speed(m); ok {
			top, last = max(top, v), v
		}
		if rpm, ok := vehicle.RPM(m); ok && (rpm < 700 || rpm > 4000) {
			t.Errorf("%v: %d rpm", m, rpm)
		}
		switch {
		case m.Flags&hub.Remote != 0:
			asked++
		case m.ID == 0x6F0:
			answered++
		case m.Flags&hub.Extended != 0:
			extended++
		case m.Flags&hub.FDF != 0:
			fd++
		}
	}
	if top < 50 || top > 54 || last > 1 {
		t.Errorf("top speed %.1f km/h, last %.1f, want 50 to 54 and 0", top, last)
	}
	if asked != 5 || answered != 5 || extended != 200 || fd != 200 {
		t.Errorf("%d remote frames, %d answers, %d extended and %d FD frames, want 5, 5, 200, 200", asked, answered, extended, fd)
	}
}
