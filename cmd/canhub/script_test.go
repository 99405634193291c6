package main

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/canhub-go/canhub/internal/netns"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	netns.Setup()
	testscript.Main(leakless{m}, map[string]func(){"canhub": main})
}

// leakless are tests of which no goroutine is left.
type leakless struct{ *testing.M }

func (l leakless) Run() int {
	code := l.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestScripts(t *testing.T) { runScripts(t, "testdata/script") }

// TestNetworkScripts runs those that send multicast.
func TestNetworkScripts(t *testing.T) {
	if netns.Isolated(t) {
		runScripts(t, "testdata/network")
	}
}

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:  dir,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"listening": waitUntilListening},
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", cmp.Or(os.Getenv("GORACE"), "atexit_sleep_ms=0")) // the race detector waits a second
			return nil
		},
	})
}

// waitUntilListening is the command "listening ADDRESS", which waits until somebody does.
func waitUntilListening(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: listening ADDRESS")
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", args[0])
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v", err)
		}
	}
}
