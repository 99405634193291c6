package remote

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

func TestPeriodicMessages(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, &Options{MaxTasks: 2})
	node := hubtest.Open(t, h, "can0", nil)
	b := dial(t, address, nil)
	ctx := t.Context()
	m := hub.FD(0x18DAF110, make([]byte, 12)...)
	m.Flags |= hub.BRS | hub.ESI
	task, err := b.SendPeriodic(ctx, m, time.Millisecond, 0)
	if err != nil {
		t.Fatal(err)
	}
	hubtest.Want(t, node, m, m, m)
	if _, err := b.SendPeriodic(ctx, m, time.Millisecond, 0); err == nil {
		t.Error("a second task for one identifier is accepted")
	}
	m.Data[0] = 7
	if err := task.Update(ctx, m); err != nil {
		t.Fatal(err)
	}
	drain(t, node, m)
	hubtest.Want(t, node, m, m)
	if err := task.Update(ctx, hub.Std(1)); err == nil {
		t.Error("Update changes the identifier")
	}
	for range 2 {
		if err := task.Stop(ctx); err != nil {
			t.Fatal(err)
		}
	}
	send(t, b, marker) // behind the stop
	drain(t, node, marker)
	hubtest.WantNone(t, node)
	if err := task.Update(ctx, m); err != hub.ErrClosed {
		t.Errorf("Update after Stop: %v", err)
	}

	short, err := b.SendPeriodic(ctx, hub.Std(1), 200*time.Millisecond, 350*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	hubtest.Want(t, node, hub.Std(1), hub.Std(1))
	hubtest.WantNone(t, node)
	if err := short.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for id := range uint32(3) { // one is too many
		if _, err := b.SendPeriodic(ctx, hub.Std(0x10+id), time.Hour, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // in any order
		if m, err := node.Recv(ctx); err != nil || m.ID&^1 != 0x10 {
			t.Errorf("received %v, %v", m, err)
		}
	}
	var told *EventError
	if err := recvError(t, b); !errors.As(err, &told) || !strings.Contains(told.Text, "2 tasks") {
		t.Errorf("Recv: %v, want the limit as an EventError", err)
	}
	b.Close()
	hubtest.WaitPeers(t, h, "can0", 1)
	hubtest.WantNone(t, node)
}

// A client that sends a few messages must not keep the server busy for ever.
func TestTasksOfAClientHaveABound(t *testing.T) {
	h := hubtest.New(t)
	b := dial(t, serve(t, h, nil), nil)
	ctx := t.Context()
	var first *Task
	for id := range uint32(10) { // 1,000 a second each, and that is all
		task, err := b.SendPeriodic(ctx, hub.Std(id), time.Millisecond, 0)
		if err != nil {
			t.Fatal(err)
		}
		if id == 0 {
			first = task
		}
	}
	refused := func(id uint32) {
		t.Helper()
		if _, err := b.SendPeriodic(ctx, hub.Std(id), time.Second, 0); err != nil {
			t.Fatal(err)
		}
		var told *EventError
		if err := recvError(t, b); !errors.As(err, &told) || !strings.Contains(told.Text, "10000 messages a second") {
			t.Errorf("Recv: %v, want the limit as an EventError", err)
		}
	}
	refused(0x20)
	if err := first.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	node := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{Filters: []hub.Filter{{ID: 0x21, Mask: 0x7FF}}})
	if _, err := b.SendPeriodic(ctx, hub.Std(0x21), time.Millisecond, 0); err != nil { // there is room now
		t.Fatal(err)
	}
	hubtest.Want(t, node, hub.Std(0x21))
	refused(0x22)
}

// python-can-remote ends the session of a client that stops what it does not know.
func TestATaskIsStoppedOnce(t *testing.T) {
	said := make(chan string, 10)
	address := oddServer(t, answer101, func(c *rawClient) {
		c.frame()
		c.Write(appendFrameOf(opText, `{"type": "bus_response", "payload": {"channel_info": ""}}`))
		for {
			op, p, err := c.frame()
			if err != nil || op == opClose {
				c.Write(appendFrameOf(opClose, "\x03\xe8"))
				close(said)
				return
			}
			said <- string(p)
		}
	})
	b := dial(t, address, nil)
	task, err := b.SendPeriodic(t.Context(), hub.Std(0x123), time.Second, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := task.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	b.Close()
	<-said // the start
	var rest []string
	for text := range said {
		rest = append(rest, text)
	}
	if d := cmp.Diff([]string{`{"type": "periodic_stop", "payload": 291}`}, rest); d != "" {
		t.Error(d)
	}
}

func TestPeriodicSendsWhatPythonSends(t *testing.T) {
	w := hub.Std(304, 196, 224)
	got, err := appendEvent(nil, periodicStart, map[string]any{"period": 0.1, "duration": nil, "msg": periodicFrame{&w}})
	if err != nil {
		t.Fatal(err)
	}
	// From remote_conversations.json; there is no is_esi in Python's.
	want := `{"type": "periodic_start", "payload": {"period": 0.1, "duration": null, "msg": {"arbitration_id": 304, ` +
		`"is_extended_id": false, "is_remote_frame": false, "is_error_frame": false, "is_fd": false, ` +
		`"bitrate_switch": false, "error_state_indicator": false, "dlc": 2, "data": [196, 224]}}}`
	var g, p any
	if json.Unmarshal(got, &g) != nil || json.Unmarshal([]byte(want), &p) != nil {
		t.Fatalf("%s is no JSON", got)
	}
	if d := cmp.Diff(p, g); d != "" {
		t.Error(d)
	}
}
