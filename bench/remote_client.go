package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// client connects by hand: the clients must not be what is measured.
func (p *remoteProcess) client() (net.Conn, error) {
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Protocol: can.binary+json.v1,can.json.v1\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err == nil && resp.StatusCode != http.StatusSwitchingProtocols {
		err = errors.New(resp.Status)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	text := `{"type": "bus_request", "payload": {"config": {}}}`
	conn.Write(append([]byte{0x81, byte(0x80 | len(text)), 0, 0, 0, 0}, text...))
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		conn.Close()
		return nil, fmt.Errorf("bus_request: %w", err)
	}
	if _, err := io.CopyN(io.Discard, r, int64(head[1])); err != nil || r.Buffered() > 0 {
		conn.Close()
		return nil, fmt.Errorf("bus_request: more than an answer: %v", err)
	}
	return conn, nil
}

// A frame is 8 bytes of data. To a server it is masked with the key 0.
const (
	payloadLen = 15 + 8
	upLen      = 6 + payloadLen
	downLen    = 2 + payloadLen
)

func appendUp(dst []byte, n uint64) []byte {
	dst = append(dst, 0x82, 0x80|payloadLen, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x23, 8, 0)
	return binary.BigEndian.AppendUint64(dst, n)
}

// receive reads frames until the last one, and shows each to see.
func receive(conn net.Conn, see func(n uint64) (more bool, err error)) error {
	buf := make([]byte, 64<<10)
	have := 0
	for {
		n, err := conn.Read(buf[have:])
		if err != nil {
			return err
		}
		have += n
		p := buf[:have]
		for len(p) >= downLen {
			if p[0] != 0x82 || p[1] != payloadLen || p[2+14] != 0 {
				return fmt.Errorf("received %x, want a data frame", p[:downLen])
			}
			more, err := see(binary.BigEndian.Uint64(p[2+15:]))
			if err != nil || !more {
				return err
			}
			p = p[downLen:]
		}
		have = copy(buf, p)
	}
}

// relay has one client send to clients others for about d, and returns how many
// messages a second reached all of them.
func (p *remoteProcess) relay(clients int, d time.Duration) (rate float64, err error) {
	const last = 1<<64 - 1
	tx, err := p.client()
	if err != nil {
		return 0, err
	}
	defer tx.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	counts := make([]atomic.Uint64, clients)
	poke := make(chan struct{}, 1)
	errs := make(chan error, clients)
	for i := range counts {
		rx, err := p.client()
		if err != nil {
			tx.Close()
			return 0, err
		}
		defer rx.Close()
		wg.Go(func() {
			next := uint64(0)
			errs <- receive(rx, func(n uint64) (bool, error) {
				if n == last {
					return false, nil
				}
				if n != next {
					return false, fmt.Errorf("client %d: number %d, want %d", i, n, next)
				}
				next++
				counts[i].Store(next)
				if next%32 == 0 {
					select {
					case poke <- struct{}{}:
					default:
					}
				}
				return true, nil
			})
		})
	}
	go io.Copy(io.Discard, tx) // ends when tx is closed
	least := func() uint64 {
		n := counts[0].Load()
		for i := range counts {
			n = min(n, counts[i].Load())
		}
		return n
	}
	var sent uint64
	start := time.Now()
	buf := make([]byte, 0, p.window*upLen)
	for time.Since(start) < d {
		room := p.window - (sent - least())
		if room < p.window/4 {
			select {
			case <-poke:
			case err := <-errs:
				if err == nil {
					err = errors.New("a client has ended")
				}
				return 0, err
			}
			continue
		}
		buf = buf[:0]
		for range room {
			buf = appendUp(buf, sent)
			sent++
		}
		if _, err := tx.Write(buf); err != nil {
			return 0, err
		}
	}
	for least() < sent-sent%32 {
		select {
		case <-poke:
		case err := <-errs:
			return 0, fmt.Errorf("a client has ended: %v", err)
		}
	}
	if _, err := tx.Write(appendUp(nil, last)); err != nil {
		return 0, err
	}
	for range counts {
		if err := <-errs; err != nil {
			return 0, err
		}
	}
	return float64(sent) / time.Since(start).Seconds(), nil
}

// oneWay returns the median time in ns from the write of a client to the read of
// another, at 10,000 messages a second.
func (p *remoteProcess) oneWay(d time.Duration) (float64, error) {
	const period = 100 * time.Microsecond
	tx, err := p.client()
	if err != nil {
		return 0, err
	}
	defer tx.Close()
	rx, err := p.client()
	if err != nil {
		return 0, err
	}
	defer rx.Close()
	go io.Copy(io.Discard, tx)
	start := time.Now()
	ended := make(chan error, 1)
	number := max(1, int(d/period))
	ns := make([]float64, 0, number)
	go func() {
		ended <- receive(rx, func(n uint64) (bool, error) {
			ns = append(ns, float64(time.Since(start))-float64(n))
			return len(ns) < number, nil
		})
	}()
	buf := make([]byte, 0, upLen)
	for i := range number {
		for next := time.Duration(i) * period; time.Since(start) < next; {
			if wait := next - time.Since(start); wait > period/2 {
				time.Sleep(wait / 2)
			} else {
				runtime.Gosched()
			}
		}
		if _, err := tx.Write(appendUp(buf[:0], uint64(time.Since(start)))); err != nil {
			return 0, err
		}
	}
	if err := <-ended; err != nil {
		return 0, err
	}
	slices.Sort(ns)
	return percentile(ns, 50), nil
}
