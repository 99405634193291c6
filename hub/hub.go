package hub

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// A Hub holds named CAN channels. Hubs know nothing of each other: a channel
// "can0" of one has nothing to do with that of another. All methods may be
// called from any goroutine.
type Hub struct{ registry *registry }

// New returns a hub without channels. [Hub.Close] ends it; a hub that has no
// channels needs no closing.
func New(o *Options) *Hub {
	log := slog.New(slog.DiscardHandler)
	if o != nil && o.Logger != nil {
		log = o.Logger
	}
	return &Hub{newRegistry(log)}
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
	return h.registry.create(name, opts)
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
	c, number, err := h.registry.enter(name)
	if err != nil {
		return nil, err
	}
	if opts.Name == "" {
		opts.Name = fmt.Sprintf("%s/%d", name, number)
	}
	s := newSubscriber(c, h.registry, opts)
	if !c.ask(&request{kind: askJoin, member: &s.member, filters: s.filters.Load()}) {
		return nil, ErrClosed // the hub's Close came in between and ends c
	}
	c.joined.Add(1)
	return s, nil
}

// Channels describes the channels in use, sorted by name.
func (h *Hub) Channels() []ChannelInfo {
	infos := h.registry.infos()
	slices.SortFunc(infos, func(a, b ChannelInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos
}

// FreeName returns a channel name that is not in use: "channel-0",
// "channel-1" and so on.
func (h *Hub) FreeName() string {
	for i := 0; ; i++ {
		if name := fmt.Sprintf("channel-%d", i); !h.registry.has(name) {
			return name
		}
	}
}

// Close ends the hub, its channels and their subscribers. Every blocked call
// returns [ErrClosed]. Messages that a channel has accepted are delivered, and
// subscribers can still receive what they have; then they too get ErrClosed.
//
// Close returns when the last goroutine of the hub has ended. It may be called
// more than once, from any goroutine, and always returns nil. The one thing it
// may have to wait for is a reader of [Subscriber.C] or [Subscriber.Batches], until
// that has what is queued, or has taken nothing for 100 milliseconds, or since Close
// has taken something but then nothing for a second.
func (h *Hub) Close() error {
	h.registry.close()
	return nil
}
