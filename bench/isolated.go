package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// Multicast is sent only in a network namespace made for it. So a copy of this
// program runs there, told by the environment what to do, and writes what came
// of it to its standard output.

// isolatedEnv is the job of such a copy, in words.
const isolatedEnv = "CANHUB_BENCH_ISOLATED"

// noNetwork is its exit code where there is no multicast to be had.
const noNetwork = 3

// A flood is what came of messages that nothing holds back.
type flood struct {
	Sent     uint64
	Received uint64 // by all receivers together
	Dropped  uint64 // what the receivers know to be lost
	Disorder uint64 // messages that came too late or twice
	Seconds  float64
}

// isolatedJobs are what a copy can do, by the first word. It is given the others.
var isolatedJobs = map[string]func(args []string) (flood, error){
	"einride": einrideJob,
	"bus":     busJob,
	"bare":    datagramJob,
	"paced":   pacedJob,
	"overrun": overrunJob,
	"python":  pythonJob,
}

// isolated has a copy of this program do a job. The error is errUnavailable
// where it cannot have a network of its own, or what the job needs is missing.
func isolated(words ...string) (r flood, err error) {
	exe, err := os.Executable()
	if err != nil {
		return r, err
	}
	line, err := json.Marshal(words)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(background, time.Minute) // none takes a tenth of that
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), isolatedEnv+"="+string(line))
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second // what it has started may outlive it
	if err := isolate(cmd); err != nil {
		return r, fmt.Errorf("%w: %w", errUnavailable, err)
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	switch {
	case err != nil && ctx.Err() != nil:
		return r, fmt.Errorf("%v: not done after a minute: %s", words[0], strings.TrimSpace(stderr.String()))
	case errors.As(err, &exit) && exit.ExitCode() != noNetwork:
		return r, fmt.Errorf("%v: %w: %s", words[0], err, strings.TrimSpace(stderr.String()))
	case exit != nil:
		return r, fmt.Errorf("%w: no multicast in a network namespace: %s", errUnavailable, strings.TrimSpace(stderr.String()))
	case err != nil:
		if inner := errors.Unwrap(err); inner != nil {
			err = inner // without the path of this program
		}
		return r, fmt.Errorf("%w: no network namespace can be made here: %w", errUnavailable, err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("%v: %q: %w", words[0], out, err)
	}
	if r.Received == 0 {
		return r, fmt.Errorf("%v: nothing of %d messages arrived", words[0], r.Sent)
	}
	if r.Disorder > 0 {
		return r, fmt.Errorf("%v: %d messages out of order", words[0], r.Disorder)
	}
	return r, nil
}

// isolatedMain is main of the copy. It returns the exit code.
func isolatedMain(line string) int {
	fail := func(code int, err error) int {
		fmt.Fprintln(os.Stderr, err)
		return code
	}
	var words []string
	if err := json.Unmarshal([]byte(line), &words); err != nil {
		return fail(1, err)
	}
	if err := loopbackMulticast(); err != nil {
		return fail(noNetwork, err)
	}
	r, err := isolatedJobs[words[0]](words[1:])
	if err != nil {
		return fail(1, err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return fail(1, err)
	}
	return 0
}
