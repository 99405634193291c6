package remote

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

func TestChannelsByPath(t *testing.T) {
	for _, c := range []struct {
		o    Options
		path string
		want string // the channel, or "" for 404
	}{
		{Options{}, "/", "can0"},
		{Options{}, "/can0", "can0"},
		{Options{}, "/can1", ""},
		{Options{Channel: "vcan3"}, "/", "vcan3"},
		{Options{Channel: "vcan3"}, "/can0", ""},
		{Options{Channels: []string{"can1"}}, "/can1/", "can1"},
		{Options{Channels: []string{"can1"}}, "/can2", ""},
		{Options{Access: Existing}, "/there", "there"},
		{Options{Access: Existing}, "/can7", ""},
		{Options{Access: Any}, "/can7", "can7"},
		{Options{Access: Any}, "/a/b", "a/b"},
		{Options{Access: Any}, "/" + strings.Repeat("x", 64), strings.Repeat("x", 64)},
		{Options{Access: Any}, "/" + strings.Repeat("x", 65), ""},
		{Options{Access: Any}, "/a%0Ab", ""},
	} {
		t.Run(fmt.Sprintf("%v%v%s", c.o.Channels, c.o.Access, c.path), func(t *testing.T) {
			h := hubtest.New(t)
			hubtest.Open(t, h, "there", nil)
			address := strings.TrimSuffix(serve(t, h, &c.o), "/") + c.path
			b, err := Dial(t.Context(), address, nil)
			if c.want == "" {
				if err == nil || !strings.Contains(err.Error(), "404") {
					t.Fatalf("Dial: %v, want 404", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			node := hubtest.Open(t, h, c.want, nil)
			send(t, node, hub.Std(1))
			hubtest.Want(t, b, hub.Std(1))
			if info := b.ChannelInfo(); info != "canhub channel "+c.want {
				t.Errorf("ChannelInfo %q", info)
			}
		})
	}
}

func TestChannelByConfig(t *testing.T) {
	h := hubtest.New(t)
	o := &Options{Channels: []string{"can1"}}
	closed := serve(t, h, o)
	if b := dial(t, closed, &DialOptions{Channel: "can1"}); b.ChannelInfo() != "canhub channel can0" {
		t.Errorf("on %q though the server does not allow it", b.ChannelInfo())
	}
	open := *o
	open.ConfigChannel = true
	address := serve(t, h, &open)
	if b := dial(t, address, &DialOptions{Channel: "can1"}); b.ChannelInfo() != "canhub channel can1" {
		t.Errorf("on %q, want can1", b.ChannelInfo())
	}
	var refused *CloseError
	if _, err := Dial(t.Context(), address, &DialOptions{Channel: "can2"}); !errors.As(err, &refused) || refused.Code != 1011 {
		t.Errorf("Dial: %v, want a CloseError with code 1011", err)
	}
}

func TestConfigOfTheBusRequest(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, nil)
	node := hubtest.Open(t, h, "can0", nil)
	b := dial(t, address, &DialOptions{
		OwnMessages:    true,
		KeepTimestamps: true,
		Bitrate:        500_000,
		FD:             true,
		Filters:        []hub.Filter{{ID: 0x100, Mask: 0x700, StandardOnly: true}},
		Config:         map[string]any{"anything": []int{1, 2}},
	})
	m := hub.Std(0x123, 1)
	m.Timestamp = 1_250_000_000
	send(t, b, m)
	if got := hubtest.Want(t, node, m); got[0].Timestamp != m.Timestamp {
		t.Errorf("Timestamp %d, want %d as sent", got[0].Timestamp, m.Timestamp)
	}
	if got := hubtest.Want(t, b, m); got[0].Flags != hub.Own {
		t.Errorf("Flags %v, want Own", got[0].Flags)
	}
	send(t, node, hub.Std(0x200), hub.Ext(0x101), hub.Std(0x1FF))
	hubtest.Want(t, b, hub.Std(0x1FF))
	if s := b.Stats(); s.Received != 2 {
		t.Errorf("%+v: the server has sent what the filter does not let through", s)
	}
}

func TestInvertedFiltersWorkAtTheClient(t *testing.T) {
	h := hubtest.New(t)
	b := dial(t, serve(t, h, nil), &DialOptions{Filters: []hub.Filter{{ID: 1, Mask: 0x7FF, Invert: true}}})
	send(t, hubtest.Open(t, h, "can0", nil), hub.Std(1), hub.Std(2))
	hubtest.Want(t, b, hub.Std(2))
}

func TestOwnMessagesAreMarkedInBothForms(t *testing.T) {
	for name, json := range map[string]bool{"binary": false, "JSON": true} {
		t.Run(name, func(t *testing.T) {
			b := dial(t, serve(t, hubtest.New(t), nil), &DialOptions{OwnMessages: true, JSON: json})
			m := hub.FD(0x18DAF110, 1, 2, 3)
			send(t, b, m)
			if got := hubtest.Want(t, b, m); got[0].Flags&hub.Own == 0 {
				t.Errorf("Flags %v, want Own", got[0].Flags)
			}
		})
	}
}

func TestOddBusRequestsAreRefusedWithAReason(t *testing.T) {
	address := serve(t, hubtest.New(t), nil)
	many := strings.Repeat(`{"can_id":0,"can_mask":0},`, maxFilters) + `{"can_id":0,"can_mask":0}`
	for _, config := range []string{
		`{"can_filters": 1}`, `{"can_filters": [1]}`, `{"can_filters": [{"can_id": 1}]}`,
		`{"can_filters": [{"can_id": -1, "can_mask": 0}]}`, `{"can_filters": [{"can_id": "1", "can_mask": 0}]}`,
		`{"can_filters": [` + many + `]}`,
		`{"receive_own_messages": "yes"}`, `{"preserve_timestamps": []}`, `[1]`, `[["a"]]`, `"x"`,
	} {
		c := rawDial(t, address)
		c.upgrade(t, head)
		c.text(t, `{"type": "bus_request", "payload": {"config": `+config+`}}`)
		op, p, err := c.frame()
		if op != opClose || len(p) < 20 || string(p[:2]) != "\x03\xf3" {
			t.Errorf("%.60s: answer %d %q, %v; want CLOSE 1011 with a reason", config, op, p, err)
		}
	}
}
