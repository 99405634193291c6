package hub

import "sync/atomic"

// What is sent in a row need not pass the inbox one by one. While the latest
// envelope still waits there, and no call has returned that put something behind
// it, another message may be added to it, whoever sends that: it is the same
// place in the order. Then the envelope is called a run, and its state says how
// many messages it has. It costs the sender one compare-and-swap instead of a
// chan operation, and the channel nothing.
//
// channel.last is the run that may be added to. Who opens a run sets it to that
// run before putting it into the inbox, and whoever has put anything into the
// inbox looks whether it names another run, and then clears it. So if last names
// a run, then no call has returned yet that put something behind it: such a call
// would have found the run there and cleared it, for the run was named before it
// was put. A message that is added then is no later than any that it comes
// before. A run that is not in the inbox yet is pending, and nothing is added:
// it may never get there.
//
// The state of a run also has the generation of its slab, so that a sender that
// is late to say that its run is no longer pending does not say so of another
// run that begins at the same place after the slab has come back.
const (
	runClosed  = 1 << 31 // the channel has taken it
	runPending = 1 << 30 // it is not in the inbox yet
	runLength  = runPending - 1
	runState   = 1<<32 - 1 // the above; the generation is to the left of it
)

// extend adds the message in p to the run in the inbox, if that is allowed.
func (c *channel) extend(p span) bool {
	start := p.slab.open.Load()
	run := &p.slab.runs[start]
	if c.last.Load() != run {
		return false
	}
	state := run.Load()
	n := uint32(state & runState) // out of range if it is closed or pending, 0 in a slab that came back
	return n > 0 && n < c.maxRun && start+n == p.off && run.CompareAndSwap(state, state+1)
}

// openRun makes a run of e, which is about to be put into the inbox, or returns
// nil. When it is there, startRun lets others add to it.
func (c *channel) openRun(e *envelope) *atomic.Uint64 {
	if e.op != nil || e.n >= c.maxRun {
		return nil
	}
	run := &e.slab.runs[e.off]
	run.Store(e.slab.gen<<32 | runPending | uint64(e.n))
	e.slab.open.Store(e.off)
	c.last.Store(run)
	return run
}

func startRun(run *atomic.Uint64, gen uint64, n uint32) {
	run.CompareAndSwap(gen<<32|runPending|uint64(n), gen<<32|uint64(n)) // unless it is closed already
}

// follow is called by whoever has put something into the inbox: run, or nil for
// anything else. Nothing may be added to what is before it.
func (c *channel) follow(run *atomic.Uint64) {
	if c.last.Load() != run {
		c.last.Store(nil)
	}
}

// closeRun returns how many messages e has, once and for all.
func (e *envelope) closeRun() uint32 {
	if e.n == 0 {
		return e.n
	}
	run := &e.slab.runs[e.off]
	if run.Load() == 0 {
		return e.n
	}
	return uint32(run.Or(runClosed) & runLength)
}
