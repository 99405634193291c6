package hub

import (
	"fmt"
	"log/slog"
	"time"
)

// Options configure a [Hub]. Nil or the zero value is ready to use.
type Options struct {
	// Logger hears what an operator should know, such as the name of a
	// subscriber for whose full queue a channel has been waiting for a second.
	// Its handler runs in a goroutine of its own and may use the hub, even close
	// it: Close waits for a handler for a second at most. Default: silent.
	Logger *slog.Logger
}

// ChannelOptions configure a channel that is made by [Hub.Create]. Nil or the
// zero value is ready to use.
type ChannelOptions struct {
	// Inbox is how many sends the channel holds before the next ones wait. A
	// SendBatch counts as one, and if Inbox is 4 or more, so may up to 64 Sends that
	// are made in a row: with the default, senders get up to 512 messages ahead.
	// 1 to 65536. Default: 8.
	Inbox int
}

const (
	// Short, so that a sender fills it before another processor has woken up to share
	// the work with: then they take turns on one processor, and the messages stay in
	// its cache. That is as fast as two processors that share a cache, and more than
	// twice as fast as two that do not: see "ten runs" in bench.
	defaultInbox = 8
	maxInbox     = 1 << 16
)

func (o *ChannelOptions) withDefaults() (ChannelOptions, error) {
	var r ChannelOptions
	if o != nil {
		r = *o
	}
	if r.Inbox == 0 {
		r.Inbox = defaultInbox
	}
	if r.Inbox < 0 || r.Inbox > maxInbox {
		return r, fmt.Errorf("hub: Inbox %d: want 1 to %d, or 0 for %d", r.Inbox, maxInbox, defaultInbox)
	}
	return r, nil
}

// A Policy says what happens to a message for a subscriber whose queue is full.
// Losses are counted in [Stats].Dropped, and told in the subscriber's own
// stream where [SubscriberOptions].ErrorFrames asks for it.
type Policy int

const (
	// Block makes the channel wait, and so in time its senders, until the
	// subscriber has received something. Nothing is lost. See also
	// [SubscriberOptions].BlockFor and [ErrStalled].
	Block Policy = iota
	// DropOldest takes the oldest message out of the queue to make room: the
	// subscriber sees the latest.
	DropOldest
	// DropNewest refuses the message: the subscriber sees the earliest.
	DropNewest
)

// String returns the constant's name.
func (p Policy) String() string {
	switch p {
	case Block:
		return "Block"
	case DropOldest:
		return "DropOldest"
	case DropNewest:
		return "DropNewest"
	}
	return fmt.Sprintf("Policy(%d)", int(p))
}

// SubscriberOptions configure a [Subscriber]. Nil or the zero value is ready to
// use: a queue of 256 messages that blocks, everything but its own messages.
type SubscriberOptions struct {
	// Name is how errors and logs call the subscriber. Default: the channel's
	// name and a running number, such as "can0/1".
	Name string
	// Queue is how many messages are kept for a subscriber that has not
	// received them yet. 1 to 1048576. Default: 256.
	Queue int
	// Policy says what happens when the queue is full. Default: Block.
	Policy Policy
	// BlockFor limits how long the channel waits under Block for the subscriber
	// to take something. What does not fit after it is dropped and counted, and
	// until the subscriber takes a message the channel does not wait for it
	// again. The limits of several subscribers run at the same time.
	// Default: 0, no limit.
	BlockFor time.Duration
	// Filters select the messages to receive, as [Subscriber.SetFilters] does.
	// Default: none, which lets everything through.
	Filters []Filter
	// OwnMessages also delivers the messages that the subscriber itself sent,
	// as copies marked [Own]. Default: false.
	OwnMessages bool
	// KeepTimestamps leaves the messages that the subscriber sends the
	// Timestamp they carry. Default: false, the channel stamps them.
	KeepTimestamps bool
	// ErrorFrames delivers the error frames that the hub itself makes: a
	// receive overflow (20000004#0001000000000000) where messages were dropped.
	// It takes no room in the queue and has Seq 0. Error frames that somebody
	// sent are delivered in any case. Default: false.
	ErrorFrames bool
	// ListenOnly makes every send fail with [ErrListenOnly]. Default: false.
	ListenOnly bool
	// SendOnly is for a node that never receives: nothing is put into its queue,
	// so it need not empty it. Its receive calls wait for the end. Default: false.
	SendOnly bool
}

const (
	defaultQueue = 256
	maxQueue     = 1 << 20
)

func (o *SubscriberOptions) withDefaults() (SubscriberOptions, error) {
	var r SubscriberOptions
	if o != nil {
		r = *o
	}
	if r.SendOnly && r.Queue == 0 {
		r.Queue = 1 // nothing comes into it
	}
	if r.Queue == 0 {
		r.Queue = defaultQueue
	}
	switch {
	case r.Queue < 0 || r.Queue > maxQueue:
		return r, fmt.Errorf("hub: Queue %d: want 1 to %d, or 0 for %d", r.Queue, maxQueue, defaultQueue)
	case r.Policy < Block || r.Policy > DropNewest:
		return r, fmt.Errorf("hub: Policy %d: want Block, DropOldest or DropNewest", int(r.Policy))
	case r.BlockFor < 0:
		return r, fmt.Errorf("hub: BlockFor %v: negative", r.BlockFor)
	case r.BlockFor > 0 && r.Policy != Block:
		return r, fmt.Errorf("hub: BlockFor %v with Policy %v, which never blocks", r.BlockFor, r.Policy)
	case r.SendOnly && (r.ListenOnly || r.OwnMessages || r.ErrorFrames || len(r.Filters) > 0 || r.Policy != Block):
		return r, fmt.Errorf("hub: SendOnly with ListenOnly, OwnMessages, ErrorFrames, Filters or a Policy")
	case r.ListenOnly && r.KeepTimestamps:
		return r, fmt.Errorf("hub: KeepTimestamps with ListenOnly, which sends nothing")
	case r.ListenOnly && r.OwnMessages:
		return r, fmt.Errorf("hub: OwnMessages with ListenOnly, which sends nothing")
	}
	for i, f := range r.Filters {
		if f.StandardOnly && f.ExtendedOnly {
			return r, fmt.Errorf("hub: Filters[%d]: StandardOnly and ExtendedOnly, which nothing matches", i)
		}
	}
	return r, nil
}
