//go:build !linux

// Package netns runs tests in a network namespace of their own, where there is
// such a thing.
package netns

import "testing"

// Setup does nothing.
func Setup() {}

// Isolated skips the test: nothing is sent on the machine's own networks.
func Isolated(t *testing.T) bool {
	t.Skip("needs a network namespace, which only Linux has")
	return false
}
