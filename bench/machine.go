package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// cpuModel returns what the system calls the processor.
func cpuModel() string {
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	if out, err := exec.Command("sysctl", "-n", "machdep.cpu.brand_string").Output(); err == nil {
		return strings.TrimSpace(string(out))
	}
	return "unknown processor (" + runtime.GOARCH + ")"
}

// osName returns the system and its version.
func osName() string {
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		return runtime.GOOS + " " + strings.TrimSpace(string(b))
	}
	return runtime.GOOS
}

// commit returns the revision that was measured. What a run itself writes is no
// change.
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	rev := strings.TrimSpace(string(out))
	out, err = exec.Command("git", "status", "--porcelain", "--", ":/", ":!/bench/RESULTS.md", ":!/bench/results.svg").Output()
	if err != nil || len(out) > 0 {
		rev += "+changes"
	}
	return rev
}
