package hub

import (
	"fmt"
	"log/slog"
)

// A registry has the channels of a hub by their names.
type registry struct {
	log *slog.Logger

	// box holds the names whenever nobody has them in hand: take them out, look or
	// change, put them back, and never wait for anything in between.
	box  chan names
	done chan struct{} // closed by the first close, when everything has ended
}

type names struct {
	channels map[string]*channel
	ending   map[*channel]bool // that nobody uses any more, until they are done
	closed   bool
}

func newRegistry(log *slog.Logger) *registry {
	r := &registry{log: log, box: make(chan names, 1), done: make(chan struct{})}
	r.box <- names{channels: make(map[string]*channel), ending: make(map[*channel]bool)}
	return r
}

// create makes a channel that stands without users.
func (r *registry) create(name string, o ChannelOptions) error {
	n := <-r.box
	defer func() { r.box <- n }()
	if n.closed {
		return ErrClosed
	}
	if n.channels[name] != nil {
		return fmt.Errorf("hub: channel %q exists already", name)
	}
	c := startChannel(name, o, r.log)
	c.standing = true
	n.channels[name] = c
	return nil
}

// has reports whether there is a channel called name.
func (r *registry) has(name string) bool {
	n := <-r.box
	defer func() { r.box <- n }()
	return n.channels[name] != nil
}

// infos describes the channels, in no order.
func (r *registry) infos() []ChannelInfo {
	n := <-r.box
	defer func() { r.box <- n }()
	infos := make([]ChannelInfo, 0, len(n.channels))
	for _, c := range n.channels {
		infos = append(infos, ChannelInfo{
			Name:        c.name,
			Subscribers: int(c.joined.Load()),
			Messages:    c.messages.Load(),
			Standing:    c.standing,
		})
	}
	return infos
}

// enter returns the channel called name for one more user, its running number, and
// makes the channel if there is none. Who has entered must leave.
func (r *registry) enter(name string) (c *channel, number int, err error) {
	n := <-r.box
	defer func() { r.box <- n }()
	if n.closed {
		return nil, 0, ErrClosed
	}
	c = n.channels[name]
	if c == nil {
		standard, _ := (*ChannelOptions)(nil).withDefaults()
		c = startChannel(name, standard, r.log)
		n.channels[name] = c
	}
	c.users++
	c.opened++
	return c, c.opened, nil
}

// leave gives back what enter has counted, and ends c if nobody needs it.
func (r *registry) leave(c *channel) {
	n := <-r.box
	c.users--
	last := c.users == 0 && !c.standing && n.channels[c.name] == c
	if last {
		delete(n.channels, c.name)
		n.ending[c] = true
	}
	r.box <- n
	if last {
		c.end()
		<-c.done
		n = <-r.box
		delete(n.ending, c)
		r.box <- n
	}
}

// close ends all channels and waits for them.
func (r *registry) close() {
	n := <-r.box
	first, channels, ending := !n.closed, n.channels, n.ending
	n.closed, n.channels = true, nil
	waitFor := make([]*channel, 0, len(channels)+len(ending))
	for c := range ending {
		waitFor = append(waitFor, c)
	}
	r.box <- n
	if !first {
		<-r.done
		return
	}
	for _, c := range channels {
		c.end()
		waitFor = append(waitFor, c)
	}
	for _, c := range waitFor {
		<-c.done
	}
	close(r.done)
}
