package main

import (
	"context"
	"errors"

	"github.com/canhub-go/canhub/hub"
)

// errPlayed is the end of a log that is played on one side of a bridge.
var errPlayed = errors.New("played to its end")

// A logEnd is a log as the bus of one side of a bridge. It passes over entries
// that cannot be read, and fails with errPlayed at its end.
type logEnd struct {
	hub.Bus
	unread unread
}

func (l *logEnd) Recv(ctx context.Context) (hub.Message, error) {
	for {
		m, err := l.Bus.Recv(ctx)
		switch {
		case err != nil && isEntry(err):
			l.unread.add(err)
			if err := ctx.Err(); err != nil {
				return m, err // a log may have nothing else, for ever
			}
		case errors.Is(err, hub.ErrClosed):
			return m, errPlayed
		default:
			return m, err
		}
	}
}
