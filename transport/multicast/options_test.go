package multicast_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/multicast"
)

// All of these fail before there is a socket.
func TestOpenRefusesWhatIsNotPossibleAndNamesIt(t *testing.T) {
	for _, c := range []struct {
		group string
		o     multicast.Options
		want  []string
	}{
		{"192.168.1.1", multicast.Options{}, []string{`"192.168.1.1"`, "not a multicast address"}},
		{"fe80::1", multicast.Options{}, []string{`"fe80::1"`, "not a multicast address"}},
		{"0.0.0.0", multicast.Options{}, []string{`"0.0.0.0"`, "not a multicast address"}},
		{"localhost", multicast.Options{}, []string{`"localhost"`, "not an IP address"}},
		{"239.74.163.2:43113", multicast.Options{}, []string{`"239.74.163.2:43113"`, "not an IP address"}},
		{"", multicast.Options{Port: -1}, []string{"Port -1", "1 to 65535"}},
		{"", multicast.Options{Port: 65536}, []string{"Port 65536"}},
		{"", multicast.Options{HopLimit: 256}, []string{"HopLimit 256", "1 to 255"}},
		{"", multicast.Options{HopLimit: -1}, []string{"HopLimit -1"}},
		{"", multicast.Options{ReadBuffer: -1}, []string{"ReadBuffer -1", "1 to 1073741824"}},
		{"", multicast.Options{ReadBuffer: 1<<30 + 1}, []string{"ReadBuffer 1073741825"}},
		{"", multicast.Options{Interface: "none0"}, []string{`interface "none0"`}},
		{"ff02::1%none0", multicast.Options{}, []string{`interface "none0"`}},
		{"::ffff:239.74.163.2%none0", multicast.Options{}, []string{`interface "none0"`}},
		{"ff02::1%none0", multicast.Options{Interface: "none1"}, []string{"ff02::1%none0", `"none1"`}},
		{"", multicast.Options{Filters: []hub.Filter{{}, {StandardOnly: true, ExtendedOnly: true}}}, []string{"Filters[1]"}},
	} {
		b, err := multicast.Open(c.group, &c.o)
		if err == nil {
			b.Close()
			t.Errorf("Open(%q, %+v) succeeds", c.group, c.o)
			continue
		}
		for _, want := range append(c.want, "multicast: ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("Open(%q, %+v): %v, want %q in it", c.group, c.o, err, want)
			}
		}
		if errors.Is(err, hub.ErrClosed) {
			t.Errorf("Open(%q, %+v) = %v, which matches hub.ErrClosed", c.group, c.o, err)
		}
	}
}

// FreeBSD refuses what is more than kern.ipc.maxsockbuf allows.
func TestReadBufferIsWhatTheSystemGives(t *testing.T) {
	for _, c := range []struct{ ask, limit, want int }{
		{2 << 20, 4 << 20, 2 << 20},
		{2 << 20, 1_800_000, 1 << 20},
		{1 << 30, 300_000, 1 << 18},
		{1, 4 << 20, 1},
		{2 << 20, 10, 0}, // it would refuse anything
	} {
		got := 0
		err := multicast.Enlarge(c.ask, func(n int) error {
			if n > c.limit {
				return errors.New("no buffer space available")
			}
			got = n
			return nil
		})
		if got != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("asked for %d of at most %d: got %d, %v, want %d", c.ask, c.limit, got, err, c.want)
		}
	}
}
