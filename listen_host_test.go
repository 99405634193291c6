package canhub

import "testing"

func TestListenIsOnLoopbackAndThePortOfTheProtocolByDefault(t *testing.T) {
	for host, want := range map[string]string{
		"":            "127.0.0.1:5555",
		":":           "127.0.0.1:5555",
		":0":          "127.0.0.1:0",
		"localhost":   "localhost:5555",
		"localhost:":  "localhost:5555",
		"localhost:7": "localhost:7",
		"0.0.0.0":     "0.0.0.0:5555",
		"::1":         "[::1]:5555",
		"[::1]":       "[::1]:5555",
		"[::1]:":      "[::1]:5555",
		"[::]:7":      "[::]:7",
	} {
		if got := (&address{host: host}).hostPort("5555"); got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
	}
}
