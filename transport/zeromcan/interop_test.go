package zeromcan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/internal/live"
	"github.com/canhub-go/canhub/transport/zeromcan"
	"github.com/google/go-cmp/cmp"
)

// startPython returns when the peer is ready.
func startPython(t *testing.T, stdin string, args ...string) *live.Peer {
	t.Helper()
	cmd := live.Python(t, append([]string{"testdata/peer.py"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return live.Start(t, cmd)
}

// pythonServer starts a server of pyzmq, which the test ends.
func pythonServer(t *testing.T) place {
	t.Helper()
	p := startPython(t, "", "serve")
	t.Cleanup(p.Kill)
	var calls, publish int
	if _, err := fmt.Sscan(p.Ready, &calls, &publish); err != nil {
		t.Fatal(err)
	}
	return place{fmt.Sprintf("127.0.0.1:%d", calls), fmt.Sprintf("127.0.0.1:%d", publish)}
}

func messages(t *testing.T, frames []golden.Frame) (all []hub.Message) {
	t.Helper()
	for _, f := range frames {
		all = append(all, f.Raw(t))
	}
	return all
}

// kinds are all frames of the vectors that the protocol carries.
func kinds(t *testing.T) (msgs []hub.Message, stdin string) {
	t.Helper()
	var b strings.Builder
	for _, v := range vectors(t) {
		m := v.Frame.Raw(t)
		if !carried(m) {
			continue
		}
		line, err := json.Marshal(v.Frame)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
		msgs = append(msgs, m)
	}
	return msgs, b.String()
}

// marker is what ends a receiving peer. It is sent until that has ended, for
// nothing tells when its subscription is in force.
var marker = hub.Std(0x7FE)

// recvWith has python receive what send sends.
func recvWith(t *testing.T, b hub.Bus, calls, publish string, send func()) []hub.Message {
	t.Helper()
	p := startPython(t, "", "recv", "tcp://"+calls, "tcp://"+publish)
	time.Sleep(300 * time.Millisecond) // a SUB of libzmq gives no sign that it is one
	send()
	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			if err := b.Send(context.Background(), marker); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	defer func() { close(ended); <-stopped }()
	return messages(t, p.Frames(t))
}

func same(t *testing.T, got, want []hub.Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i := range want {
		if !got[i].Equal(want[i]) {
			t.Fatalf("message %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// repeat is how often the 63 frames go each way.
const repeat = 80

func repeated(msgs []hub.Message) (all []hub.Message) {
	for range repeat {
		all = append(all, msgs...)
	}
	return all
}

func TestLivePythonClientsOnThisServer(t *testing.T) {
	live.Wanted(t)
	h := newHub(t)
	s := serve(t, h, zeromcan.Options{})
	local, b := node(t, h), dial(t, s, nil)
	msgs, stdin := kinds(t)
	want := repeated(msgs)

	p := startPython(t, stdin, "send", "tcp://"+s.calls, "tcp://"+s.publish, fmt.Sprint(repeat))
	for i := range want {
		for _, bus := range []hub.Bus{local, b} {
			if m := recv(t, bus); !m.Equal(want[i]) {
				t.Fatalf("message %d from python is %v, want %v", i, m, want[i])
			}
		}
	}
	p.Lines(t)
	t.Logf("all %d messages came from python to the hub and to a client", len(want))

	local.Close() // it would receive all that, and the channel would wait for it
	got := recvWith(t, b, s.calls, s.publish, func() { send(t, b, want...) })
	same(t, got, want)
	t.Logf("python received all %d messages of a client", len(got))
}

// A hub sends far faster than Python reads. What is missing there is counted.
func TestLivePythonMissesOnlyWhatIsCounted(t *testing.T) {
	live.Wanted(t)
	h := newHub(t)
	log := new(record)
	msgs, _ := kinds(t)
	want := repeated(msgs)
	var got []hub.Message
	t.Run("", func(t *testing.T) { // the last count is told when the server ends
		s := serve(t, h, zeromcan.Options{Logger: log.logger()})
		local := node(t, h)
		got = recvWith(t, local, s.calls, s.publish, func() { send(t, local, want...) })
	})
	dropped := 0
	if i := strings.LastIndex(log.String(), "count="); i >= 0 {
		if _, err := fmt.Sscanf(log.String()[i:], "count=%d", &dropped); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("python received %d of %d messages of the hub, %d counted as dropped", len(got), len(want), dropped)
	if len(got) == 0 || len(got)+dropped < len(want) { // markers can be dropped as well
		t.Errorf("%d messages are missing, %d counted", len(want)-len(got), dropped)
	}
}

func TestLivePythonServerForTheseClients(t *testing.T) {
	live.Wanted(t)
	s := pythonServer(t)
	a, b := dial(t, s, nil), dial(t, s, &zeromcan.DialOptions{OwnMessages: true})
	msgs, _ := kinds(t)
	want := repeated(msgs)
	var got []hub.Message
	done := make(chan error, 1)
	go func() {
		for range want {
			m, err := b.Recv(context.Background())
			if err != nil {
				done <- err
				return
			}
			got = append(got, m)
		}
		done <- nil
	}()
	send(t, a, want...)
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(long):
		t.Fatalf("not all of %d messages came", len(want))
	}
	same(t, got, want)
	t.Logf("all %d messages came through python's server", len(got))
	send(t, b, hub.Std(1))
	if m := recv(t, b); m.Flags&hub.Own == 0 {
		t.Errorf("its own message comes as %v, not marked", m)
	}
	hubtest.Want(t, a, hub.Std(1))
}

func TestLivePythonHearsWhyARequestIsRefused(t *testing.T) {
	live.Wanted(t)
	s := serve(t, newHub(t), zeromcan.Options{})
	var stdin strings.Builder
	for _, v := range malformed(t) {
		stdin.WriteString(v.Wire + "\n")
	}
	replies := startPython(t, stdin.String(), "raw", "tcp://"+s.calls).Lines(t)
	if len(replies) != len(malformed(t)) {
		t.Fatalf("%d replies, want %d", len(replies), len(malformed(t)))
	}
	for i, v := range malformed(t) {
		if refused := strings.HasPrefix(replies[i], "9201"); refused != (v.Reply == nil || stricter[v.Name]) {
			t.Errorf("%s: reply %s", v.Name, replies[i])
		}
	}
}

// What others have in front of their calls, and between them and the server.
func TestLivePythonComesInAllWays(t *testing.T) {
	live.Wanted(t)
	s := serve(t, newHub(t), zeromcan.Options{})
	got := startPython(t, "", "ways", "tcp://"+s.calls, "tcp://"+s.publish).Lines(t)
	want := []string{
		"plain [0, 1]",
		"correlated [0, 1]",
		"heartbeat [0, 1]",
		"by a proxy [0, 1]",
		"by two [0, 1]",
		"publication ['x', 5, False, [1, 2]]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// ask sends 100s with n until a 101 with n comes.
func ask(t *testing.T, b hub.Bus, n byte) {
	t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); {
		send(t, b, hub.Std(0x100, n))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		m, err := b.Recv(ctx)
		for err == nil && !m.Equal(hub.Std(0x101, n)) {
			m, err = b.Recv(ctx)
		}
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("no 101 with %d comes", n)
}

// A client of libzmq connects again by itself and keeps its name, at a server that
// gives names anew.
func TestLivePythonClientStaysWhenTheServerStartsAgain(t *testing.T) {
	live.Wanted(t)
	at, stop := serveAt(t, newHub(t), zeromcan.Options{}, place{"127.0.0.1:0", ""})
	p := startPython(t, "", "echo", "tcp://"+at.calls, "tcp://"+at.publish)
	name, _, _ := strings.Cut(p.Ready, " ")
	before := dial(t, at, nil)
	ask(t, before, 1)
	for again := range byte(3) {
		stop()
		at, stop = serveAt(t, newHub(t), zeromcan.Options{}, at)
		fresh := dial(t, at, nil)
		if fresh.Name() == name {
			t.Errorf("both are %s", name)
		}
		ask(t, fresh, 2+again)
		if again == 2 {
			send(t, fresh, marker)
		}
	}
	p.Lines(t)
	var err error
	for err == nil {
		_, err = before.Recv(within(t))
	}
	if !errors.Is(err, hub.ErrClosed) {
		t.Errorf("Recv of the client before = %v, want hub.ErrClosed", err)
	}
}

// While libzmq publishes all the time it is slow to see who subscribes.
func TestLiveDialMissesNothingOfABusyServer(t *testing.T) {
	live.Wanted(t)
	s := pythonServer(t)
	a := dial(t, s, nil)
	for n := range byte(20) {
		quit, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			for {
				if err := a.Send(context.Background(), hub.Std(1)); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-quit:
					return
				default:
				}
			}
		}()
		b := dial(t, s, nil)
		send(t, a, hub.Std(2, n))
		close(quit)
		<-ended
		send(t, a, hub.Std(3))
		for m := recv(t, b); !m.Equal(hub.Std(2, n)); m = recv(t, b) {
			if m.Equal(hub.Std(3)) {
				t.Fatalf("client %d has missed what was sent after its Dial", n)
			}
		}
		b.Close()
	}
}
