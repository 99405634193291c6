package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/multicast"
)

// A link is a sender and a receiver on a network that may lose messages.
type link struct {
	send    func(m *hub.Message) error
	recv    func(m *hub.Message) error // io.EOF after close
	dropped func() uint64              // what the receiver knows to be lost; or nil
	close   func()
}

// flood sends messages until more, asked before each, says no. It counts those
// that arrive.
func (l *link) flood(more func(sent uint64, since time.Time) bool) (r flood, err error) {
	start := time.Now()
	var received, last atomic.Int64
	ended := make(chan error, 1)
	go func() {
		var m hub.Message
		for next := uint64(0); ; {
			if err := l.recv(&m); err != nil {
				if err == io.EOF {
					err = nil
				}
				ended <- err
				return
			}
			n := binary.LittleEndian.Uint64(m.Data[:8])
			if n < next {
				r.Disorder++ // read when this goroutine has ended
			}
			next = n + 1
			if received.Add(1)%16 == 0 {
				last.Store(int64(time.Since(start)))
			}
		}
	}()
	var m hub.Message
	for err == nil && more(r.Sent, start) {
		stamp(&m, 0, r.Sent)
		if err = l.send(&m); err == nil {
			r.Sent++
		}
	}
	sending := time.Since(start)
	// What is in the sockets still arrives.
	for n, since := received.Load(), time.Now(); time.Since(since) < 100*time.Millisecond; time.Sleep(5 * time.Millisecond) {
		if now := received.Load(); now != n {
			n, since = now, time.Now()
		}
	}
	if l.dropped != nil {
		r.Dropped = l.dropped()
	}
	l.close()
	err = errors.Join(err, <-ended)
	r.Received = uint64(received.Load())
	r.Seconds = max(time.Duration(last.Load()), sending).Seconds()
	return r, err
}

// timed sends for d.
func timed(d time.Duration) func(uint64, time.Time) bool {
	return func(sent uint64, start time.Time) bool {
		return sent%16 != 0 || time.Since(start) < d
	}
}

// paced sends count messages at a rate per second.
func paced(rate, count uint64) func(uint64, time.Time) bool {
	return func(sent uint64, start time.Time) bool {
		for sent >= uint64(float64(rate)*time.Since(start).Seconds()) {
			time.Sleep(100 * time.Microsecond)
		}
		return sent < count
	}
}

func numbers(args []string) (ns []uint64, err error) {
	for _, a := range args {
		n, err := strconv.ParseUint(a, 10, 64)
		if err != nil {
			return nil, err
		}
		ns = append(ns, n)
	}
	return ns, nil
}

// openBuses returns a link of two buses.
func openBuses(o *multicast.Options) (*link, error) {
	tx, err := multicast.Open(multicast.DefaultGroupIPv4, nil)
	if err != nil {
		return nil, err
	}
	rx, err := multicast.Open(multicast.DefaultGroupIPv4, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(background)
	return &link{
		send: func(m *hub.Message) error { return tx.Send(ctx, *m) },
		recv: func(m *hub.Message) (err error) {
			*m, err = rx.Recv(ctx)
			if errors.Is(err, hub.ErrClosed) {
				err = io.EOF
			}
			return err
		},
		dropped: func() uint64 { return rx.Stats().Dropped },
		close:   func() { tx.Close(); rx.Close(); cancel() },
	}, nil
}

func busJob(args []string) (r flood, err error) {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return r, err
	}
	l, err := openBuses(nil)
	if err != nil {
		return r, err
	}
	return l.flood(timed(d))
}

// pacedJob sends a number of messages at a rate to a bus with its default buffer.
func pacedJob(args []string) (r flood, err error) {
	n, err := numbers(args)
	if err != nil {
		return r, err
	}
	l, err := openBuses(nil)
	if err != nil {
		return r, err
	}
	return l.flood(paced(n[0], n[1]))
}

// overrunJob sends a number of messages to a bus whose buffer is the smallest.
func overrunJob(args []string) (r flood, err error) {
	n, err := numbers(args)
	if err != nil {
		return r, err
	}
	l, err := openBuses(&multicast.Options{ReadBuffer: 1})
	if err != nil {
		return r, err
	}
	return l.flood(func(sent uint64, _ time.Time) bool { return sent < n[0] })
}

// datagramSize is that of a message with an 11-bit identifier and 8 bytes of data
// as the bus sends it; for half of the identifiers it is less by up to 2.
const datagramSize = 162

// datagramJob is a bus without CAN, of what package net has: two nodes, each with
// a socket that is in the group and one to send from.
func datagramJob(args []string) (r flood, err error) {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return r, err
	}
	var nodes [2]struct{ in, out *net.UDPConn }
	group := &net.UDPAddr{IP: net.ParseIP(multicast.DefaultGroupIPv4), Port: multicast.DefaultPort}
	for i := range nodes {
		n := &nodes[i]
		if n.in, err = net.ListenMulticastUDP("udp4", nil, group); err != nil {
			return r, err
		}
		if err = n.in.SetReadBuffer(2 << 20); err != nil { // what a bus asks for
			return r, err
		}
		if n.out, err = net.DialUDP("udp4", nil, group); err != nil {
			return r, err
		}
	}
	tx, rx := &nodes[0], &nodes[1]
	own := make(chan struct{}) // closed when the sender no longer hears itself
	go func() {
		defer close(own)
		var b [datagramSize]byte
		for {
			if _, err := tx.in.Read(b[:]); err != nil {
				return
			}
		}
	}()
	var from, to [datagramSize]byte
	l := &link{
		send: func(m *hub.Message) error {
			copy(from[:], m.Data[:8])
			_, err := tx.out.Write(from[:])
			return err
		},
		recv: func(m *hub.Message) error {
			_, err := rx.in.Read(to[:])
			if errors.Is(err, net.ErrClosed) {
				return io.EOF
			}
			copy(m.Data[:8], to[:])
			return err
		},
		close: func() {
			for _, n := range nodes {
				n.in.Close()
				n.out.Close()
			}
			<-own
		},
	}
	return l.flood(timed(d))
}
