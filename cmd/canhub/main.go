// Command canhub is the terminal's end of canhub: it shows, sends, generates,
// plays, records, measures and connects the traffic of CAN buses. "canhub -h"
// lists what it can do, "canhub COMMAND -h" how, with examples.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// An app is what the commands have in common.
type app struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	// A pipe that nobody reads any more is an error of the write, not the end of
	// the process: files are completed first, and terminals made what they were.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(os.Args[1:], &app{os.Stdin, os.Stdout, os.Stderr}))
}

// run returns the exit code: 0, 1 if the work failed, 2 if it was asked for in a
// wrong way. An interrupt is the regular end of work that has no other.
func run(args []string, a *app) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err = unlessDone(ctx, err); err == nil {
		return 0
	}
	for line := range strings.SplitSeq(plainText(err), "\n") { // of errors that were joined
		fmt.Fprintf(a.err, "canhub: %s\n", line)
	}
	if _, usage := errors.AsType[usageError](err); usage {
		fmt.Fprintf(a.err, "Try: %s -h\n", cmd.CommandPath())
		return 2
	}
	return 1
}

// unlessDone returns err without what only tells that ctx is done: who works until
// an interrupt has then done so.
func unlessDone(ctx context.Context, err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var rest []error
		for _, err := range joined.Unwrap() {
			rest = append(rest, unlessDone(ctx, err))
		}
		return errors.Join(rest...)
	}
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// A usageError tells that the command line is wrong.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "canhub",
		Short: "The virtual CAN bus, in the terminal",
		Long: `canhub works with CAN buses that need no hardware, and with logs of real ones.

Commands take a bus as a URL; "canhub urls" explains them:

  canhub demo --multicast                    a car to try things on
  canhub dump multicast:                     what is on the bus
  canhub send multicast: 123#DEADBEEF        put a frame on it
  canhub convert drive.blf drive.log         one log format to another

The exit code is 0; 1 if something failed, or if entries of a log could not be
read or written; 2 if the command line is wrong. An interrupt (Ctrl-C) is the
regular end of what has no other.`,
		Version:       version(),
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		a.bridge(),
		a.convert(),
		a.demo(),
		a.dump(),
		a.gen(),
		a.load(),
		a.play(),
		a.send(),
		a.serve(),
		a.sniff(),
		a.urls(),
	)
	for _, c := range root.Commands() {
		if strings.Contains(c.Use, "BUS") {
			c.Long += "\n\nA BUS is a URL; \"canhub urls\" explains them."
		}
	}
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Tell how a command is used",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("help: there is no command %q", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	})
	return root
}

// version returns the module's, as "go install" or a build from a checkout has
// stamped it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// noArgs is for a command without arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && cmd.HasSubCommands() {
		what := fmt.Sprintf("unknown command %q", args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			what += fmt.Sprintf(", did you mean %q?", near[0])
		}
		return usagef("%s", what)
	}
	if len(args) > 0 {
		return usagef("%s takes no arguments, got %q", cmd.Name(), args[0])
	}
	return nil
}

// someArgs is for a command with from least to most arguments; most may be -1.
func someArgs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			_, want, _ := strings.Cut(cmd.Use, " ")
			return usagef("%s: want %s", cmd.Name(), want)
		}
		return nil
	}
}

// wantPositive checks numbers and times of the command line: their 0 stands for a
// flag that is not there.
func wantPositive(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		f := cmd.Flags().Lookup(name)
		if text := f.Value.String(); f.Changed && (text == "0" || text == "0s" || text[0] == '-') {
			return usagef("--%s %s: want more than 0", name, text)
		}
	}
	return nil
}
