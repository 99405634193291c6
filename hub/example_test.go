package hub_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// must keeps the examples short. Open fails only for a wrong option or a closed
// hub.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func Example() {
	ctx := context.Background()
	h := hub.New(nil)
	defer h.Close()

	ecu, _ := h.Open("can0", nil)
	tester, _ := h.Open("can0", nil)

	ecu.Send(ctx, hub.Std(0x123, 0xCA, 0xFE))
	m, err := tester.Recv(ctx)
	fmt.Println(m, m.Seq, err)
	// Output:
	// 123#CAFE 1 <nil>
}

// A node that listens to two channels until its ctx is done.
func ExampleSubscriber_C() {
	h := hub.New(nil)
	defer h.Close()
	engine := must(h.Open("engine", nil))
	body := must(h.Open("body", nil))
	gateway := struct{ engine, body *hub.Subscriber }{must(h.Open("engine", nil)), must(h.Open("body", nil))}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			select {
			case m, ok := <-gateway.engine.C():
				if !ok {
					return
				}
				fmt.Println("engine:", m)
				body.Send(ctx, hub.Std(0x200, m.Data[0]/2)) // answered on the other one
			case m, ok := <-gateway.body.C():
				if !ok {
					return
				}
				fmt.Println("body:", m)
				cancel()
			case <-ctx.Done():
				fmt.Println("end:", ctx.Err())
				return
			}
		}
	}()

	engine.Send(ctx, hub.Std(0x100, 0x80))
	<-done
	// Output:
	// engine: 100#80
	// body: 200#40
	// end: context canceled
}

// The chan that C returns is closed when the subscriber or the hub is.
func ExampleSubscriber_C_range() {
	h := hub.New(nil)
	tx := must(h.Open("can0", nil))
	rx := must(h.Open("can0", nil))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for m := range rx.C() {
			fmt.Println(m)
		}
		fmt.Println("closed")
	}()

	tx.Send(context.Background(), hub.Std(0x7FF))
	tx.Send(context.Background(), hub.Ext(0x18FEF100, 1, 2))
	h.Close()
	<-done
	// Output:
	// 7FF#
	// 18FEF100#0102
	// closed
}

func ExampleSubscriber_SetFilters() {
	ctx := context.Background()
	h := hub.New(nil)
	defer h.Close()
	tx := must(h.Open("can0", nil))
	rx := must(h.Open("can0", nil))

	rx.SetFilters(
		hub.Filter{ID: 0x100, Mask: 0x700, StandardOnly: true}, // 100 to 1FF
		hub.Filter{ID: 0x18FEF100, Mask: 0x1FFFFFFF},           // this one
		hub.Filter{ID: 0xFF, Mask: 0xFF, StandardOnly: true},   // 0FF, 1FF to 7FF
	)
	for _, text := range []string{"123#", "200#", "18FEF100#01", "18FEF101#02", "3FF#", "000003FF#"} {
		tx.Send(ctx, must(hub.Parse(text)))
	}
	for range 3 {
		fmt.Println(must(rx.Recv(ctx)))
	}

	// From now on nothing else comes out, not even what is queued.
	tx.Send(ctx, hub.Std(0x124))
	rx.SetFilters(hub.Filter{ID: 0x2, Mask: 0x7FF})
	tx.Send(ctx, hub.Std(0x2))
	fmt.Println(must(rx.Recv(ctx)))
	// Output:
	// 123#
	// 18FEF100#01
	// 3FF#
	// 002#
}

func ExampleSubscriber_SendPeriodic() {
	ctx := context.Background()
	h := hub.New(nil)
	defer h.Close()
	tx := must(h.Open("can0", nil))
	rx := must(h.Open("can0", nil))

	// Three messages, a millisecond apart, each with a counter.
	task, err := tx.SendPeriodic(&hub.Periodic{
		Messages: []hub.Message{hub.Std(0x100, 0)},
		Period:   time.Millisecond,
		Count:    3,
		Modify:   func(m *hub.Message) { m.Data[0]++ },
	})
	if err != nil {
		panic(err)
	}
	for range 3 {
		fmt.Println(must(rx.Recv(ctx)))
	}
	<-task.Done()
	fmt.Println("ended:", task.Err())
	// Output:
	// 100#01
	// 100#02
	// 100#03
	// ended: <nil>
}

func ExampleSubscriber_SendWait() {
	ctx := context.Background()
	h := hub.New(nil)
	defer h.Close()
	tx := must(h.Open("can0", nil))
	must(h.Open("can0", &hub.SubscriberOptions{Name: "logger"}))
	must(h.Open("can0", &hub.SubscriberOptions{Name: "display", Queue: 1, Policy: hub.DropNewest}))

	fmt.Println(tx.SendWait(ctx, hub.Std(0x100, 1)))

	// Nobody has received the first one, and the display has room for one.
	err := tx.SendWait(ctx, hub.Std(0x100, 2))
	var missed *hub.DeliveryError
	if errors.As(err, &missed) {
		fmt.Println("missed by", missed.Missed)
	}
	// Output:
	// <nil>
	// missed by [display]
}

func ExampleParse() {
	for _, text := range []string{"123#DEADBEEF", "18FEF100#01.02.03", "123#R5", "123##1AABBCC", "123#AABBC"} {
		m, err := hub.Parse(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%v: identifier %#x, %v, %d bytes\n", m, m.ID, m.Flags, m.Len)
	}
	// Output:
	// 123#DEADBEEF: identifier 0x123, 0, 4 bytes
	// 18FEF100#010203: identifier 0x18fef100, Extended, 3 bytes
	// 123#R5: identifier 0x123, Remote, 5 bytes
	// 123##1AABBCC: identifier 0x123, FDF|BRS, 3 bytes
	// hub: frame "123#AABBC": byte 9: half a data byte
}

// For programs that move many messages.
func ExampleSubscriber_RecvBatch() {
	ctx := context.Background()
	h := hub.New(nil)
	defer h.Close()
	tx := must(h.Open("can0", nil))
	rx := must(h.Open("can0", nil))

	msgs := make([]hub.Message, 100)
	for i := range msgs {
		msgs[i] = hub.Std(0x100, byte(i))
	}
	tx.SendBatch(ctx, msgs)

	sum, n := 0, 0
	for n < 100 {
		for _, m := range must(rx.RecvBatch(ctx)) {
			sum += int(m.Data[0])
			n++
		}
	}
	fmt.Println(n, "messages, sum", sum)
	// Output:
	// 100 messages, sum 4950
}

// A display that wants the latest value, however slow it is.
func ExampleHub_Open_latestValue() {
	ctx := context.Background()
	h := hub.New(nil)
	defer h.Close()
	sensor := must(h.Open("can0", nil))
	display := must(h.Open("can0", &hub.SubscriberOptions{Queue: 1, Policy: hub.DropOldest}))

	for speed := range byte(100) {
		// SendWait returns when the display has the message in its queue.
		if err := sensor.SendWait(ctx, hub.Std(0x100, speed)); err != nil {
			panic(err)
		}
	}
	m := must(display.Recv(ctx))
	fmt.Println(m, "after", display.Stats().Dropped, "lost")
	// Output:
	// 100#63 after 99 lost
}
