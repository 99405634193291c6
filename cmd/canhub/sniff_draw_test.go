package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/gdamore/tcell/v3"
	"github.com/gdamore/tcell/v3/vt"
)

// terminalText returns the lines of a terminal, without spaces at their ends.
func terminalText(term vt.MockTerm, width, height int) []string {
	var lines []string
	for y := range height {
		var b strings.Builder
		for x := range width {
			c := term.GetCell(vt.Coord{X: vt.Col(x), Y: vt.Row(y)}).C
			if c == "" {
				c = " "
			}
			b.WriteString(c)
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// drawn returns what a frame looks like on a terminal of that size, and the
// terminal.
func drawn(t *testing.T, f *sniffFrame, width, height int, colors tcell.OptColors) ([]string, vt.MockTerm) {
	t.Helper()
	t.Setenv("LINES", "")
	t.Setenv("COLUMNS", "")
	term := vt.NewMockTerm(vt.MockOptSize{X: vt.Col(width), Y: vt.Row(height)})
	screen, err := tcell.NewTerminfoScreenFromTty(term, colors, tcell.OptAltScreen(false))
	if err == nil {
		err = screen.Init()
	}
	if err != nil {
		t.Fatal(err)
	}
	f.draw(screen)
	screen.Show()
	lines := terminalText(term, width, height)
	t.Cleanup(screen.Fini)
	return lines, term
}

// sampleFrame has rows of all kinds, 2 s after sniffStart.
func sampleFrame(buses ...string) *sniffFrame {
	table := newSniffTable()
	fd := hub.FD(0x18DAF110, []byte("0123456789abcdefghij")...)
	fd.Flags |= hub.BRS
	fill(table,
		stamped(0, hub.Std(0x123, 'H', 'i', 0, 0xFF)), stamped(1500, hub.Std(0x123, 'H', 'o', 0, 0xFF)),
		stamped(0, hub.RTR(0x7FF, 4)),
		stamped(0, hub.Message{ID: 0x088, Flags: hub.Error, Len: 8}),
	)
	if len(buses) > 1 {
		table.add(sniffStart, 1, &fd)
	}
	f := &sniffFrame{status: "status", help: "help", buses: buses, now: sniffStart.Add(2 * time.Second)}
	f.rows, _ = table.view(byID, 0, 10)
	return f
}

func TestSniffDrawsATable(t *testing.T) {
	got, _ := drawn(t, sampleFrame("can0"), 80, 7, 16)
	want := []string{
		"status",
		"   COUNT  AGE s   PERIOD       ID FLAG LN DATA                    ASCII",
		"       2    0.5   1500.0      123       4 48 6F 00 FF             Ho..",
		"       1    2.0               7FF    R  4 remote request",
		"       1    2.0          20000088    E  8 00 00 00 00 00 00 00 00 ........",
		"",
		"help",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSniffDrawsWhatFits(t *testing.T) {
	tests := []struct {
		width int
		want  string // the line of the FD frame
	}{
		{180, "rear         1    2.0                  18DAF110   FB 20 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66 67 68 69 6A 0123456789abcdefghij"},
		{90, "rear         1    2.0                  18DAF110   FB 20 30 31 32 33 34 35 36 37 38 39 61 >"},
		{60, "rear         1          18DAF110 20 30 31 32 33 34 35 36 37>"},
		{40, "rear  18DAF110 30 31 32 33 34 35 36 37 >"},
		{20, "rear  18DAF110 30 >"},
		{10, "re 18DAF11"},
	}
	for _, tt := range tests {
		got, _ := drawn(t, sampleFrame("front", "rear"), tt.width, 10, 16)
		if got[5] != tt.want {
			t.Errorf("%d wide:\n%q, want\n%q", tt.width, got[5], tt.want)
		}
	}
}

func TestSniffDrawsOnTheSmallestScreens(t *testing.T) {
	for _, width := range []int{1, 2, 6, 9, 15, 16, 17} {
		for _, height := range []int{1, 2, 3} {
			drawn(t, sampleFrame("front", "rear"), width, height, 0)
		}
	}
}

func TestSniffLightsBytesThatChanged(t *testing.T) {
	for _, colors := range []tcell.OptColors{0, 16, 256} {
		t.Run(fmt.Sprint(colors), func(t *testing.T) {
			_, term := drawn(t, sampleFrame("can0"), 80, 7, colors)
			cell := func(x int) vt.Cell { return term.GetCell(vt.Coord{X: vt.Col(x), Y: 2}) }
			still, lit := cell(42), cell(45)
			if still.C != "4" || lit.C != "6" {
				t.Fatalf("cells %q and %q, want 4 and 6", still.C, lit.C)
			}
			if lit.S == still.S {
				t.Error("a byte that changed looks like the others")
			}
			f := sampleFrame("can0")
			f.now = f.now.Add(litFor)
			_, term = drawn(t, f, 80, 7, colors)
			if cell(42).S != cell(45).S {
				t.Error("a byte that changed long ago is lit")
			}
		})
	}
}
