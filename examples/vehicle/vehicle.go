// Package vehicle simulates the CAN traffic of a small car on a hub: what its
// nodes would send on a ten-second drive, again and again. The other examples
// use it as a source of lively traffic.
//
// The traffic is a function of time and seed alone. In a [testing/synctest]
// bubble, where time is exact, so is the traffic: the log that the quickstart
// plays is made that way, and a test here proves it.
package vehicle

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
)

//go:generate go test -run TestDriveLog . -update

// A sender is a message that a node sends periodically. No two of them have the
// same slot, so no two messages are sent at the same instant and their order is
// certain. Cars do it likewise, to keep their bus free of bursts.
type sender struct {
	node   string
	slot   int // when it begins: 1 to 39, for 10 ms have 40 slots
	period time.Duration
	m      hub.Message
	fill   func(b []byte, c car, noise func(n int) int) // called each time
}

const slotTime = 250 * time.Microsecond

// idBattery is the message that a remote frame asks for.
const idBattery = 0x6F0

// Run puts the nodes of a car on a channel of h and drives until ctx is done,
// which is its regular end: then it returns nil. Sooner it ends only with an
// error, such as [hub.ErrClosed].
func Run(ctx context.Context, h *hub.Hub, channel string, seed uint64) error {
	return RunSplit(ctx, h, channel, channel, seed)
}

// RunSplit is Run for a car with two channels, as most have: one for the drive,
// and one for what serves those who sit in it. A gateway between them tells the
// second one what the wheels and the engine do.
func RunSplit(ctx context.Context, h *hub.Hub, powertrain, comfort string, seed uint64) error {
	var answers sync.WaitGroup
	defer answers.Wait()

	nodes := make(map[string]*hub.Subscriber)
	for _, s := range senders {
		if nodes[s.node] != nil {
			continue
		}
		channel := powertrain
		if slices.Contains(comfortNodes, s.node) {
			channel = comfort
		}
		// Nobody receives for these nodes, so nothing may wait for them.
		node, err := h.Open(channel, &hub.SubscriberOptions{Name: s.node, SendOnly: true})
		if err != nil {
			return err
		}
		defer node.Close() // ends its tasks
		nodes[s.node] = node
	}
	receive := func(channel, name string, ids ...uint32) (*hub.Subscriber, error) {
		// As small controllers do, it misses what is too much for it, and does not
		// make the bus wait.
		o := &hub.SubscriberOptions{Name: name, Policy: hub.DropNewest}
		for _, id := range ids {
			o.Filters = append(o.Filters, hub.Filter{ID: id, Mask: 0x7FF, StandardOnly: true})
		}
		return h.Open(channel, o)
	}
	battery, err := receive(comfort, "battery", idBattery)
	if err != nil {
		return err
	}
	defer battery.Close()
	engine, err := receive(powertrain, "diagnosis", idRequestAll, idRequest)
	if err != nil {
		return err
	}
	defer engine.Close()
	if comfort != powertrain {
		here, err := receive(powertrain, "gateway", idEngine, idWheels)
		if err != nil {
			return err
		}
		defer here.Close()
		there, err := h.Open(comfort, &hub.SubscriberOptions{Name: "gateway", SendOnly: true})
		if err != nil {
			return err
		}
		defer there.Close()
		answers.Go(func() { pass(ctx, here, there) })
	}

	start := time.Now()
	answers.Go(func() { answer(ctx, battery) })
	answers.Go(func() { diagnose(ctx, engine, start) })
	var task *hub.Task
	for _, s := range senders { // which are in the order of their slots
		if !sleepUntil(ctx, start.Add(time.Duration(s.slot)*slotTime)) {
			return nil
		}
		dice := rand.NewPCG(seed, uint64(s.m.ID))
		noise := func(n int) int { return int(dice.Uint64() % uint64(n)) }
		task, err = nodes[s.node].SendPeriodic(&hub.Periodic{
			Messages: []hub.Message{s.m},
			Period:   s.period,
			Modify: func(m *hub.Message) {
				if s.fill != nil {
					s.fill(m.Bytes(), at(time.Since(start)), noise)
				}
			},
		})
		if err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case <-task.Done(): // none ends by itself: the hub was closed
		return task.Err()
	}
}

// pass forwards every fifth message with an identifier.
func pass(ctx context.Context, from, to *hub.Subscriber) {
	n := make(map[uint32]int)
	for m := range from.All(ctx) {
		if n[m.ID]++; n[m.ID]%5 == 0 && to.Send(ctx, m) != nil {
			return
		}
	}
}

// answer answers each remote frame with the state of the battery, after the
// time that a small controller needs for it.
func answer(ctx context.Context, battery *hub.Subscriber) {
	charge := byte(200) // in half percent
	for m := range battery.All(ctx) {
		if m.Flags&hub.Remote == 0 || !sleepUntil(ctx, time.Now().Add(slotTime/2)) {
			continue
		}
		if charge > 0 {
			charge--
		}
		if battery.Send(ctx, hub.Std(idBattery, charge, 0x7E, 0x01, 0x19)) != nil {
			return
		}
	}
}

// sleepUntil returns false if ctx is done first.
func sleepUntil(ctx context.Context, t time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Until(t)):
		return true
	}
}
