package virtualcan

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// As with the original server: who connects first receives what those who
// connect later send.
func TestClientsJoinInTheOrderInWhichTheyConnect(t *testing.T) {
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() })
	_, address := serve(t, h, nil)
	connect := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		return c
	}
	for i := range 100 {
		first, second := connect(), connect()
		second.Write(packets(hub.Std(uint32(i))))
		if _, err := io.ReadFull(first, make([]byte, packetLen)); err != nil {
			t.Fatalf("pair %d: the first has received nothing: %v", i, err)
		}
		first.Close()
		second.Close()
	}
}
