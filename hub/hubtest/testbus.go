package hubtest

import (
	"testing"
	"testing/synctest"

	"github.com/canhub-go/canhub/hub"
)

// BusOptions tell [TestBus] what a kind of bus cannot do, and how to test it.
// Nil or the zero value is a bus that can do everything.
type BusOptions struct {
	// NoRemote, NoFD and NoError say that the bus cannot carry remote frames,
	// CAN FD frames or error frames. Then Send of one must return an error, and
	// nothing may arrive. Default: false, it carries them.
	NoRemote, NoFD, NoError bool
	// Window is how many messages may be under way in one direction without any
	// being lost; 16 at least. It is for datagrams, and for servers that drop the
	// messages of a slow client. The suite stays within it where nothing may be
	// lost. Default: 0, the bus loses nothing, but makes senders wait.
	Window int
	// PointToPoint says that the two nodes are the ends of one connection, so
	// that once one has closed, calls on the other may return [hub.ErrClosed].
	// Default: false, the bus goes on for the other.
	PointToPoint bool
	// OrdersItself says that the bus decides the order of what different nodes
	// send, as a wire does by priority and a server by what reaches it first. Then
	// a message may come before one of another node whose Send had returned
	// earlier. Default: false, it comes behind it.
	OrdersItself bool
	// Join returns one more node on the bus of the pair that makePair has made
	// last, connected like those. TestBus closes it. Default: nil, and what takes
	// a third node is not checked.
	Join func(t testing.TB) hub.Bus
	// EndBus ends the bus of the pair that makePair has made last, as by closing
	// the hub or the server, while its nodes are open. What a node has queued must
	// then still come out of it, and an error only behind that. EndBus is not
	// called by the goroutine of the test. Default: nil, nothing ends this bus.
	EndBus func()
	// Synctest runs each check in a synctest bubble, which takes no time and
	// where a call that hangs is found at once. For a bus that works without the
	// operating system. makePair is called in the bubble. Default: false.
	Synctest bool
}

// TestBus checks that a kind of bus does what [hub.Bus] promises, each promise
// in a subtest of that name, with a pair of its own that makePair makes.
//
// makePair returns two nodes on one bus that has no others, connected: from now
// on each receives what the other sends. TestBus closes both. What else is to be
// closed, a server say, makePair leaves to t.Cleanup; after that no goroutine may
// be left. A node queues at least 16 messages that it has not received yet. If
// the nodes are of different kinds, call TestBus a second time with a and b
// exchanged.
//
// TestBus does not expect that messages arrive at once, nor that they carry Seq,
// but that Timestamp is set, be it only on arrival. Context errors must be
// returned bare, closed may be wrapped. What should return and does not, makePair
// and its cleanup functions included, fails the test by name within 10 seconds;
// the next check goes on. Not for tests that call t.Parallel.
func TestBus(t *testing.T, makePair func(t testing.TB) (a, b hub.Bus), o *BusOptions) {
	if o == nil {
		o = &BusOptions{}
	}
	if o.Window != 0 && o.Window < queued {
		t.Fatalf("BusOptions.Window is %d, want %d at least, or 0", o.Window, queued)
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			if !o.Synctest {
				c.on(t, makePair, *o, nil)
				return
			}
			watched(t, standstill, func(p *progress) {
				synctest.Test(t, func(t *testing.T) { c.on(t, makePair, *o, p) })
			})
		})
	}
}

// A check is one promise of a Bus and the function that fails the test if it is
// not kept.
type check struct {
	name string
	run  func(p *pair)
}

// checks are all that TestBus runs. Each of them is held to fail for some broken
// bus by the tests of this package.
var checks = []check{
	{"BothDirectionsCarryMessages", bothDirections},
	{"EveryKindOfFrameArrivesEqual", everyKindOfFrame},
	{"FramesThatCannotBeCarriedAreRefused", uncarriedFrames},
	{"InvalidMessagesAreRefused", invalidMessages},
	{"ReceivedMessagesAreClean", cleanMessages},
	{"ReceivedMessagesHaveATime", messageTimes},
	{"OwnMessagesDoNotComeBack", ownMessages},

	{"OrderIsKept", orderIsKept},
	{"ManySendersKeepTheirOrder", manySenders},
	{"ReceiveLoopsMaySend", receiveLoops},
	{"NodesThatSendInTurnAreReceivedInTurn", sendInTurn},

	{"RecvUnderDoneContextReturnsItsError", recvDone},
	{"RecvUnderDoneContextHandsOutWhatIsQueued", recvQueued},
	{"SendUnderDoneContextSendsNothing", sendDone},
	{"ContextUnblocksRecv", contextUnblocksRecv},
	{"ContextUnblocksSend", contextUnblocksSend},
	{"CancelledRecvLosesNothing", cancelledRecv},
	{"PollsWhileTheBusEndsHandOutWhatIsQueued", pollsAtTheEnd},
	{"PollsAfterTheBusHasEndedHandOutWhatIsQueued", pollsAfterTheEnd},

	{"CloseUnblocksRecv", closeUnblocksRecv},
	{"CloseUnblocksSend", closeUnblocksSend},
	{"CloseMayBeCalledAgainAndAtOnce", closeAgain},
	{"ASecondCloseWaitsAsTheFirstDoes", closeTwice},
	{"AfterCloseAllCallsReturnErrClosed", afterClose},
	{"CloseDeliversWhatWasSent", closeDelivers},
	{"CloseLeavesTheOtherNodeAlone", closeLeavesOther},
	{"CloseEndsBusyCalls", closeEndsBusyCalls},
	{"BusyNodeSurvivesThePeersClose", peerCloses},
}

// on runs the check with a new pair, and then looks for what the pair has left.
// Cleanup functions run last to first: the nodes are closed, then whatever
// makePair has made, then goroutines are counted.
func (c check) on(t testing.TB, makePair func(t testing.TB) (a, b hub.Bus), o BusOptions, progress *progress) {
	t.Helper()
	leaks := watchLeaks(leakPatience)
	t.Cleanup(func() {
		if t.Failed() {
			return // a call that hangs is a goroutine too, and has been told
		}
		if err := leaks(); err != nil {
			t.Errorf("both nodes are closed, but have left goroutines behind: %v", err)
		}
	})
	p := &pair{TB: t, opts: o, progress: progress}
	p.make(makePair)
	c.run(p)
}
