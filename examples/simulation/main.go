// Simulation sends a million messages, or as many as you like, between nodes
// that all send and receive at once, and checks that each has received every
// message of the others, in order. It prints how fast that was.
//
//	go run ./examples/simulation [-nodes 10] [-messages 1000000]
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

func main() {
	nodes := flag.Int("nodes", 10, "how many `nodes` there are, at least 2")
	messages := flag.Int("messages", 1_000_000, "how many `messages` they send in all")
	flag.Parse()
	if *nodes < 2 || *nodes > 10_000 || *messages < 0 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "simulation: want 2 to 10000 nodes, no fewer than 0 messages and no other arguments")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	if err := run(ctx, *nodes, *messages, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "simulation: %v\n", err)
		os.Exit(1)
	}
}

// A node sends from one goroutine and receives in another: then it never waits
// for itself, however full the bus is.
type node struct {
	*hub.Subscriber
	number   int
	received int
	err      error // of receive
}

func run(ctx context.Context, n, messages int, w io.Writer) (err error) {
	h := hub.New(nil)
	defer h.Close()
	nodes := make([]*node, n)
	for i := range nodes {
		s, err := h.Open("can0", &hub.SubscriberOptions{Name: fmt.Sprint("node ", i)})
		if err != nil {
			return err
		}
		nodes[i] = &node{Subscriber: s, number: i}
	}

	begin := time.Now()
	var senders, receivers sync.WaitGroup
	for i, x := range nodes {
		senders.Go(func() { x.send(ctx, (messages+i)/n) }) // in all: messages
		receivers.Go(x.receive)
	}
	senders.Wait()
	h.Close() // what was sent is still delivered and received
	receivers.Wait()
	took := time.Since(begin)

	sent, delivered := 0, 0
	for _, x := range nodes {
		sent += int(x.Stats().Sent)
		delivered += x.received
		err = errors.Join(err, x.err)
	}
	if want := sent * (n - 1); delivered != want { // each to all others
		err = errors.Join(err, fmt.Errorf("%d messages were lost", want-delivered))
	}
	if ctx.Err() == nil && sent != messages {
		err = errors.Join(err, fmt.Errorf("%d messages of %d were sent", sent, messages))
	}
	fmt.Fprintf(w, "%d nodes sent %d messages, of which %d were delivered, in %v\n", n, sent, delivered, took.Round(time.Millisecond))
	fmt.Fprintf(w, "%.0f messages/s, %.0f deliveries/s\n", float64(sent)/took.Seconds(), float64(delivered)/took.Seconds())
	if err == nil {
		fmt.Fprintln(w, "none lost, all in order")
	}
	return err
}

// send sends messages that carry the node's number and a count from 1.
func (x *node) send(ctx context.Context, messages int) {
	for i := range messages {
		var b [8]byte
		binary.BigEndian.PutUint32(b[:], uint32(x.number))
		binary.BigEndian.PutUint32(b[4:], uint32(i+1))
		if x.Send(ctx, hub.Std(uint32(x.number)&0x7FF, b[:]...)) != nil {
			return // run finds out that some are missing
		}
	}
}

// receive receives until the hub is closed. The numbers that the channel gives
// rise, and each sender's own count has no gap.
func (x *node) receive() {
	counts := make(map[uint32]uint32)
	last := uint64(0)
	for {
		batch, err := x.RecvBatch(context.Background())
		if err != nil {
			return
		}
		for i := range batch {
			m := &batch[i]
			from, count := binary.BigEndian.Uint32(m.Data[:]), binary.BigEndian.Uint32(m.Data[4:])
			if x.err == nil && (m.Seq <= last || count != counts[from]+1) {
				x.err = fmt.Errorf("%s: message %d (%v) behind %d and its sender's %d", x.Name(), m.Seq, m, last, counts[from])
			}
			last, counts[from] = m.Seq, count
			x.received++
		}
	}
}
