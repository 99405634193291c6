//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

var errNoNamespaces = errors.New("network namespaces are a thing of Linux")

func isolate(*exec.Cmd) error { return errNoNamespaces }

func loopbackMulticast() error { return errNoNamespaces }
