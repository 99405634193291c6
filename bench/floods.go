package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
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
	return &link{
		send: func(m *hub.Message) error { return tx.Send(background, *m) },
		recv: func(m *hub.Message) (err error) {
			*m, err = rx.Recv(background)
			if errors.Is(err, hub.ErrClosed) {
				err = io.EOF
			}
			return err
		},
		dropped: func() uint64 { return rx.Stats().Dropped },
		close:   func() { tx.Close(); rx.Close() },
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

// datagramSize is that of a message with 8 bytes of data, as the bus sends it.
const datagramSize = 162

// datagramBuffer is what a bus asks for.
const datagramBuffer = 2 << 20

// datagramJob sends and receives with what package net has.
func datagramJob(args []string) (r flood, err error) {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return r, err
	}
	group := net.UDPAddrFromAddrPort(netip.MustParseAddrPort("239.74.163.2:43113"))
	node := func() (in, out *net.UDPConn, err error) {
		if in, err = net.ListenMulticastUDP("udp4", nil, group); err == nil {
			err = in.SetReadBuffer(datagramBuffer)
		}
		if err == nil {
			out, err = net.DialUDP("udp4", nil, group)
		}
		return in, out, err
	}
	rx, _, err := node()
	if err != nil {
		return r, err
	}
	var tx *net.UDPConn
	if len(args) > 1 {
		var own *net.UDPConn
		own, tx, err = node()
		if err != nil {
			return r, err
		}
		defer own.Close()
		go func() {
			var buf [4096]byte
			for {
				if _, err := own.Read(buf[:]); err != nil {
					return
				}
			}
		}()
	} else {
		if tx, err = net.DialUDP("udp4", nil, group); err != nil {
			return r, err
		}
	}
	var from, to [datagramSize]byte
	l := &link{
		send: func(m *hub.Message) error {
			copy(from[datagramSize-8:], m.Data[:8])
			_, err := tx.Write(from[:])
			return err
		},
		recv: func(m *hub.Message) error {
			n, err := rx.Read(to[:])
			if errors.Is(err, net.ErrClosed) {
				return io.EOF
			}
			if err == nil && n != datagramSize {
				err = fmt.Errorf("a datagram of %d bytes", n)
			}
			copy(m.Data[:8], to[datagramSize-8:])
			return err
		},
		close: func() { tx.Close(); rx.Close() },
	}
	return l.flood(timed(d))
}

func pythonJob(args []string) (r flood, err error) { return r, errors.New("not yet") }
