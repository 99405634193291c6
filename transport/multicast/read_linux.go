package multicast

import (
	"encoding/binary"
	"net"
	"os"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// batchLength is how many datagrams one system call reads at most.
const batchLength = 32

// A reader reads several datagrams with one system call, each with the time at
// which the kernel received it.
type reader struct {
	conn     batchConn
	messages [batchLength]ipv4.Message
	receipts [batchLength]receipt
}

// A batchConn is an ipv4.PacketConn or an ipv6.PacketConn: their Messages are
// one type.
type batchConn interface {
	ReadBatch(ms []ipv4.Message, flags int) (int, error)
}

func newReader(conn *net.UDPConn, v4 bool) (*reader, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		for _, option := range []int{unix.SO_TIMESTAMPNS, unix.SO_RXQ_OVFL} {
			if failed == nil {
				failed = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, option, 1))
			}
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, err
	}
	r := &reader{conn: ipv6.NewPacketConn(conn)}
	if v4 {
		r.conn = ipv4.NewPacketConn(conn)
	}
	for i := range r.messages {
		// One byte more than is allowed shows that there were more.
		r.messages[i].Buffers = [][]byte{make([]byte, maxDatagram+1)}
		r.messages[i].OOB = make([]byte, unix.CmsgSpace(16)+unix.CmsgSpace(4))
	}
	return r, nil
}

// read waits for datagrams. What it returns is valid until the next read.
func (r *reader) read() ([]receipt, error) {
	n, err := r.conn.ReadBatch(r.messages[:], 0)
	if err != nil {
		return nil, err
	}
	for i := range n {
		m := &r.messages[i]
		p := receipt{data: m.Buffers[0][:m.N]}
		if from, ok := m.Addr.(*net.UDPAddr); ok {
			p.from = from.AddrPort()
		}
		p.control(m.OOB[:m.NN])
		if p.ns == 0 {
			p.ns = time.Now().UnixNano()
		}
		r.receipts[i] = p
	}
	return r.receipts[:n], nil
}

// control reads what the kernel tells about a datagram.
func (p *receipt) control(oob []byte) {
	for len(oob) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return
		}
		oob = rest
		if header.Level != unix.SOL_SOCKET {
			continue
		}
		switch header.Type {
		case unix.SCM_TIMESTAMPNS:
			switch len(data) { // a struct timespec of 64-bit or of 32-bit longs
			case 16:
				p.ns = int64(binary.NativeEndian.Uint64(data))*1e9 + int64(binary.NativeEndian.Uint64(data[8:]))
			case 8:
				p.ns = int64(int32(binary.NativeEndian.Uint32(data)))*1e9 + int64(binary.NativeEndian.Uint32(data[4:]))
			}
		case unix.SO_RXQ_OVFL:
			if len(data) >= 4 {
				p.dropped = binary.NativeEndian.Uint32(data)
			}
		}
	}
}
