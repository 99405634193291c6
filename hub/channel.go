package hub

import "sync/atomic"

// A channel is one named CAN channel. Its run goroutine alone touches the set
// of subscribers; everyone else asks for changes through the inbox.
type channel struct {
	hub  *Hub
	name string

	in     chan envelope // from any subscriber; never closed, but sealed at the end
	quit   chan struct{} // closed by end: of the hub, or when the last one has left
	ended  atomic.Bool   // quit is closed, or about to be
	done   chan struct{} // closed by run, its last act
	poke   chan struct{} // see pending; never closed
	maxRun uint32        // how many messages a run may have

	// last is the run in the inbox that may be added to, or nil. See run.go.
	_      apart
	last   atomic.Pointer[atomic.Uint64]
	intake intake

	// pending holds requests that must not wait for room in the inbox, newest
	// first, and ready the subscribers that were late and have made room. poke
	// has a token when something was added to one of them.
	_       apart
	pending atomic.Pointer[op]
	ready   atomic.Pointer[Subscriber]

	messages atomic.Uint64 // forwarded so far
	joined   atomic.Int64  // subscribers that receive what is sent from now on

	// Of whoever has the hub's registry in hand.
	open     int // subscribers, or about to join
	opened   int // subscribers that there ever were
	standing bool
}

// An envelope is what travels through the inbox: messages, a request, or both.
type envelope struct {
	op   *op // nil for messages alone
	span     // the channel stamps them; nobody else has them
}

type op struct {
	kind    opKind
	sub     *Subscriber
	filters *filterSet    // opJoin, opFilter: those of its time
	reply   chan []string // opWait: who has not got it; room for one
	tick    *atomic.Bool  // opTick: set by the channel when it has forwarded it
	next    *op           // in channel.pending
}

type opKind int

const (
	opWake   opKind = iota // look at pending
	opWait                 // reply when the messages are delivered
	opTick                 // set tick when they are
	opJoin                 // a new subscriber
	opLeave                // it closes
	opFilter               // it has new filters
	opSeal                 // fills the inbox when nothing may be sent any more
)

// Requests without contents, and the mark of a channel that takes no more.
var (
	wake   = &op{kind: opWake}
	seal   = &op{kind: opSeal}
	sealed = new(op)
)

func startChannel(h *Hub, name string, o ChannelOptions) *channel {
	c := &channel{
		hub:    h,
		name:   name,
		maxRun: uint32(o.Inbox / 4),
		in:     make(chan envelope, o.Inbox),
		quit:   make(chan struct{}),
		done:   make(chan struct{}),
		poke:   make(chan struct{}, 1),
	}
	go c.run() // Hub.Close and Hub.release wait for done
	return c
}

// end makes run return. Whoever took the channel out of the registry calls it.
func (c *channel) end() {
	c.ended.Store(true)
	close(c.quit)
	c.wake()
}

// wake makes run look at quit and pending. A full inbox needs no more: run is
// about to receive from it, or it waits for room in a queue and sees poke.
func (c *channel) wake() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
	c.offer(envelope{op: wake})
}

// offer puts e into the inbox if that has room.
func (c *channel) offer(e envelope) bool {
	select {
	case c.in <- e:
		return true
	default:
		return false
	}
}

// tell gives o its place in the order of the channel, or if the inbox is full
// a place before what is in it: the caller does not wait for a slow subscriber.
// It returns false if the channel has ended.
func (c *channel) tell(o *op) bool {
	if !c.ended.Load() && c.offer(envelope{op: o}) {
		c.follow(nil)
		return true
	}
	return c.post(o)
}

// post has o done as soon as the channel's goroutine can do anything at all.
// It returns false if the channel has ended.
func (c *channel) post(o *op) bool {
	for {
		o.next = c.pending.Load()
		if o.next == sealed {
			return false
		}
		if c.pending.CompareAndSwap(o.next, o) {
			c.wake()
			return true
		}
	}
}
