package hub

// Stats count what a [Subscriber] has sent and received. The numbers are exact
// when nothing is under way.
type Stats struct {
	Sent     uint64 // messages that the channel has accepted from it
	Received uint64 // messages that it was handed
	Dropped  uint64 // messages that it lost because its queue was full
	Queued   int    // messages that wait for it now
	Capacity int    // messages that may wait: SubscriberOptions.Queue
}

// ChannelInfo describes a channel in use.
type ChannelInfo struct {
	Name        string
	Subscribers int    // open: a message sent now reaches them
	Messages    uint64 // forwarded so far; the Seq of the last one
	Standing    bool   // made by Create: it stays without subscribers
}
