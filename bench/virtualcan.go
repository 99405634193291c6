package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/virtualcan"
)

// virtualcanServer is the workload in which servers of virtualcan's TCP protocol
// relay messages of one client to others: that of this project, a bare fan-out,
// one of bytes, and the original.
const virtualcanServer = "virtualcan"

// virtualcanEnv tells a copy of this program which server it is to be.
const virtualcanEnv = "CANHUB_BENCH_VIRTUALCAN"

const (
	vcanOurs  = "canhub"
	vcanBare  = "bare"
	vcanRelay = "relay"
)

// virtualcanClients are how many clients receive.
var virtualcanClients = []int{1, 8, 64}

// vcanWindow is how many messages are under way at most, so that nothing is lost:
// half of what our server keeps for a client.
const vcanWindow = 2048

// virtualcanMain is main for a server. It prints its address, and ends with
// standard input.
func virtualcanMain(kind string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	switch kind {
	case vcanBare:
		return bareTCP(ctx, l)
	case vcanRelay:
		return relayTCP(ctx, l)
	}
	h := hub.New(nil)
	defer h.Close()
	return virtualcan.Serve(ctx, l, h, nil)
}

// A vcanProcess is a server in a process of its own.
type vcanProcess struct {
	address string
	cmd     *exec.Cmd
	in      io.WriteCloser // nil for the original, which does not end by itself
}

func startVcan(kind string) (*vcanProcess, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &vcanProcess{cmd: exec.Command(exe)}
	p.cmd.Env = append(os.Environ(), virtualcanEnv+"="+kind)
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, errors.Join(err, p.end())
	}
	p.address = strings.TrimSpace(line)
	return p, nil
}

// startOriginal starts the original server, which takes a port and listens on
// all addresses of IPv4.
func startOriginal(path string) (*vcanProcess, error) {
	if path == "" {
		return nil, fmt.Errorf("%w: the original server is not there (see -virtualcan)", errUnavailable)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // for a port that is free
	if err != nil {
		return nil, err
	}
	l.Close()
	address := l.Addr().(*net.TCPAddr)
	p := &vcanProcess{address: address.String(), cmd: exec.Command(path, "--port", fmt.Sprint(address.Port))}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", p.address)
		if err == nil {
			conn.Close()
			return p, nil
		}
		if time.Since(start) > 10*time.Second {
			return nil, errors.Join(fmt.Errorf("%s does not listen: %w", path, err), p.end())
		}
	}
}

func (p *vcanProcess) end() error {
	if p.in == nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		return nil
	}
	p.in.Close()
	return p.cmd.Wait()
}

// vcanRates are what was measured of the servers.
type vcanRates struct {
	// Messages per second, each to all clients; by number of clients.
	ours, bare, original map[int]series
	// Ratios; kept is with a client that reads nothing to without.
	toBare, toRelay, toOriginal, kept map[int]series
	note                              string // why the original was not measured
}

func newVcanRates() *vcanRates {
	v := &vcanRates{}
	for _, m := range []*map[int]series{&v.ours, &v.bare, &v.original, &v.toBare, &v.toRelay, &v.toOriginal, &v.kept} {
		*m = make(map[int]series)
	}
	return v
}

// vcanStuck is how many clients read while another one does not.
const vcanStuck = 8

// virtualcans measures all of it.
func (b *benchmark) virtualcans(r *results) error {
	v := newVcanRates()
	for range b.repeats {
		if err := b.virtualcanRound(v); err != nil {
			return err
		}
	}
	r.vcan = v
	for _, n := range virtualcanClients {
		fmt.Fprintf(b.log, "  1 -> %-3d %9.0f messages/s  bare %9.0f  ratio %s  beside bytes %s  original %s  ratio %s\n",
			n, v.ours[n].median(), v.bare[n].median(), v.toBare[n], v.toRelay[n], v.original[n], v.toOriginal[n])
	}
	fmt.Fprintf(b.log, "  1 -> %d with one that does not read, with / without: %s %s\n", vcanStuck, v.kept[vcanStuck], v.note)
	return nil
}

func (b *benchmark) virtualcanRound(v *vcanRates) (err error) {
	d := 2 * b.target
	ours, err := startVcan(vcanOurs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.end()) }()
	bare, err := startVcan(vcanBare)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.end()) }()
	relay, err := startVcan(vcanRelay)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, relay.end()) }()
	original, err := startOriginal(b.virtualcan)
	switch {
	case errors.Is(err, errUnavailable):
		v.note, err = err.Error(), nil
	case err != nil:
		return err
	default:
		defer original.end()
	}
	rate := func(p *vcanProcess, name string, n int, stuck bool) float64 {
		if err != nil {
			return 0
		}
		var x float64
		if x, err = relayVcan(p.address, n, stuck, d); err != nil {
			err = fmt.Errorf("%s, 1 -> %d: %w", name, n, err)
		}
		return x
	}
	for _, n := range virtualcanClients {
		before := rate(bare, vcanBare, n, false)
		o := rate(ours, vcanOurs, n, false)
		after := rate(bare, vcanBare, n, false)
		bytes := rate(relay, vcanRelay, n, false)
		again := rate(ours, vcanOurs, n, false)
		if err != nil {
			return err
		}
		v.ours[n] = append(v.ours[n], o)
		v.bare[n] = append(v.bare[n], (before+after)/2)
		v.toBare[n] = append(v.toBare[n], o/((before+after)/2))
		v.toRelay[n] = append(v.toRelay[n], (o+again)/2/bytes)
		if original != nil {
			t := rate(original, "the original", n, false)
			if err != nil {
				return err
			}
			v.original[n], v.toOriginal[n] = append(v.original[n], t), append(v.toOriginal[n], o/t)
		}
	}
	before := rate(ours, vcanOurs, vcanStuck, false)
	with := rate(ours, vcanOurs, vcanStuck, true)
	after := rate(ours, vcanOurs, vcanStuck, false)
	v.kept[vcanStuck] = append(v.kept[vcanStuck], with/((before+after)/2))
	return err
}

// originalIfThere ends the names of marks that are judged only if the original
// was measured.
const originalIfThere = "the original, if it is there"

// virtualcanMarks are what our server has to reach.
func virtualcanMarks() []mark {
	of := func(what string, limit float64, n int, pick func(*vcanRates) map[int]series) mark {
		return mark{what, limit, false, func(r *results) (float64, string, bool) {
			if r.vcan == nil || len(pick(r.vcan)[n]) == 0 {
				return 0, "", false
			}
			return pick(r.vcan)[n].median(), "", true
		}}
	}
	var all []mark
	for _, n := range virtualcanClients {
		what := fmt.Sprintf("virtualcan, 1 -> %d: messages beside ", n)
		all = append(all,
			of(what+"a bare TCP fan-out", 0.8, n, func(v *vcanRates) map[int]series { return v.toBare }),
			of(what+originalIfThere, 10, n, func(v *vcanRates) map[int]series { return v.toOriginal }))
	}
	return append(all, of(fmt.Sprintf("virtualcan, 1 -> %d: messages with one more client that does not read / without", vcanStuck), 0.9,
		vcanStuck, func(v *vcanRates) map[int]series { return v.kept }))
}

// virtualcanTable is the section of the report.
func (r *results) virtualcanTable(p printf) {
	v := r.vcan
	if v == nil {
		return
	}
	p("## Servers of virtualcan's TCP protocol\n\n")
	p("One client sends, the others receive everything; messages a second that reached all of them. The clients are the\n")
	p("same for all servers, written by hand, and let %d messages be under way. The bare server is a loop over\n", vcanWindow)
	p("chans with a message at a time, and writes at once what is there for a client. Beside it, the ratio to one that\n")
	p("knows no messages and passes on bytes as they come, which no bus can do: it only looks whether they can be frames,\n")
	p("has no numbers, times or bound in messages, and a client that does not read stops it, as it does the bare one.\n\n")
	p("| 1 -> | transport/virtualcan | bare TCP | ratio | ratio to bytes | the original | ratio |\n|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, n := range virtualcanClients {
		original, ratio := "-", "-"
		if len(v.toOriginal[n]) > 0 {
			original, ratio = fmt.Sprintf("%.0f", v.original[n].median()), v.toOriginal[n].String()
		}
		p("| %d | %.0f | %.0f | %s | %s | %s | %s |\n", n, v.ours[n].median(), v.bare[n].median(), v.toBare[n], v.toRelay[n], original, ratio)
	}
	if v.note != "" {
		p("\nThe original was %s.\n", v.note)
	}
	p("\nWith one more client that does not read, %d others get %s of what they get without it.\n\n", vcanStuck, v.kept[vcanStuck])
}
