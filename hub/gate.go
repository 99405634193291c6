package hub

import (
	"math"
	"sync/atomic"
)

// A gate counts the goroutines that work for a subscriber, so that its end can
// wait for them and none starts after it. A WaitGroup cannot refuse entry.
type gate struct {
	state atomic.Int64  // how many are inside; shutBit is set once it is shut
	empty chan struct{} // closed when it is shut and nobody is inside
}

const shutBit = math.MinInt64

// enter reports whether the gate was open. Who entered must leave.
func (g *gate) enter() bool {
	for {
		n := g.state.Load()
		if n&shutBit != 0 {
			return false
		}
		if g.state.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (g *gate) leave() {
	if g.state.Add(-1) == shutBit {
		close(g.empty)
	}
}

// shut lets nobody in any more and waits until everybody has left.
func (g *gate) shut() {
	if g.state.Or(shutBit) == 0 {
		close(g.empty)
	}
	<-g.empty
}
