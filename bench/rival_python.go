package main

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

//go:embed pythoncan_virtual.py
var pythonScript string

// pythonCan needs an interpreter that can import can.
func pythonCan(python string) *contender {
	return &contender{
		name:  "python-can virtual",
		kind:  library,
		about: "python-can's virtual interface in a Python process of its own, one thread for each subscriber and messages of 64 data bytes. Its queues have no bound, so nothing is lost and nobody waits. Only fan-out to 1, 8 and 64",
		cannot: func(j *job) string {
			if j.publishers != 1 || j.filtered || j.selects || j.subscribers > 64 {
				return "only plain fan-out to 1, 8 and 64 is measured"
			}
			return ""
		},
		measure: func(j *job, d time.Duration) (o outcome, err error) {
			if err := importable(python, "can"); err != nil {
				return o, err
			}
			ctx, cancel := context.WithTimeout(background, time.Minute)
			defer cancel()
			var stderr strings.Builder
			cmd := exec.CommandContext(ctx, python, "-", fmt.Sprint(j.subscribers), fmt.Sprint(d.Seconds()))
			cmd.Stdin, cmd.Stderr = strings.NewReader(pythonScript), &stderr
			out, err := cmd.Output()
			if err != nil {
				return o, fmt.Errorf("python: %w: %s", err, strings.TrimSpace(stderr.String()))
			}
			var delivered, seconds float64
			if _, err := fmt.Sscan(string(out), &delivered, &seconds); err != nil {
				return o, fmt.Errorf("python: %q: %w", out, err)
			}
			o.rate = delivered / seconds
			return o, nil
		},
	}
}

// importable says whether the interpreter has modules.
func importable(python, modules string) error {
	ctx, cancel := context.WithTimeout(background, time.Minute)
	defer cancel()
	if err := exec.CommandContext(ctx, python, "-c", "import "+modules).Run(); err != nil {
		return fmt.Errorf("%w: python cannot import %s (see -python)", errUnavailable, modules)
	}
	return nil
}
