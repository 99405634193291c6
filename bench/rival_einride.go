package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
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
		r, err := isolated("einride", fmt.Sprint(j.subscribers), d.String())
		if err != nil {
			return o, err
		}
		return outcome{
			rate: float64(r.Received) / r.Seconds,
			loss: 1 - float64(r.Received)/(float64(r.Sent)*float64(j.subscribers)),
		}, nil
	},
}

func einrideJob(args []string) (r flood, err error) {
	subscribers, err := strconv.Atoi(args[0])
	if err != nil {
		return r, err
	}
	d, err := time.ParseDuration(args[1])
	if err != nil {
		return r, err
	}
	return runEinride(subscribers, d, len(args) > 2)
}

// runEinride sends by a connection of socketcan.Dial, or by the emulator's own
// TransmitFrame.
func runEinride(subscribers int, d time.Duration, byEmulator bool) (r flood, err error) {
	emulator, err := socketcan.NewEmulator(socketcan.NoLogger)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	var delivered, disorder, last atomic.Int64
	opened := time.Now()
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
					last.Store(int64(time.Since(opened)))
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
	transmit := tx.TransmitFrame
	if byEmulator {
		transmit = emulator.TransmitFrame
	}
	start := time.Now()
	for time.Since(start) < d {
		f := can.Frame{ID: uint32(r.Sent & 0x7FF), Length: 8}
		binary.LittleEndian.PutUint64(f.Data[:], r.Sent)
		if err = transmit(ctx, f); err != nil {
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
	r.Received, r.Disorder = uint64(delivered.Load()), uint64(disorder.Load())
	r.Seconds = max(time.Duration(last.Load())-start.Sub(opened), d).Seconds()
	return r, err
}
