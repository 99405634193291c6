package multicast_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// inside is set in the environment of a test binary that runs in a network
// namespace of its own.
const inside = "CANHUB_MULTICAST_NAMESPACE"

func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		if err := configure(); err != nil {
			fmt.Fprintln(os.Stderr, "network namespace:", err)
			os.Exit(2)
		}
	}
	goleak.VerifyTestMain(m)
}
