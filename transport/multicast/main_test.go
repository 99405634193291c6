package multicast_test

import (
	"testing"

	"github.com/canhub-go/canhub/internal/netns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	netns.Setup()
	goleak.VerifyTestMain(m)
}

func isolated(t *testing.T) bool {
	t.Helper()
	return netns.Isolated(t)
}
