package hub

import "sync/atomic"

// What is sent in a row need not pass the inbox one by one. While the latest
// envelope still waits there, and no call has returned that put something behind
// it, another message may be added to it, whoever sends that: it is the same
// place in the order. Then the messages of the envelope are called a train, and
// its state says how many they are. It costs the sender one compare-and-swap
// instead of a chan operation, and the channel nothing.
//
// inbox.last is the train that may be added to. Who opens a train sets it to that
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

// extend adds the message in p to the train in the inbox, if that is allowed.
func (b *inbox) extend(p span) bool {
	start := p.slab.head.Load()
	train := &p.slab.trains[start]
	if b.last.Load() != train {
		return false
	}
	state := train.Load()
	n := uint32(state & trainState) // out of range if it is closed or pending, 0 in a slab that came back
	return n > 0 && n < b.maxTrain && start+n == p.off && train.CompareAndSwap(state, state+1)
}

// openTrain makes a train of e, which is about to be put into the inbox, or
// returns nil. When it is there, startTrain lets others add to it.
func (b *inbox) openTrain(e *envelope) *atomic.Uint64 {
	if e.request != nil || e.n >= b.maxTrain {
		return nil
	}
	train := &e.slab.trains[e.off]
	train.Store(e.slab.lives<<32 | trainPending | uint64(e.n))
	e.slab.head.Store(e.off)
	b.last.Store(train)
	return train
}

func startTrain(train *atomic.Uint64, lives uint64, n uint32) {
	train.CompareAndSwap(lives<<32|trainPending|uint64(n), lives<<32|uint64(n)) // unless it is closed already
}

// follow is called by whoever has put something into the inbox: a train, or nil
// for anything else. Nothing may be added to what is before it.
func (b *inbox) follow(train *atomic.Uint64) {
	if b.last.Load() != train {
		b.last.Store(nil)
	}
}

// closeTrain settles how many messages e has, once and for all.
func (e *envelope) closeTrain() {
	if e.n == 0 {
		return
	}
	if train := &e.slab.trains[e.off]; train.Load() != 0 {
		e.n = uint32(train.Or(trainClosed) & trainLength)
	}
}
