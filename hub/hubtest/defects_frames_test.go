package hubtest_test

import (
	"context"
	"errors"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// frameDefects are what a bus can do to a frame.
var frameDefects = []defect{
	{"loses the flags of CAN FD", "+ 000##0",
		[]string{"EveryKindOfFrameArrivesEqual"}, hubtest.BusOptions{},
		received(func(m *hub.Message) { m.Flags &^= hub.BRS | hub.ESI })},
	{"takes small extended identifiers for standard ones", "+ 000#",
		[]string{"EveryKindOfFrameArrivesEqual"}, hubtest.BusOptions{},
		received(func(m *hub.Message) {
			if m.ID <= 0x7FF {
				m.Flags &^= hub.Extended
			}
		})},
	{"loses the length of remote frames", "+ 000#R\n",
		[]string{"EveryKindOfFrameArrivesEqual"}, hubtest.BusOptions{},
		received(func(m *hub.Message) {
			if m.Flags&hub.Remote != 0 {
				m.Len = 0
			}
		})},
	{"cuts data at 48 bytes", "- 000##0",
		[]string{"EveryKindOfFrameArrivesEqual"}, hubtest.BusOptions{},
		received(func(m *hub.Message) { m.Len = min(m.Len, 48) })},
	{"marks all messages as own", "marked as its own",
		[]string{"ReceivedMessagesAreClean"}, hubtest.BusOptions{},
		received(func(m *hub.Message) { m.Flags |= hub.Own })},
	{"uses one buffer for all messages", "FF FF... behind",
		[]string{"ReceivedMessagesAreClean"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			var buffer [64]byte
			received(func(m *hub.Message) {
				copy(buffer[:], m.Bytes())
				m.Data = buffer
			})(b, surrounding{})
		}},
	{"has no time", "Timestamp 0,",
		[]string{"ReceivedMessagesHaveATime"}, hubtest.BusOptions{},
		received(func(m *hub.Message) { m.Timestamp = 0 })},
	{"gives the time in microseconds", "1970-01-11",
		[]string{"ReceivedMessagesHaveATime"}, hubtest.BusOptions{},
		received(func(m *hub.Message) { m.Timestamp /= 1000 })},
	{"swallows CAN FD", "= <nil>, want an error",
		[]string{"FramesThatCannotBeCarriedAreRefused"}, hubtest.BusOptions{NoFD: true},
		func(b *broken, _ surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if m.Flags&hub.FDF != 0 {
					return nil
				}
				return b.Bus.Send(ctx, m)
			}
		}},
	{"refuses remote frames, but sends them", "want nothing",
		[]string{"FramesThatCannotBeCarriedAreRefused"}, hubtest.BusOptions{NoRemote: true},
		func(b *broken, _ surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				err := b.Bus.Send(ctx, m)
				if m.Flags&hub.Remote != 0 {
					return errors.New("no remote frames")
				}
				return err
			}
		}},
	{"makes invalid messages valid", "= <nil>, want hub.ErrInvalid",
		[]string{"InvalidMessagesAreRefused"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if m.Validate() != nil {
					m = hub.Std(m.ID & 0x7FF)
				}
				return b.Bus.Send(ctx, m)
			}
		}},
	{"refuses invalid messages without saying so", "= no, want hub.ErrInvalid",
		[]string{"InvalidMessagesAreRefused"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if m.Validate() != nil {
					return errors.New("no")
				}
				return b.Bus.Send(ctx, m)
			}
		}},
}

// received returns a defect that changes what is received.
func received(change func(m *hub.Message)) func(b *broken, s surrounding) {
	return func(b *broken, _ surrounding) {
		b.recv = func(ctx context.Context) (hub.Message, error) {
			m, err := b.Bus.Recv(ctx)
			if err == nil {
				change(&m)
			}
			return m, err
		}
	}
}
