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
	"github.com/canhub-go/canhub/transport/remote"
)

// remoteEnv tells a copy of this program that it is to be the server.
const remoteEnv = "CANHUB_BENCH_REMOTE"

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
