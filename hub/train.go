package hub

import "sync/atomic"

// What is sent in a row need not pass the inbox one by one. While the latest
// envelope still waits there, and no call has returned that put something behind
// it, another message may be added to it, whoever sends that: it is the same
// place in the order. Then the messages of the envelope are called a train, and
// its state says how many they are. It costs the sender one compare-and-swap
// instead of a chan operation, and the channel nothing.
//
// trains.last is the train that may be added to. Who opens a train sets it to that
// train before putting it into the inbox, and whoever has put anything into the
// inbox looks whether it names another train, and then clears it. So if last names
// a train, then no call has returned yet that put something behind it: such a call
// would have found the train there and cleared it, for the train was named before
// it was put. A message that is added then is no later than any that it comes
// before. A train that is not in the inbox yet is pending, and nothing is added:
// it may never get there.
//
// The state of a train also has the number of lives of its slab, so that a sender
// that is late to say that its train is no longer pending does not say so of
// another train that begins at the same place after the slab has come back.
const (
	trainClosed  = 1 << 31 // the channel has taken it
	trainPending = 1 << 30 // it is not in the inbox yet
	trainLength  = trainPending - 1
	trainState   = 1<<32 - 1 // the above; the lives are to the left of it
)

// maxTrain is how many messages a train may have.
const maxTrain = 64

// trains are those of one inbox.
type trains struct {
	longest uint32 // maxTrain, or 0 for no trains
	_       apart
	last    atomic.Pointer[atomic.Uint64] // the train in the inbox that may be added to, or nil
}

// extend adds the message in p to the train in the inbox, if that is allowed.
func (t *trains) extend(p span) bool {
	start := p.slab.head.Load()
	train := &p.slab.states[start]
	if t.last.Load() != train {
		return false
	}
	state := train.Load()
	n := uint32(state & trainState) // out of range if it is closed or pending, 0 in a slab that came back
	return n > 0 && n < t.longest && start+n == p.off && train.CompareAndSwap(state, state+1)
}

// open makes a train of p, which is about to be put into the inbox, or returns
// nil. When it is there, startTrain lets others add to it.
func (t *trains) open(p span) *atomic.Uint64 {
	if p.n >= t.longest {
		return nil
	}
	train := &p.slab.states[p.off]
	train.Store(p.slab.lives<<32 | trainPending | uint64(p.n))
	p.slab.head.Store(p.off)
	t.last.Store(train)
	return train
}

func startTrain(train *atomic.Uint64, lives uint64, n uint32) {
	train.CompareAndSwap(lives<<32|trainPending|uint64(n), lives<<32|uint64(n)) // unless it is closed already
}

// follow is called by whoever has put something into the inbox: a train, or nil
// for anything else. Nothing may be added to what is before it.
func (t *trains) follow(train *atomic.Uint64) {
	if t.last.Load() != train {
		t.last.Store(nil)
	}
}

// closeTrain returns p with what was added to it. Nothing is added any more.
func (p span) closeTrain() span {
	if p.n == 0 {
		return p
	}
	if train := &p.slab.states[p.off]; train.Load() != 0 {
		p.n = uint32(train.Or(trainClosed) & trainLength)
	}
	return p
}
