package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

// 0 is good, 1 failed work, 2 a wrong command line.
func TestExitCodesOfTheFrameCommands(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drive.log")
	w, err := canlog.Create(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(canlog.Entry{Channel: "can0", Message: hub.Std(0x123)})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	drive := "drive=log:" + filepath.ToSlash(path)
	for _, tt := range []struct {
		args string
		code int
	}{
		{"dump BUS", 0},
		{"dump -h", 0},
		{"dump nothing:", 1},
		{"dump -w /no/such/file.log BUS", 1},
		{"dump", 2},
		{"dump --nope BUS", 2},
		{"dump -f xyz BUS", 2},
		{"dump --idle x BUS", 2},
		{"send BUS 123#", 1},
		{"send BUS -", 1},
		{"send BUS", 2},
		{"send BUS 123#0", 2},
		{"send nothing: 123#0", 2},
		{"gen BUS", 1},
		{"gen", 2},
		{"gen -L 9 BUS", 2},
	} {
		var out, errs bytes.Buffer
		args := strings.Fields(strings.ReplaceAll(tt.args, "BUS", drive))
		a := &app{in: strings.NewReader("123#\n"), out: &out, err: &errs}
		if got := run(args, a); got != tt.code {
			t.Errorf("canhub %s: code %d, want %d: %s", tt.args, got, tt.code, errs.String())
		}
		if said := errs.Len() > 0; said != (tt.code != 0) {
			t.Errorf("canhub %s: on stderr: %q", tt.args, errs.String())
		}
	}
}
