package netns

import (
	"net"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	Setup()
	os.Exit(m.Run())
}

func TestAnIsolatedTestSeesOnlyALoopbackInterface(t *testing.T) {
	if !Isolated(t) {
		return
	}
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	const want = net.FlagUp | net.FlagLoopback | net.FlagMulticast
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&want != want {
			t.Errorf("interface %s is up, flags %v", i.Name, i.Flags)
		}
	}
	if c, err := net.Dial("udp", "192.0.2.1:9"); err == nil {
		c.Close()
		t.Error("there is a way out of the namespace")
	}
	c, err := net.Dial("udp4", "239.0.0.1:9")
	if err != nil {
		t.Fatalf("there is no way to a multicast group: %v", err)
	}
	c.Close()
}
