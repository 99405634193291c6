package main

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/canhub-go/canhub/transport/multicast"
)

//go:embed pythoncan_udp.py
var pythonUDPScript string

// pythonJob has one Python process send to another one.
func pythonJob(args []string) (r flood, err error) {
	python := args[0]
	d, err := time.ParseDuration(args[1])
	if err != nil {
		return r, err
	}
	rx, err := startPythonUDP(python, "recv")
	if err != nil {
		return r, err
	}
	tx, err := startPythonUDP(python, "send", fmt.Sprint(d.Seconds()))
	if err != nil {
		return r, err
	}
	var start, end, last float64
	if err := tx.end(&r.Sent, &start, &end); err != nil {
		return r, err
	}
	if err := rx.end(&r.Received, &r.Disorder, &last); err != nil {
		return r, err
	}
	r.Seconds = max(last, end) - start
	return r, nil
}

// A pythonNode is a running pythoncan_udp.py.
type pythonNode struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	stderr strings.Builder
}

// startPythonUDP returns when the node is on the bus.
func startPythonUDP(python string, args ...string) (*pythonNode, error) {
	n := &pythonNode{cmd: exec.Command(python, append([]string{"-", multicast.DefaultGroupIPv4}, args...)...)}
	n.cmd.Stdin, n.cmd.Stderr = strings.NewReader(pythonUDPScript), &n.stderr
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	n.out = bufio.NewReader(out)
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	if line, err := n.out.ReadString('\n'); line != "ready\n" {
		if err == nil { // or else it ends by itself
			n.cmd.Process.Kill()
		}
		err = errors.Join(err, n.cmd.Wait())
		return nil, fmt.Errorf("python: %q instead of ready: %w: %s", line, err, strings.TrimSpace(n.stderr.String()))
	}
	return n, nil
}

// end waits for the node and reads what it prints.
func (n *pythonNode) end(figures ...any) error {
	line, err := io.ReadAll(n.out)
	if err != nil {
		return err
	}
	if err := n.cmd.Wait(); err != nil {
		return fmt.Errorf("python: %w: %s", err, strings.TrimSpace(n.stderr.String()))
	}
	if _, err := fmt.Sscan(string(line), figures...); err != nil {
		return fmt.Errorf("python: %q: %w", line, err)
	}
	return nil
}
