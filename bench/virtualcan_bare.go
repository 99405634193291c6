package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// vcanPacket is the length of a packet.
const vcanPacket = 18

// bareTCP is the floor: it passes on what each client sends to all others, until
// ctx is done. A loop over chans hands out one message at a time, and what is
// there for a client is written at once. Who does not read makes everybody wait.
func bareTCP(ctx context.Context, l net.Listener) error {
	return fanOut(ctx, l, 4096, func(dst []byte, p [vcanPacket]byte) []byte { return append(dst, p[:]...) },
		func(p []byte, give func([vcanPacket]byte)) {
			for ; len(p) > 0; p = p[vcanPacket:] {
				give([vcanPacket]byte(p))
			}
		})
}

// relayTCP knows no messages: it passes on bytes, as much at once as has come.
func relayTCP(ctx context.Context, l net.Listener) error {
	return fanOut(ctx, l, 256, func(dst, p []byte) []byte { return append(dst, p...) },
		func(p []byte, give func([]byte)) {
			if len(p) > 0 {
				give(slices.Clone(p))
			}
		})
}

// fanOut is a server with a chan of T for each client. Cut takes what has come
// apart, and join puts together what is written.
func fanOut[T any](ctx context.Context, l net.Listener, queue int, join func([]byte, T) []byte, cut func([]byte, func(T))) error {
	context.AfterFunc(ctx, func() { l.Close() })
	var mu sync.Mutex // also makes one order
	clients := make(map[net.Conn]chan T)
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil
		}
		out := make(chan T, queue) // closed below, with mu
		mu.Lock()
		clients[conn] = out
		mu.Unlock()
		go func() {
			var buf []byte
			for v := range out {
				buf = join(buf[:0], v)
				for len(out) > 0 && len(buf) < 64<<10 {
					buf = join(buf, <-out)
				}
				conn.Write(buf) // of one that has gone nothing is wanted
			}
		}()
		go func() {
			buf := make([]byte, 64<<10)
			have := 0
			for {
				n, err := conn.Read(buf[have:])
				have += n
				whole := have - have%vcanPacket
				for q := buf[:whole]; len(q) > 0 && err == nil; q = q[vcanPacket:] {
					if binary.BigEndian.Uint32(q) != 14 || binary.BigEndian.Uint32(q[4:]) >= 1<<29 || q[9] > 8 {
						err = errors.New("no frame") // no server may pass it on
					}
				}
				mu.Lock()
				if err != nil {
					delete(clients, conn)
					close(out)
					conn.Close()
					mu.Unlock()
					return
				}
				cut(buf[:whole], func(v T) {
					for c, out := range clients {
						if c != conn {
							out <- v
						}
					}
				})
				mu.Unlock()
				have = copy(buf, buf[whole:have])
			}
		}()
	}
}

func appendVcan(dst []byte, n uint64) []byte {
	dst = append(dst, 0, 0, 0, 14, 0, 0, 1, 0x23, 0, 8)
	return binary.BigEndian.AppendUint64(dst, n)
}

// receiveVcan reads packets until the last one, and shows each to see.
func receiveVcan(conn net.Conn, see func(n uint64) (more bool, err error)) error {
	buf := make([]byte, 64<<10)
	have := 0
	for {
		n, err := conn.Read(buf[have:])
		if err != nil {
			return err
		}
		have += n
		p := buf[:have]
		for ; len(p) >= vcanPacket; p = p[vcanPacket:] {
			if p[3] != 14 || p[9] != 8 {
				return fmt.Errorf("received %x, want a packet", p[:vcanPacket])
			}
			if more, err := see(binary.BigEndian.Uint64(p[10:])); err != nil || !more {
				return err
			}
		}
		have = copy(buf, p)
	}
}

const (
	vcanHello = 1<<64 - 2
	vcanLast  = 1<<64 - 1
)

// relayVcan has one client send to others for about d, and returns how many
// messages a second reached all of them. With stuck there is one more client,
// which reads nothing.
func relayVcan(address string, clients int, stuck bool, d time.Duration) (rate float64, err error) {
	dial := func() (net.Conn, error) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.SetDeadline(time.Now().Add(time.Minute))
		}
		return conn, err
	}
	if stuck {
		conn, err := dial()
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		conn.(*net.TCPConn).SetReadBuffer(4096) // so that it is stuck soon
	}
	tx, err := dial()
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer tx.Close()
	counts := make([]atomic.Uint64, clients)
	var there atomic.Int64
	poke := make(chan struct{}, 1)
	errs := make(chan error, clients)
	for i := range counts {
		rx, err := dial()
		if err != nil {
			return 0, err
		}
		defer rx.Close()
		wg.Go(func() {
			next, first := uint64(0), true
			errs <- receiveVcan(rx, func(n uint64) (bool, error) {
				switch {
				case n == vcanHello:
					if first {
						there.Add(1)
						first = false
					}
					return true, nil
				case n == vcanLast:
					return false, nil
				case n != next:
					return false, fmt.Errorf("client %d: number %d, want %d", i, n, next)
				}
				next++
				counts[i].Store(next)
				if next%128 == 0 {
					select {
					case poke <- struct{}{}:
					default:
					}
				}
				return true, nil
			})
		})
	}
	// Nobody tells when a client is on the channel.
	for start := time.Now(); there.Load() < int64(clients); time.Sleep(time.Millisecond) {
		if _, err := tx.Write(appendVcan(nil, vcanHello)); err != nil {
			return 0, err
		}
		if time.Since(start) > 20*time.Second {
			return 0, errors.New("not all clients get messages")
		}
	}
	least := func() uint64 {
		n := counts[0].Load()
		for i := range counts {
			n = min(n, counts[i].Load())
		}
		return n
	}
	wait := func() error {
		select {
		case <-poke:
			return nil
		case err := <-errs:
			return fmt.Errorf("a client has ended: %v", err)
		}
	}
	var sent uint64
	start := time.Now()
	buf := make([]byte, 0, vcanWindow*vcanPacket)
	for time.Since(start) < d {
		room := vcanWindow - (sent - least())
		if room < vcanWindow/4 {
			if err := wait(); err != nil {
				return 0, err
			}
			continue
		}
		buf = buf[:0]
		for range room - room%128 {
			buf = appendVcan(buf, sent)
			sent++
		}
		if _, err := tx.Write(buf); err != nil {
			return 0, err
		}
	}
	for least() < sent {
		if err := wait(); err != nil {
			return 0, err
		}
	}
	rate = float64(sent) / time.Since(start).Seconds()
	if _, err := tx.Write(appendVcan(nil, vcanLast)); err != nil {
		return 0, err
	}
	for range counts {
		if err := <-errs; err != nil {
			return 0, err
		}
	}
	return rate, nil
}
