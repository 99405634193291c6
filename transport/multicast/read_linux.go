package multicast

import (
	"encoding/binary"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A reader reads several datagrams with one system call, each with the time at
// which the kernel received it.
type reader struct {
	raw      syscall.RawConn
	batch    *batch
	receipts [batchLength]receipt
}

func newReader(conn *net.UDPConn) (*reader, error) {
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
	return &reader{raw: raw, batch: newBatch()}, nil
}

// each calls take with what comes, until that returns false or a read fails.
// The datagrams are valid until take returns.
func (r *reader) each(take func([]receipt) bool) error {
	var failed error
	err := r.raw.Read(func(socket uintptr) (end bool) {
		for {
			n, err := r.batch.recv(socket)
			switch {
			case err == unix.EAGAIN:
				return false // wait, and try again
			case err != nil:
				failed = os.NewSyscallError("recvmmsg", err)
				return true
			case !take(r.received(n)):
				return true
			case n < batchLength:
				// There was no more. What has come since does not let Read wait.
				return false
			}
		}
	})
	if err == nil {
		err = failed
	}
	return err
}

// received returns the first n datagrams of the batch.
func (r *reader) received(n int) []receipt {
	for i := range n {
		h := &r.batch.headers[i]
		p := receipt{data: r.batch.data[i][:h.n], from: r.batch.from(i)}
		p.control(r.batch.controls[i][:h.Controllen])
		if p.ns == 0 {
			p.ns = time.Now().UnixNano()
		}
		r.receipts[i] = p
	}
	return r.receipts[:n]
}

// droppedBy asks the kernel what control will read with the next datagram.
func droppedBy(conn *net.UDPConn) (n uint32, ok bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) { n, ok = dropped(fd) })
	return n, ok && err == nil
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
