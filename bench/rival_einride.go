package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"time"

	"go.einride.tech/can"
	"go.einride.tech/can/pkg/socketcan"
)

// einride needs UDP multicast, so it runs in a process with a network of its
// own. Where there is no such thing, it is not available.
var einride = &contender{
	name:  "einride/can-go emulator",
	kind:  library,
	about: "the UDP emulator of can-go: every frame of 16 bytes is a multicast datagram to each receiver, through the kernel of a network namespace of its own (Linux). Nothing holds a sender back, so it is lossy: its figure is what arrived, with the share that was lost, and it is no lossless cell. Senders use socketcan.Dial; TransmitFrame of the emulator opens two sockets for each frame. Only fan-out to 1, 8 and 64",
	cannot: func(j *job) string {
		if j.publishers != 1 || j.filtered || j.selects || j.subscribers > 64 {
			return "only plain fan-out to 1, 8 and 64 is measured"
		}
		return ""
	},
	measure: func(j *job, d time.Duration) (o outcome, err error) {
		exe, err := os.Executable()
		if err != nil {
			return o, err
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %v", einrideEnv, j.subscribers, d))
		cmd.Stderr = os.Stderr
		if err := isolate(cmd); err != nil {
			return o, fmt.Errorf("%w: %w", errUnavailable, err)
		}
		out, err := cmd.Output()
		if err != nil {
			if path := (*fs.PathError)(nil); errors.As(err, &path) {
				err = path.Err // without the path of this program
			}
			return o, fmt.Errorf("%w: no network namespace with multicast can be made here: %w", errUnavailable, err)
		}
		var r einrideResult
		if err := json.Unmarshal(out, &r); err != nil {
			return o, fmt.Errorf("einride: %q: %w", out, err)
		}
		if r.Disorder > 0 {
			return o, fmt.Errorf("einride: %d messages out of order", r.Disorder)
		}
		return outcome{
			rate: float64(r.Delivered) / r.Seconds,
			loss: 1 - float64(r.Delivered)/(float64(r.Sent)*float64(j.subscribers)),
		}, nil
	},
}

// einrideEnv tells a copy of this program that it is to be the emulator.
const einrideEnv = "CANHUB_BENCH_EINRIDE"

type einrideResult struct {
	Sent, Delivered, Disorder uint64
	Seconds                   float64 // from the first frame to the last that arrived
}

// einrideMain is main for that copy.
func einrideMain(args string) error {
	var subscribers int
	var duration string
	if _, err := fmt.Sscan(args, &subscribers, &duration); err != nil {
		return err
	}
	d, err := time.ParseDuration(duration)
	if err != nil {
		return err
	}
	if err := loopbackMulticast(); err != nil {
		return err
	}
	r, err := runEinride(subscribers, d)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func runEinride(subscribers int, d time.Duration) (r einrideResult, err error) {
	emulator, err := socketcan.NewEmulator(socketcan.NoLogger)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	var delivered, disorder, last atomic.Int64
	start := time.Now()
	ends := make(chan struct{})
	for range subscribers {
		rx, err := emulator.Receiver()
		if err != nil {
			cancel()
			return r, err
		}
		go func() {
			next := uint64(0)
			for rx.Receive() {
				data := rx.Frame().Data
				n := binary.LittleEndian.Uint64(data[:])
				if n < next {
					disorder.Add(1)
				}
				next = n + 1
				if delivered.Add(1)%16 == 0 {
					last.Store(int64(time.Since(start)))
				}
			}
			ends <- struct{}{}
		}()
	}
	go func() { ran <- emulator.Run(ctx) }()
	var conn net.Conn
	if conn, err = socketcan.Dial("udp", emulator.Addr().String()); err != nil {
		cancel()
		return r, err
	}
	tx := socketcan.NewTransmitter(conn)
	start = time.Now()
	for time.Since(start) < d {
		f := can.Frame{ID: uint32(r.Sent & 0x7FF), Length: 8}
		binary.LittleEndian.PutUint64(f.Data[:], r.Sent)
		if err = tx.TransmitFrame(ctx, f); err != nil {
			break
		}
		r.Sent++
	}
	time.Sleep(200 * time.Millisecond) // what is in the sockets still arrives
	tx.Close()
	cancel()
	if runErr := <-ran; err == nil {
		err = runErr
	}
	for range subscribers {
		<-ends
	}
	r.Delivered, r.Disorder = uint64(delivered.Load()), uint64(disorder.Load())
	r.Seconds = time.Duration(max(last.Load(), int64(d))).Seconds()
	return r, err
}
