package hubtest_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// node makes a hub and returns a node of it that has received messages.
func node(t testing.TB, messages ...hub.Message) *hub.Subscriber {
	t.Helper()
	h := hubtest.New(t)
	tx, rx := hubtest.Open(t, h, "can0", nil), hubtest.Open(t, h, "can0", nil)
	for _, m := range messages {
		if err := tx.Send(context.Background(), m); err != nil {
			t.Fatalf("send %v: %v", m, err)
		}
	}
	return rx
}

// both runs a test in a bubble and outside.
func both(t *testing.T, f func(t *testing.T)) {
	t.Run("Outside", f)
	t.Run("InABubble", func(t *testing.T) { synctest.Test(t, f) })
}

func TestWantAcceptsWhatIsWanted(t *testing.T) {
	both(t, func(t *testing.T) {
		rx := node(t, hub.Std(0x123, 0xAA), hub.Ext(0x123), hub.Std(0x124))
		got := hubtest.Want(t, rx, hub.Std(0x123, 0xAA), hub.Ext(0x123))
		if len(got) != 2 || got[0].Seq != 1 || got[1].Seq != 2 || got[1].Timestamp == 0 {
			t.Errorf("Want returned %+v, want messages 1 and 2 with their times", got)
		}
		hubtest.Want(t, rx)
		hubtest.Want(t, rx, hub.Std(0x124))
	})
}

func TestWantIgnoresOwnAndReturnsIt(t *testing.T) {
	h := hubtest.New(t)
	s := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{OwnMessages: true})
	if err := s.Send(t.Context(), hub.Std(0x123)); err != nil {
		t.Fatal(err)
	}
	if got := hubtest.Want(t, s, hub.Std(0x123)); got[0].Flags&hub.Own == 0 {
		t.Errorf("Want returned %+v, want the flag Own", got)
	}
}

func TestWantReportsAnotherMessage(t *testing.T) {
	var rest []hub.Message
	r := record(func(t testing.TB) {
		rx := node(t, hub.Std(0x122), hub.Std(0x123, 0xAA, 0xBC), hub.Std(0x124))
		hubtest.Want(t, rx, hub.Std(0x122), hub.Std(0x123, 0xAA, 0xBB))
		rest = hubtest.Want(t, rx, hub.Std(0x124)) // it goes on behind them
	})
	wantReport(t, r, "(-want +got)", "  122#\n", "- 123#AABB\n", "+ 123#AABC")
	if len(rest) != 1 || strings.Contains(r.report(), "124#") {
		t.Errorf("the message behind is %v, want it received as usual; report:\n%s", rest, r.report())
	}
}

func TestWantReportsAMissingMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := record(func(t testing.TB) {
			hubtest.Want(t, node(t, hub.Std(0x122)), hub.Std(0x122), hub.RTR(0x123, 2), hub.Std(0x124))
			t.Errorf("Want goes on")
		})
		wantReport(t, r, "received 1 of 3 messages, then none for 5s", "  122#\n- 123#R2\n- 124#")
		if strings.Contains(r.report(), "goes on") {
			t.Error("Want goes on after a missing message")
		}
		if took := time.Since(start); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("Want waited for %v, want 5s", took)
		}
	})
}

func TestWantReportsAClosedBus(t *testing.T) {
	r := record(func(t testing.TB) {
		rx := node(t)
		rx.Close()
		hubtest.Want(t, rx, hub.Std(0x122))
	})
	wantReport(t, r, `received 0 of 1 messages, then error "hub: closed"`, "- 122#")
}

func TestWantShowsWhatCandumpFormDoesNot(t *testing.T) {
	plain := hub.Message{ID: 4, Flags: hub.Error, Len: 8}
	extended := plain
	extended.Flags |= hub.Extended
	r := record(func(t testing.TB) { hubtest.Want(t, node(t, extended), plain) })
	wantReport(t, r, "- 20000004#0000000000000000\n", "+ 20000004#0000000000000000 (ID 0x4, Flags Extended|Error, Len 8)")
}

func TestWantShowsOnlyTheSurroundingsOfADifference(t *testing.T) {
	var sent, wanted []hub.Message
	for i := range 100 {
		sent = append(sent, hub.Std(0x100, byte(i)))
		wanted = append(wanted, hub.Std(0x100, byte(i)))
	}
	wanted[50].ID = 0x101
	wanted[99].ID = 0x101
	r := record(func(t testing.TB) { hubtest.Want(t, node(t, sent...), wanted...) })
	wantReport(t, r, strings.Join([]string{
		"  ... 47 equal frames ...",
		"  100#2F", "  100#30", "  100#31", "- 101#32", "+ 100#32", "  100#33", "  100#34", "  100#35",
		"  ... 42 equal frames ...",
		"  100#60", "  100#61", "  100#62", "- 101#63", "+ 100#63",
	}, "\n"))

	for i := range wanted {
		wanted[i].ID = 0x101
	}
	r = record(func(t testing.TB) { hubtest.Want(t, node(t, sent...), wanted...) })
	if lines := strings.Count(r.report(), "\n"); lines > 40 || !strings.Contains(r.report(), "frames more") {
		t.Errorf("the report of 100 differences has %d lines, want a few, and how many more:\n%s", lines, r.report())
	}
}

func TestWantNoneAcceptsSilence(t *testing.T) {
	both(t, func(t *testing.T) {
		rx := node(t, hub.Std(0x123))
		hubtest.Want(t, rx, hub.Std(0x123))
		start := time.Now()
		hubtest.WantNone(t, rx)
		if took := time.Since(start); took < 50*time.Millisecond {
			t.Errorf("WantNone listened for %v, want 50ms", took)
		}
	})
}

func TestWantNoneReportsAMessage(t *testing.T) {
	both(t, func(t *testing.T) {
		r := record(func(t testing.TB) { hubtest.WantNone(t, node(t, hub.FD(0x123, 0xAA))) })
		wantReport(t, r, "received 123##0AA, want no message")
	})
}

// In a bubble the time passes when nobody has anything to do, so a message that
// is still under way is not missed, nor one that a timer sends.
func TestWantNoneReportsAMessageThatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(func(t testing.TB) {
			h := hubtest.New(t)
			tx, rx := hubtest.Open(t, h, "can0", nil), hubtest.Open(t, h, "can0", nil)
			time.AfterFunc(49*time.Millisecond, func() { tx.Send(context.Background(), hub.Std(0x123)) })
			hubtest.WantNone(t, rx)
		})
		wantReport(t, r, "received 123#, want no message")
	})
}

func TestWantNoneReportsAClosedBus(t *testing.T) {
	r := record(func(t testing.TB) {
		rx := node(t)
		rx.Close()
		hubtest.WantNone(t, rx)
	})
	wantReport(t, r, `received error "hub: closed", want no message`)
}

func TestWantAndWantNoneWorkInCleanup(t *testing.T) {
	both(t, func(t *testing.T) {
		rx := node(t, hub.Std(0x123))
		t.Cleanup(func() {
			hubtest.Want(t, rx, hub.Std(0x123))
			hubtest.WantNone(t, rx)
		})
	})
}
