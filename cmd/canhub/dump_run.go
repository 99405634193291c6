package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/transport/multicast"
	"github.com/canhub-go/canhub/transport/remote"
	"github.com/canhub-go/canhub/transport/virtualcan"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

const (
	showAfter = 20 * time.Millisecond // so long a frame may wait in a buffer to be shown
	saveAfter = time.Second           // and so long to be in a file
)

// A dumping is what the command dump has to do.
type dumping struct {
	selection selection
	count     uint64        // 0: no end
	duration  time.Duration // 0: no end
	idle      time.Duration // 0: no end
	out       frameSink     // may be nil
	files     []*dumpLog
	errs      io.Writer
	tallies   []tally // of the buses; run makes them
}

// A frameSink is one form in which frames are shown.
type frameSink interface {
	frame(bus *namedBus, m hub.Message) error
	flush() error
}

// A tally counts the messages of a bus.
type tally struct {
	received uint64 // counted by the bus's receiver, to be read when that has ended
	shown    uint64 // counted by run, as the next
	unread   unread
}

// An arrival is a message, or why there is none.
type arrival struct {
	from int
	m    hub.Message
	err  error
}

// run shows what the buses receive until ctx is done, all buses have ended or one
// of the limits is reached: then it returns nil. It closes nothing.
func (d *dumping) run(ctx context.Context, buses []*namedBus) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	in := make(chan arrival, 256) // closed when all receivers have ended
	var receivers sync.WaitGroup
	for _, b := range buses {
		d.tallies = append(d.tallies, tally{unread: unread{log: b.name, errs: d.errs}})
	}
	for i, b := range buses {
		receivers.Go(func() { d.receive(ctx, b, i, in) })
	}
	go func() { // run waits for it below
		receivers.Wait()
		close(in)
	}()
	err := d.show(ctx, buses, in)
	stop()
	for range in {
	}
	if d.out != nil {
		if ferr := d.out.flush(); err == nil {
			err = ferr // otherwise it may be the same again
		}
	}
	return err
}

// receive hands on what b receives, until it ends or ctx is done.
func (d *dumping) receive(ctx context.Context, b *namedBus, from int, in chan<- arrival) {
	for {
		m, err := b.Recv(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, hub.ErrClosed):
			return
		case err == nil:
			d.tallies[from].received++
			if !d.selection.match(m) {
				continue
			}
		}
		select {
		case in <- arrival{from, m, err}:
		case <-ctx.Done():
			return
		}
		if err != nil && !isEntry(err) {
			return
		}
	}
}

func (d *dumping) show(ctx context.Context, buses []*namedBus, in <-chan arrival) error {
	after := func(t time.Duration) <-chan time.Time {
		if t == 0 {
			return nil
		}
		return time.After(t)
	}
	end := after(d.duration)
	silence := stopped()
	if d.idle > 0 {
		silence.Reset(d.idle)
	}
	defer silence.Stop()
	show, save := stopped(), stopped() // run while something is buffered
	defer show.Stop()
	defer save.Stop()
	var showing, saving bool

	for shown := uint64(0); ; {
		select {
		case a, ok := <-in:
			switch {
			case !ok:
				return nil
			case a.err != nil && isEntry(a.err):
				d.tallies[a.from].unread.add(a.err)
				continue
			case a.err != nil:
				return fmt.Errorf("%s: %w", buses[a.from].name, a.err)
			}
			if err := d.frame(buses[a.from], a.m); err != nil {
				return err
			}
			d.tallies[a.from].shown++
			if shown++; shown == d.count {
				return nil
			}
			if d.idle > 0 {
				silence.Reset(d.idle)
			}
			if d.out != nil && !showing {
				show.Reset(showAfter)
				showing = true
			}
			if d.files != nil && !saving {
				save.Reset(saveAfter)
				saving = true
			}
		case <-show.C:
			showing = false
			if err := d.out.flush(); err != nil {
				return err
			}
		case <-save.C:
			saving = false
			for _, f := range d.files {
				if err := f.flush(); err != nil {
					return err
				}
			}
		case <-silence.C:
			return nil
		case <-end:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// stopped returns a timer that does not run.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func (d *dumping) frame(bus *namedBus, m hub.Message) error {
	if d.out != nil {
		if err := d.out.frame(bus, m); err != nil {
			return err
		}
	}
	for _, f := range d.files {
		if err := f.frame(bus, m); err != nil {
			return err
		}
	}
	return nil
}

// report tells what came from each bus, after run.
func (d *dumping) report(buses []*namedBus) {
	for i, b := range buses {
		t := d.tallies[i]
		fmt.Fprintf(d.errs, "canhub: %s: %d received", b.name, t.received)
		if t.shown != t.received {
			what := "shown"
			if d.out == nil {
				what = "recorded"
			}
			fmt.Fprintf(d.errs, ", %d of them %s", t.shown, what)
		}
		switch bus := b.Bus.(type) {
		case interface{ Stats() multicast.Stats }:
			s := bus.Stats()
			fmt.Fprintf(d.errs, ", %d dropped by the system", s.Dropped)
			d.reportMalformed(s.Malformed, "datagram")
		case interface{ Stats() hub.Stats }:
			fmt.Fprintf(d.errs, ", %d dropped", bus.Stats().Dropped)
		case interface{ Stats() remote.Stats }:
			d.reportMalformed(bus.Stats().Malformed, "message")
		case interface{ Stats() virtualcan.Stats }:
			d.reportMalformed(bus.Stats().Malformed, "packet")
		case interface{ Stats() zeromcan.Stats }:
			d.reportMalformed(bus.Stats().Malformed, "publication")
		}
		fmt.Fprintln(d.errs)
	}
}

func (d *dumping) reportMalformed(n uint64, what string) {
	if n > 0 {
		fmt.Fprintf(d.errs, ", %s malformed", number(n, what))
	}
}

// failure returns an error that counts what is missing in files or could not be
// read, or nil. It is for after run.
func (d *dumping) failure() error {
	var errs []error
	for _, f := range d.files {
		if f.refused > 0 {
			errs = append(errs, fmt.Errorf("%s: %s left out: the format cannot hold them", f.path, number(f.refused, "frame")))
		}
	}
	for i := range d.tallies {
		errs = append(errs, d.tallies[i].unread.failure())
	}
	return errors.Join(errs...)
}
