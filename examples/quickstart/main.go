// Quickstart plays a log of CAN traffic into a hub, shows live what three nodes
// there see of it, and proves at the end that nothing was lost.
//
//	go run ./examples/quickstart [-speed N] [file.log]
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

const usage = `Usage: quickstart [-speed N] [file.log]

Plays a candump log into a hub, each channel of the log on the hub's channel of
that name; without a file, ten seconds of a small car that are built in. Shows
live what two nodes on the first channel see, and at the end a table of all.

  -speed N  N times as fast as recorded, 0.001 to 1000; 0 is as fast as
            possible (default 1)

Ctrl-C ends it early, with the table. Lines that are no frames are told on
stderr and skipped. Exit code: 0, 1 if a frame was lost or the log cannot be
read, 2 for wrong arguments.

Example, with a recording of your own:

  candump -L can0 > my.log
  go run ./examples/quickstart -speed 10 my.log
`

//go:embed drive.log
var builtIn []byte

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	complain := log.New(stderr, "quickstart: ", 0)
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	speed := flags.Float64("speed", 1, "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err == nil && flags.NArg() > 1:
		err = fmt.Errorf("want one log at most, behind the flags, not %q", flags.Args())
	case err == nil && *speed != 0 && !(*speed >= 0.001 && *speed <= 1000):
		err = fmt.Errorf("-speed %v: want 0, or 0.001 to 1000", *speed)
	}
	if err != nil {
		complain.Printf("%v (-h helps)", err)
		return 2
	}

	file := canlog.NewReader(bytes.NewReader(builtIn), "drive.log")
	if flags.NArg() == 1 {
		if file, err = canlog.Open(flags.Arg(0)); err != nil {
			complain.Print(err)
			return 1
		}
	}
	defer file.Close()

	// Several nodes print: the logger keeps their lines whole.
	l := listeners{hub: hub.New(nil), live: log.New(stdout, "", 0), ownCar: flags.NArg() == 0}
	err = play(ctx, file, *speed, &l, complain)
	l.hub.Close() // what was sent is still delivered and received
	l.Wait()
	if ctx.Err() != nil {
		err = nil // Ctrl-C is no error
	}
	lost, perr := l.report(stdout)
	if err = errors.Join(err, perr); err != nil {
		complain.Print(err)
	}
	if lost || err != nil {
		return 1
	}
	return 0
}

// play sends the frames of a log at the times that it gives them.
func play(ctx context.Context, file *canlog.Reader, speed float64, l *listeners, complain *log.Logger) error {
	senders := make(map[string]*hub.Subscriber) // by channel
	var begin time.Time                         // of playing
	var first int64                             // when the first frame was recorded
	badLines := 0
	for e, err := range file.Entries() {
		if bad := (*canlog.LineError)(nil); errors.As(err, &bad) && ctx.Err() == nil {
			if badLines++; badLines <= 5 {
				complain.Print(bad)
			}
			continue
		} else if err != nil {
			return err
		}
		sender := senders[e.Channel]
		if sender == nil {
			if begin.IsZero() {
				begin, first = time.Now(), e.Message.Timestamp
			}
			if sender, err = l.join(ctx, e); err != nil {
				return err
			}
			senders[e.Channel] = sender
		}
		if speed > 0 {
			// Each frame has its time, counted from the begin: what was late
			// once does not make everything after it late.
			after := min(float64(e.Message.Timestamp-first)/speed, 1<<62)
			select {
			case <-time.After(time.Until(begin.Add(time.Duration(after)))):
			case <-ctx.Done():
			}
		}
		if err := sender.Send(ctx, e.Message); err != nil {
			return err
		}
	}
	if badLines > 0 {
		complain.Printf("%d lines are no frames", badLines)
	}
	if len(senders) == 0 {
		return errors.New("the log has no frames")
	}
	return nil
}
