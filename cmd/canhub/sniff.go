package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/gdamore/tcell/v3"
	"github.com/spf13/cobra"
)

func (a *app) sniff() *cobra.Command {
	var filters []string
	cmd := &cobra.Command{
		Use:   "sniff BUS...",
		Short: "Watch the identifiers of buses in a live table",
		Long: `Sniff fills the screen with a table that has a row for each identifier of each
bus: how many messages came, how long ago the last one, the smoothed period and
jitter in ms, flags (E error, R remote, F FD, B bit rate switch, S error passive
sender), length, data. Bytes that changed in the last second are lit. A message
of another length or kind begins its row anew, with its count.

Keys:
  q, ESC, Ctrl-C    quit
  space             pause the display; messages are counted on
  s, S              sort by the next of id, count, period, last change; S: by the one before
  n, N              mute the bits that have changed so far; N: none
  c                 clear the table
  arrows, PgUp, PgDn, Home, End
  ?                 these keys in the bottom line`,
		Example: `  canhub sniff multicast:
  canhub sniff -f 100:700 multicast:               identifiers 100 to 1FF
  canhub sniff 'log:drive.log?loop=forever'
  canhub sniff front=multicast://239.74.163.2 rear=multicast://239.74.163.3`,
		Args:              someArgs(1, -1),
		ValidArgsFunction: completeBus,
		RunE: func(cmd *cobra.Command, args []string) error {
			selected, err := parseSelection("--filter", filters)
			if err != nil {
				return err
			}
			return a.runSniff(cmd.Context(), args, &selected)
		},
	}
	cmd.Flags().StringArrayVarP(&filters, "filter", "f", nil, "show only what matches `FILTER`: "+filterForms)
	return cmd
}

func (a *app) runSniff(ctx context.Context, args []string, selected *selection) error {
	if !canDraw(a.out) {
		return errors.New("sniff: the output is no terminal to draw on; canhub dump shows messages line by line")
	}
	// What would be said on the screen is said when it is gone, up to a limit.
	var said lateText
	quiet := &app{a.in, a.out, &said}
	defer func() { a.err.Write(said.text.Bytes()) }()
	buses, err := quiet.openAll(ctx, args)
	if err != nil {
		return err
	}
	screen, err := tcell.NewScreen()
	if err == nil {
		err = screen.Init()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("sniff: terminal: %w", err), closeAll(buses))
	}

	s := newSniffer(screen, names(buses))
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	failed := make(chan error, len(buses))
	for i, b := range buses {
		wg.Go(func() {
			err := s.receive(ctx, i, b, selected, &said)
			failed <- err
		})
	}
	errs := []error{s.run(ctx)}
	screen.Fini()
	cancel()
	wg.Wait()
	for range buses {
		errs = append(errs, <-failed)
	}
	return errors.Join(append(errs, closeAll(buses))...)
}

// receive fills the table until ctx is done or the bus ends. It returns why the
// bus failed, if it did. A log goes on behind lines that are no messages.
func (s *sniffer) receive(ctx context.Context, i int, b *namedBus, selected *selection, errs io.Writer) error {
	unread := unread{log: b.name, errs: errs}
	defer s.ended.add(b.name)
	for {
		m, err := b.Recv(ctx)
		switch {
		case err == nil:
			if selected.match(m) {
				s.table.add(time.Now(), i, &m)
			}
		case ctx.Err() != nil || errors.Is(err, hub.ErrClosed):
			return unread.failure()
		case isEntry(err):
			unread.add(err)
		default:
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
}

// A lateText keeps what is written until it is needed, up to a limit.
type lateText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lateText) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len()+len(b) <= 64<<10 {
		l.text.Write(b)
	}
	return len(b), nil
}
