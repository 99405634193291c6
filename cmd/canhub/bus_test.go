package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNamesOfBuses(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"multicast://239.74.163.2?iface=lo", "multicast"},
		{"hub:can0?own", "can0"},
		{"log:/some/drive.log.gz?speed=2 LOG:other.log", "drive other"},
		{"log:a%20b.log log:.log", "log log-2"}, // no words
		{"front=multicast: x.y-z_1=log:drive.log", "front x.y-z_1"},
		{"multicast: multicast://239.74.163.2 multicast:", "multicast multicast-2 multicast-3"},
		{"log:one.log one=log:two.log", "one-2 one"}, // the user's own name stays
		{"a=b=c:", "a"},
	} {
		buses, err := parseBuses(strings.Fields(tt.args))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(strings.Fields(tt.want), names(buses)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tt.args, diff)
		}
	}
	if _, err := parseBuses([]string{"a=hub:a", "a=hub:b"}); err == nil {
		t.Error("two buses have one name")
	}
}
