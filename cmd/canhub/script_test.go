package main

import (
	"os"
	"testing"

	"github.com/canhub-go/canhub/internal/netns"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	netns.Setup()
	testscript.Main(m, map[string]func(){"canhub": main})
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
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			if race := os.Getenv("GORACE"); race != "" {
				env.Setenv("GORACE", race)
			}
			return nil
		},
	})
}
