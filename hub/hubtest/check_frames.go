package hubtest

import (
	"context"
	"errors"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// frames returns frames of every kind: all lengths, and the identifiers where
// something changes.
func frames() []hub.Message {
	var all []hub.Message
	add := func(m hub.Message, flags hub.Flags) {
		m.Flags |= flags
		all = append(all, m)
	}
	pattern := func(n int) []byte {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(len(all)*7 + i*13 + 1)
		}
		return data
	}
	ids := []struct {
		id    uint32
		flags hub.Flags
	}{
		{0, 0}, {1, 0}, {0x7FF, 0},
		{0, hub.Extended}, {1, hub.Extended}, {0x7FF, hub.Extended},
		{0x800, hub.Extended}, {0x1FFFFFFF, hub.Extended},
	}
	for _, id := range ids {
		for n := range 9 {
			add(hub.Std(id.id, pattern(n)...), id.flags)
			add(hub.RTR(id.id, uint8(n)), id.flags)
		}
		for _, n := range []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64} {
			for _, fd := range []hub.Flags{0, hub.BRS, hub.ESI, hub.BRS | hub.ESI} {
				add(hub.FD(id.id, pattern(n)...), id.flags|fd)
			}
		}
	}
	// Error frames have 8 bytes wherever they come from (linux/can/error.h).
	for _, class := range []uint32{0x004, 0x1FFFFFFF} {
		add(hub.Std(class, 0, 1, 2, 3, 4, 5, 6, 7), hub.Error)
	}
	return all
}

// carries reports whether the bus can carry m.
func (o *BusOptions) carries(m hub.Message) bool {
	return !(o.NoRemote && m.Flags&hub.Remote != 0 ||
		o.NoFD && m.Flags&hub.FDF != 0 ||
		o.NoError && m.Flags&hub.Error != 0)
}

// carried returns those of frames that the bus can carry, or cannot.
func (p *pair) carried(can bool) []hub.Message {
	var chosen []hub.Message
	for _, m := range frames() {
		if p.opts.carries(m) == can {
			chosen = append(chosen, m)
		}
	}
	return chosen
}

func bothDirections(p *pair) {
	for i := range 3 {
		p.transfer(p.a, p.b, []hub.Message{hub.Std(0x100, byte(i))})
		p.transfer(p.b, p.a, []hub.Message{hub.Std(0x101, byte(i))})
	}
}

func everyKindOfFrame(p *pair) {
	p.transfer(p.a, p.b, p.carried(true))
	p.transfer(p.b, p.a, p.carried(true))
}

func uncarriedFrames(p *pair) {
	refused := p.carried(false)
	if len(refused) == 0 {
		p.Skip("this bus carries every kind of frame")
	}
	p.refuses(refused, func(m hub.Message, err error) {
		// Only that there is an error is promised, and that it is the message's
		// fault and not the bus that has ended.
		if err == nil || errors.Is(err, hub.ErrClosed) {
			p.Errorf("A.Send(%s) = %v, want an error that says that this bus cannot carry it", text(m), err)
		}
	})
}

// refuses sends what is to be refused, hands the errors to judge and fails the
// test if anything arrives.
func (p *pair) refuses(msgs []hub.Message, judge func(hub.Message, error)) {
	p.Helper()
	for _, m := range msgs {
		judge(m, p.send(context.Background(), p.a, m))
	}
	p.nothingElse(p.a, p.b, "Send should have refused them all")
}

func invalidMessages(p *pair) {
	long := hub.Std(1)
	long.Len = 9
	between := hub.FD(1, make([]byte, 9)...)
	endless := hub.FD(1)
	endless.Len = 65
	full := hub.RTR(1, 1)
	full.Data[0] = 1
	early := hub.Std(1)
	early.Timestamp = -1
	p.refuses([]hub.Message{
		hub.Std(0x800), hub.Ext(0x20000000), long, between, endless,
		hub.RTR(1, 9), full, early,
		{Flags: hub.BRS}, {Flags: hub.ESI}, {Flags: 1 << 7},
		{Flags: hub.Remote | hub.FDF}, {Flags: hub.Remote | hub.Error}, {Flags: hub.Error | hub.FDF},
	}, func(m hub.Message, err error) {
		if !errors.Is(err, hub.ErrInvalid) {
			p.Errorf("A.Send(%s) = %v, want hub.ErrInvalid", text(m), err)
		}
	})
}

// cleanMessages sends long messages, then short ones. A bus that uses a buffer
// again must not let the first show in the second.
func cleanMessages(p *pair) {
	var msgs []hub.Message
	for range 4 {
		long := hub.Std(0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)
		if !p.opts.NoFD {
			data := make([]byte, 64)
			for i := range data {
				data[i] = 0xFF
			}
			long = hub.FD(0x10, data...)
		}
		long.Flags |= hub.Own // of a copy that came from another bus
		msgs = append(msgs, long, hub.Std(0x11, 0x01), hub.Std(0x12))
		if !p.opts.NoRemote {
			msgs = append(msgs, hub.RTR(0x13, 8))
		}
	}
	for _, m := range p.transfer(p.a, p.b, msgs) {
		if m.Flags&hub.Own != 0 {
			p.Errorf("B received %s marked as its own message", text(m))
		}
		if rest := m.Data[len(m.Bytes()):]; string(rest) != string(make([]byte, len(rest))) {
			p.Errorf("B received %s with % X... behind its data", text(m), rest[:8])
		}
	}
}

// messageTimes wants a time that is about now. The hour is for clocks that
// differ; a wrong unit is further off.
func messageTimes(p *pair) {
	for _, m := range p.transfer(p.a, p.b, counters(3)) {
		if off := time.Since(m.Time()); off.Abs() > time.Hour {
			p.Errorf("B received %s with Timestamp %d, which is %v, want about now", text(m), m.Timestamp, m.Time())
		}
	}
}

// ownMessages has both send, each after it has received from the other, so that
// what comes back comes before what the other sends.
func ownMessages(p *pair) {
	for i := range 3 {
		p.transfer(p.a, p.b, counters(10))
		p.nothingElse(p.b, p.a, "they are its own messages")
		p.transfer(p.b, p.a, []hub.Message{hub.Std(0x200, byte(i))})
		p.nothingElse(p.a, p.b, "they are its own messages")
	}
}
