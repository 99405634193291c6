package bridge_test

import (
	"context"
	"fmt"
	"time"

	"github.com/canhub-go/canhub/bridge"
	"github.com/canhub-go/canhub/hub"
)

func Example() {
	h := hub.New(nil)
	defer h.Close()
	ecu, _ := h.Open("engine", nil)
	tester, _ := h.Open("diag", nil)
	a, _ := h.Open("engine", nil)
	b, _ := h.Open("diag", nil)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	done := make(chan error)
	go func() { done <- bridge.Run(ctx, a, b, nil) }()

	ecu.Send(ctx, hub.Std(0x123, 0xCA, 0xFE))
	m, _ := tester.Recv(ctx)
	fmt.Println(m)
	cancel()
	fmt.Println(<-done)
	// Output:
	// 123#CAFE
	// context canceled
}
