// Command bench measures the hub beside its rivals, all at the same job:
// publishers send messages, and every subscriber receives every one of them.
// That nothing is lost, doubled or out of order is checked in every run.
//
// Every figure is a ratio within one run, to bare chan fan-outs that ran just
// before and after it, so it means something on a busy machine too.
//
//	go -C bench run .           writes RESULTS.md and results.svg
//	go -C bench run . -check    and fails if a mark is missed
//	go -C bench run . -quick    only shows that everything works; writes nothing
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	if line := os.Getenv(isolatedEnv); line != "" {
		os.Exit(isolatedMain(line))
	}
	if os.Getenv(remoteEnv) != "" {
		if err := remoteMain(); err != nil {
			fmt.Fprintln(os.Stderr, "remote:", err)
			os.Exit(1)
		}
		return
	}
	if kind := os.Getenv(virtualcanEnv); kind != "" {
		if err := virtualcanMain(kind); err != nil {
			fmt.Fprintln(os.Stderr, "virtualcan:", err)
			os.Exit(1)
		}
		return
	}
	if line := os.Getenv(oneRunEnv); line != "" {
		if err := oneRunMain(line); err != nil {
			fmt.Fprintln(os.Stderr, "one run:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "fail if a mark is missed")
	quick := flags.Bool("quick", false, "run everything for a moment, to see that it works, and write nothing")
	only := flags.String("only", "", "comma-separated parts of names of `workloads and contenders`; writes nothing")
	repeats := flags.Int("repeats", 5, "how often everything is measured")
	target := flags.Duration("time", 200*time.Millisecond, "about how long one measurement takes")
	python := flags.String("python", "python3", "an interpreter that can import can, for python-can")
	original := flags.String("virtualcan", "", "the `path` of virtualcan's own server, to measure it too")
	dir := flags.String("dir", ".", "where to write RESULTS.md and results.svg")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *repeats < 1 || *target <= 0 {
		return errors.New("-repeats and -time must be more than 0")
	}

	b := &benchmark{
		harness:     harness{patience: time.Minute, target: *target},
		contenders:  contenders(*python),
		nodes:       nodes(*python),
		workloads:   workloads,
		others:      otherWorkloads,
		repeats:     *repeats,
		channels:    100_000,
		python:      *python,
		virtualcan:  *original,
		remoteCrowd: 1000,
		senders:     10_000,
		runs:        10,
		day:         24 * time.Hour,
		log:         stderr,
	}
	if *quick {
		b.repeats, b.channels, b.day = 1, 1000, 10*time.Minute
		b.remoteCrowd, b.senders, b.runs = 10, 100, 2
		b.target, b.fixed, b.patience = 5*time.Millisecond, 128, 10*time.Second
	}
	if *only != "" {
		if err := b.only(strings.Split(*only, ",")); err != nil {
			return err
		}
	}
	r := b.run()
	if err := errors.Join(r.errs...); err != nil {
		return err
	}
	if *quick {
		fmt.Fprintf(stdout, "everything works (%.1f s)\n", r.took.Seconds())
		return nil
	}
	verdicts := judge(marks(), r)
	if *only == "" {
		md, err := r.report(verdicts, args)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(*dir, "RESULTS.md"), md, 0o666); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(*dir, "results.svg"), r.chart(), 0o666); err != nil {
			return err
		}
	}
	missed := 0
	for _, v := range verdicts {
		switch {
		case !v.measured && (*only != "" || strings.HasSuffix(v.what, originalIfThere)):
		case !v.measured:
			missed++
			fmt.Fprintf(stdout, "not measured: %s\n", v.what)
		case !v.passed:
			missed++
			fmt.Fprintf(stdout, "missed: %s\n", v.String())
		default:
			fmt.Fprintf(stdout, "passed: %s\n", v.String())
		}
	}
	if *check && missed > 0 {
		return fmt.Errorf("%d marks missed", missed)
	}
	return nil
}
