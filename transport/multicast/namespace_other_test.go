//go:build !linux

package multicast_test

import (
	"errors"
	"testing"
)

func configure() error { return errors.New("only Linux has them") }

// isolated skips the test: nothing is sent on the machine's own networks.
func isolated(t *testing.T) bool {
	t.Skip("needs a network namespace, which only Linux has")
	return false
}
