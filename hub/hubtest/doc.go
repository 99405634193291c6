// Package hubtest helps to test programs that use package hub, and holds the
// conformance suite for everything that calls itself a [hub.Bus].
//
// A test makes a hub, opens a place on a channel for itself and one for what is
// tested, and says what is to come:
//
//	func TestPumpAnswersStatusRequests(t *testing.T) {
//		h := hubtest.New(t)
//		node := hubtest.Open(t, h, "can0", nil)
//		go pump.Run(t.Context(), h) // opens "can0" and answers 200 with 201
//		hubtest.WaitPeers(t, h, "can0", 2)
//
//		if err := node.Send(t.Context(), hub.Std(0x200)); err != nil {
//			t.Fatal(err)
//		}
//		hubtest.Want(t, node, hub.Std(0x201, 0x01))
//		hubtest.WantNone(t, node)
//	}
//
// # What it promises
//
//   - The hub of [New] is closed when the test ends, its log is the test's log,
//     and a goroutine that outlives it fails the test.
//   - Nothing here waits without an end: what hangs is named, and where it hangs
//     is shown, within 10 seconds.
//   - A failure shows frames in candump form, "123#AABB", with "-" before what was
//     wanted and "+" before what came.
//   - Only frames are compared: identifier, flags, length and data. Time,
//     number and the flag [hub.Own] are not; Want returns the messages for those
//     who want to look at them.
//
// The functions that take a [testing.TB] may stop the test, so they belong into
// the goroutine that runs it, like t.Fatal.
//
// # Fake time
//
// Everything works in the bubbles of package testing/synctest, and is at its
// best there: time passes only when all goroutines of the bubble are idle. So
// WantNone is exact and takes no time, and what never comes is reported at once.
// Make the hub inside the bubble:
//
//	synctest.Test(t, func(t *testing.T) {
//		h := hubtest.New(t)
//		// ...
//	})
//
// Only a goroutine that waits for a mutex or for the system stops the bubble's
// clock, and with it what would tell of it. TestBus watches its bubbles from
// outside and tells of that too.
//
// # Parallel tests
//
// A goroutine does not tell which test has started it, so the search for leaks
// in New and [TestBus] may blame one that belongs to a test which runs at the
// same time. Do not use them in tests that call t.Parallel.
//
// # Testing a transport
//
// [TestBus] checks that two nodes of some kind of bus keep what [hub.Bus] says:
// every kind of frame, order, cancellation, closing, and no goroutine left.
package hubtest
