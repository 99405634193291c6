package hub

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

// A Hub holds named CAN channels. Hubs know nothing of each other: a channel
// "can0" of one has nothing to do with that of another. All methods may be
// called from any goroutine.
type Hub struct {
	log *slog.Logger

	// names holds the registry whenever nobody has it in hand: take it out,
	// look or change, put it back, and never wait for anything in between.
	names chan registry
	done  chan struct{} // closed by the first Close, when everything has ended
}

type registry struct {
	channels map[string]*channel
	ending   map[*channel]bool // that nobody uses any more, until they are done
	closed   bool
}

// New returns a hub without channels. [Hub.Close] ends it; a hub that has no
// channels needs no closing.
func New(o *Options) *Hub {
	h := &Hub{
		log:   slog.New(slog.DiscardHandler),
		names: make(chan registry, 1),
		done:  make(chan struct{}),
	}
	if o != nil && o.Logger != nil {
		h.log = o.Logger
	}
	h.names <- registry{channels: make(map[string]*channel), ending: make(map[*channel]bool)}
	return h
}

// Create makes a channel that stands without subscribers until the hub is
// closed. It is an error if the channel exists already.
func (h *Hub) Create(name string, o *ChannelOptions) error {
	opts, err := o.withDefaults()
	if err != nil {
		return err
	}
	if name == "" {
		return errNoName
	}
	r := <-h.names
	defer func() { h.names <- r }()
	if r.closed {
		return ErrClosed
	}
	if r.channels[name] != nil {
		return fmt.Errorf("hub: channel %q exists already", name)
	}
	c := startChannel(h, name, opts)
	c.standing = true
	r.channels[name] = c
	return nil
}

var errNoName = errors.New("hub: the channel's name is empty")

// Open returns a new subscriber on the channel called name. The first to open
// a channel makes it and the last to close removes it, unless [Hub.Create] made
// it. The subscriber receives every message whose Send begins after Open has
// returned. Open does not wait for other subscribers, however slow; if they hold
// up the channel and its inbox is full, the new one also receives what is in it.
//
// The error is [ErrClosed], or tells which option is wrong.
func (h *Hub) Open(name string, o *SubscriberOptions) (*Subscriber, error) {
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, errNoName
	}
	r := <-h.names
	if r.closed {
		h.names <- r
		return nil, ErrClosed
	}
	c := r.channels[name]
	if c == nil {
		standard, _ := (*ChannelOptions)(nil).withDefaults()
		c = startChannel(h, name, standard)
		r.channels[name] = c
	}
	c.open++
	c.opened++
	if opts.Name == "" {
		opts.Name = fmt.Sprintf("%s/%d", name, c.opened)
	}
	h.names <- r

	s := newSubscriber(c, opts)
	if !c.tell(&op{kind: opJoin, sub: s, filters: s.filters.Load()}) {
		return nil, ErrClosed // the hub's Close came in between and ends c
	}
	c.joined.Add(1)
	return s, nil
}

// release gives back what Open counted, and ends c if nobody needs it.
func (h *Hub) release(c *channel) {
	r := <-h.names
	c.open--
	last := c.open == 0 && !c.standing && r.channels[c.name] == c
	if last {
		delete(r.channels, c.name)
		r.ending[c] = true
	}
	h.names <- r
	if last {
		c.end()
		<-c.done
		r = <-h.names
		delete(r.ending, c)
		h.names <- r
	}
}

// Channels describes the channels in use, sorted by name.
func (h *Hub) Channels() []ChannelInfo {
	r := <-h.names
	infos := make([]ChannelInfo, 0, len(r.channels))
	for c := range maps.Values(r.channels) {
		infos = append(infos, ChannelInfo{
			Name:        c.name,
			Subscribers: int(c.joined.Load()),
			Messages:    c.messages.Load(),
			Standing:    c.standing,
		})
	}
	h.names <- r
	slices.SortFunc(infos, func(a, b ChannelInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos
}

// FreeName returns a channel name that is not in use: "channel-0",
// "channel-1" and so on.
func (h *Hub) FreeName() string {
	r := <-h.names
	defer func() { h.names <- r }()
	for i := 0; ; i++ {
		name := fmt.Sprintf("channel-%d", i)
		if r.channels[name] == nil {
			return name
		}
	}
}

// Close ends the hub, its channels and their subscribers. Every blocked call
// returns [ErrClosed]. Messages that a channel has accepted are forwarded, and
// subscribers can still receive what they have; then they too get ErrClosed.
//
// Close returns when the last goroutine of the hub has ended. It may be called
// more than once, from any goroutine, and always returns nil. The one thing it
// may have to wait for is a reader of [Subscriber.C], until that has what is
// queued or has taken nothing for a second.
func (h *Hub) Close() error {
	r := <-h.names
	first, channels, ending := !r.closed, r.channels, slices.Collect(maps.Keys(r.ending))
	r.closed, r.channels = true, nil
	h.names <- r
	if !first {
		<-h.done
		return nil
	}
	for _, c := range channels {
		c.end()
	}
	for _, c := range channels {
		<-c.done
	}
	for _, c := range ending {
		<-c.done
	}
	close(h.done)
	return nil
}
