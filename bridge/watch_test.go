package bridge

import (
	"testing"
	"testing/synctest"
	"time"
)

// Watch ends all tests with a message when t takes longer than any of them should:
// it hangs or goes round. The caller stops it.
func Watch(t *testing.T) *time.Timer {
	return time.AfterFunc(10*time.Second, func() { panic(t.Name() + " has not ended after 10 seconds") })
}

// Bubble is synctest.Test under Watch, whose time is real.
func Bubble(t *testing.T, f func(t *testing.T)) {
	defer Watch(t).Stop()
	synctest.Test(t, f)
}
