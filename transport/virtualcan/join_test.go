package virtualcan

import (
	"bytes"
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

// Who reads all the time loses nothing of a burst, however much the sender has
// to send: that the server has no processor to write with is no fault of the
// client's.
func TestABurstReachesAClientThatReads(t *testing.T) {
	h := hub.New(nil)
	t.Cleanup(func() { h.Close() })
	s, address := serve(t, h, nil)
	const count = 20_000
	to, from := raw(t, h, address), raw(t, h, address)
	go from.Write(packets(numbered(count)...))
	got := make([]byte, count*packetLen)
	if n, err := io.ReadFull(to, got); err != nil {
		t.Fatalf("%d of %d messages came, %v, %+v", n/packetLen, count, err, s.Stats())
	}
	if !bytes.Equal(got, packets(numbered(count)...)) {
		t.Error("they came in another order")
	}
}
