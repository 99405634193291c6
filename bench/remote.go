package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/remote"
)

// remoteServer is the workload in which servers of python-can-remote's protocol
// relay messages of one client to others: that of this project, and the original.
const remoteServer = "remote"

// remoteEnv tells a copy of this program that it is to be the server.
const remoteEnv = "CANHUB_BENCH_REMOTE"

// remoteClients are how many clients receive.
var remoteClients = []int{1, 8, 64}

// How many messages are under way at most, so that nothing is lost: half of what
// our server keeps for a client. The original keeps whatever comes. With more it
// is not faster, and 64 clients would take half a minute for what is under way.
const (
	ourWindow   = 256
	theirWindow = 1024
)

// relays are what was measured of remote servers.
type relays struct {
	ours, theirs, ratios map[int]series // messages per second, each to all clients; by number of clients
	latency              series         // median one way at 10,000 messages per second, in ns
	idle                 float64        // bytes of heap and stack for 1,000 clients
	note                 string         // why the original was not measured
}

// remoteMain is main for the server. It prints its address, then for each line
// on standard input the bytes of heap and stack, and ends with standard input.
func remoteMain() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := hub.New(nil)
	defer h.Close()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- remote.Serve(ctx, l, h, nil) }()
	fmt.Println(l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(memory())
	}
	cancel()
	return <-served
}

// A remoteProcess is a server in a process of its own.
type remoteProcess struct {
	address string
	window  uint64
	cmd     *exec.Cmd
	cancel  context.CancelFunc // kills it
	in      io.WriteCloser     // of ours
	out     *bufio.Reader      // of ours
	ended   chan error         // of the original: how it has ended, once; never closed
}

// newProcess prepares a process that is killed when no round of measurements
// can take that long.
func newProcess(window uint64, name string, args ...string) *remoteProcess {
	ctx, cancel := context.WithTimeout(background, 5*time.Minute)
	return &remoteProcess{window: window, cmd: exec.CommandContext(ctx, name, args...), cancel: cancel}
}

func startOurs() (*remoteProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := newProcess(ourWindow, exe)
	p.cmd.Env = append(os.Environ(), remoteEnv+"=1")
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := p.out.ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, p.end())
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

// startTheirs starts python-can-remote on python-can's virtual bus.
func startTheirs(python string) (*remoteProcess, error) {
	if err := importable(python, "can_remote"); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // for a port that is free
	if err != nil {
		return nil, err
	}
	l.Close()
	address := l.Addr().(*net.TCPAddr)
	p := newProcess(theirWindow, python, "-m", "can_remote", "-i", "virtual", "-c", "bench", "-H", "127.0.0.1", "-p", fmt.Sprint(address.Port))
	p.address = address.String()
	var stderr strings.Builder
	p.cmd.Stderr = &stderr
	if err := p.cmd.Start(); err != nil {
		p.cancel()
		return nil, err
	}
	p.ended = make(chan error, 1)
	go func() { p.ended <- p.cmd.Wait() }() // end waits for it
	for start := time.Now(); ; {
		conn, err := net.Dial("tcp", p.address)
		if err == nil {
			conn.Close()
			return p, nil
		}
		if time.Since(start) > 20*time.Second {
			return nil, errors.Join(fmt.Errorf("python-can-remote does not listen: %w", err), p.end())
		}
		select {
		case err := <-p.ended:
			p.cancel()
			return nil, fmt.Errorf("python-can-remote has ended: %w: %s", err, strings.TrimSpace(stderr.String()))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// memory asks our server how much it uses.
func (p *remoteProcess) memory() (n int64, err error) {
	if _, err := fmt.Fprintln(p.in); err != nil {
		return 0, err
	}
	_, err = fmt.Fscanln(p.out, &n)
	return n, err
}

func (p *remoteProcess) end() error {
	defer p.cancel()
	if p.in == nil { // the original does not end by itself
		p.cancel()
		<-p.ended
		return nil
	}
	p.in.Close()
	return p.cmd.Wait()
}

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

// crowd returns what n clients that do nothing cost.
func (p *remoteProcess) crowd(n int) (float64, error) {
	before, err := p.memory()
	if err != nil {
		return 0, err
	}
	for range n {
		conn, err := p.client()
		if err != nil {
			return 0, err
		}
		defer conn.Close()
	}
	after, err := p.memory()
	return float64(after - before), err
}

// remotes measures all of it.
func (b *benchmark) remotes(r *results) error {
	v := &relays{ours: map[int]series{}, theirs: map[int]series{}, ratios: map[int]series{}}
	for range b.repeats {
		if err := b.remoteRound(v); err != nil {
			return err
		}
	}
	r.relays = v
	for _, n := range remoteClients {
		fmt.Fprintf(b.log, "  1 -> %-3d %9.0f messages/s  original %8.0f  ratio %s\n", n, v.ours[n].median(), v.theirs[n].median(), v.ratios[n])
	}
	fmt.Fprintf(b.log, "  one way at 10,000/s %.0f us, 1,000 idle clients %.1f MiB %s\n", v.latency.median()/1000, v.idle/(1<<20), v.note)
	return nil
}

func (b *benchmark) remoteRound(v *relays) (err error) {
	d := 3 * b.target
	ours, err := startOurs()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.end()) }()
	theirs, err := startTheirs(b.python)
	switch {
	case errors.Is(err, errUnavailable):
		v.note = err.Error()
	case err != nil:
		return err
	default:
		defer theirs.end()
	}
	for _, n := range remoteClients {
		o, err := ours.relay(n, d)
		if err != nil {
			return fmt.Errorf("1 -> %d: %w", n, err)
		}
		v.ours[n] = append(v.ours[n], o)
		if theirs == nil {
			continue
		}
		t, err := theirs.relay(n, d)
		if err != nil {
			return fmt.Errorf("python-can-remote, 1 -> %d: %w", n, err)
		}
		v.theirs[n], v.ratios[n] = append(v.theirs[n], t), append(v.ratios[n], o/t)
	}
	l, err := ours.oneWay(d)
	if err != nil {
		return err
	}
	v.latency = append(v.latency, l)
	if v.idle == 0 {
		v.idle, err = ours.crowd(b.remoteCrowd)
	}
	return err
}

// remoteMarks are what a server has to reach.
func remoteMarks() []mark {
	var all []mark
	for i, n := range remoteClients {
		all = append(all, mark{fmt.Sprintf("remote, 1 -> %d: messages beside python-can-remote", n), []float64{15, 30, 60}[i], false, func(r *results) (float64, string, bool) {
			if r.relays == nil || len(r.relays.ratios[n]) == 0 {
				return 0, "", false
			}
			return r.relays.ratios[n].median(), "", true
		}})
	}
	return append(all,
		mark{"remote, one way at 10,000 messages/s: median in us", 200, true, func(r *results) (float64, string, bool) {
			if r.relays == nil {
				return 0, "", false
			}
			return r.relays.latency.median() / 1000, "", true
		}},
		mark{"remote, 1,000 idle clients: MiB", 64, true, func(r *results) (float64, string, bool) {
			if r.relays == nil {
				return 0, "", false
			}
			return r.relays.idle / (1 << 20), "", true
		}})
}

// remoteTable is the section of the report.
func (r *results) remoteTable(p printf) {
	v := r.relays
	if v == nil {
		return
	}
	p("## Servers of python-can-remote's protocol\n\n")
	p("One WebSocket client sends, the others receive everything, in binary form; messages a second that reached all\n")
	p("of them. The clients are the same for both servers, written by hand, and let some messages be\n")
	p("under way: %d, and %d with the original, whose queues have no bound.\n\n", ourWindow, theirWindow)
	p("| 1 -> | transport/remote | python-can-remote | ratio |\n|---:|---:|---:|---:|\n")
	for _, n := range remoteClients {
		theirs, ratio := "-", "-"
		if len(v.ratios[n]) > 0 {
			theirs, ratio = fmt.Sprintf("%.0f", v.theirs[n].median()), v.ratios[n].String()
		}
		p("| %d | %.0f | %s | %s |\n", n, v.ours[n].median(), theirs, ratio)
	}
	p("\nFrom the write of one client to the read of another, at 10,000 messages a second: %.0f us in the median.\n", v.latency.median()/1000)
	p("1,000 clients that do nothing: %.1f MiB of heap and stack.\n\n", v.idle/(1<<20))
}
