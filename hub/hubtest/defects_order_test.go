package hubtest_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
)

// orderDefects concern what comes, and when.
var orderDefects = []defect{
	{"carries in one direction only", "0 of 1 messages",
		[]string{"BothDirectionsCarryMessages"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			if s.second {
				b.send = func(context.Context, hub.Message) error { return nil }
			}
		}},
	{"drops every 100th message", "",
		[]string{"OrderIsKept", "ManySendersKeepTheirOrder", "ReceiveLoopsMaySend",
			"CloseDeliversWhatWasSent", "BusyNodeSurvivesThePeersClose"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			var n atomic.Int64
			b.send = func(ctx context.Context, m hub.Message) error {
				if n.Add(1)%100 == 0 {
					return nil
				}
				return b.Bus.Send(ctx, m)
			}
		}},
	{"sends every 100th message twice", "",
		[]string{"OrderIsKept", "ManySendersKeepTheirOrder"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			var n atomic.Int64
			b.send = func(ctx context.Context, m hub.Message) error {
				if n.Add(1)%100 == 0 {
					if err := b.Bus.Send(ctx, m); err != nil {
						return err
					}
				}
				return b.Bus.Send(ctx, m)
			}
		}},
	{"exchanges neighbours", "",
		[]string{"OrderIsKept", "ManySendersKeepTheirOrder", "NodesThatSendInTurnAreReceivedInTurn"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			var held []hub.Message
			b.recv = func(ctx context.Context) (hub.Message, error) {
				if len(held) > 0 {
					m := held[0]
					held = nil
					return m, nil
				}
				m, err := b.Bus.Recv(ctx)
				if err != nil {
					return m, err
				}
				if next, err := b.Bus.Recv(done()); err == nil {
					held = []hub.Message{m}
					return next, nil
				}
				return m, nil
			}
		}},
	{"sees its own messages", "they are its own",
		[]string{"OwnMessagesDoNotComeBack"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			own, err := s.hub.Open("can0", &hub.SubscriberOptions{OwnMessages: true})
			if err != nil {
				panic(err)
			}
			b.Bus = own
		}},
	{"starts a goroutine for each message", "",
		[]string{"OrderIsKept", "ManySendersKeepTheirOrder"}, hubtest.BusOptions{},
		func(b *broken, _ surrounding) {
			b.send = func(ctx context.Context, m hub.Message) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				go func() {
					time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
					b.Bus.Send(context.Background(), m)
				}()
				return nil
			}
		}},
	{"accepts messages before they have a place on the bus", "received other messages than were sent",
		[]string{"NodesThatSendInTurnAreReceivedInTurn"}, hubtest.BusOptions{}, buffered(true)},
	{"has one node overtake the others", "received other messages than were sent",
		[]string{"NodesThatSendInTurnAreReceivedInTurn"}, hubtest.BusOptions{},
		func(b *broken, s surrounding) {
			if !s.second {
				buffered(true)(b, s)
			}
		}},
}
