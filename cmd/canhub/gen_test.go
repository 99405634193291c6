package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/google/go-cmp/cmp"
)

func made(t *testing.T, g generator, n int) (all []hub.Message) {
	t.Helper()
	if err := g.prepare(); err != nil {
		t.Fatal(err)
	}
	for range n {
		all = append(all, g.next())
	}
	return all
}

// eachGenerator calls f with many combinations of options, of which some are
// refused.
func eachGenerator(f func(generator)) {
	for _, id := range []string{"r", "i", "7FF", "00000123", "1FFFFFFF"} {
		for _, length := range []string{"", "r", "i", "0", "8", "64"} {
			for _, data := range []string{"r", "i", "", "AABB", strings.Repeat("FF", 33)} {
				for flags := hub.Flags(0); flags <= hub.Extended|hub.Remote|hub.FDF|hub.BRS|hub.ESI; flags++ {
					f(generator{id: id, length: length, data: data, flags: flags &^ hub.Error})
				}
				f(generator{id: id, length: length, data: data, mix: true})
			}
		}
	}
}

func TestGeneratedFramesAreValid(t *testing.T) {
	accepted := 0
	eachGenerator(func(g generator) {
		if g.prepare() != nil {
			return
		}
		accepted++
		for i := range 40 {
			m := g.next()
			if err := m.Validate(); err != nil {
				t.Fatalf("%+v: frame %d: %v", g, i, err)
			}
			if !g.mix && m.Flags != g.flags {
				t.Fatalf("%+v: frame %d: %v", g, i, m.Flags)
			}
		}
	})
	if accepted < 500 {
		t.Errorf("only %d generators were accepted", accepted)
	}
}

func TestGeneratorFollowsItsSeed(t *testing.T) {
	eachGenerator(func(g generator) {
		if check := g; check.prepare() != nil {
			return
		}
		if diff := cmp.Diff(made(t, g, 5), made(t, g, 5)); diff != "" {
			t.Fatalf("%+v: %s", g, diff)
		}
	})
	random := generator{id: "r", data: "r", mix: true}
	other := random
	other.seed = 1
	if cmp.Equal(made(t, random, 5), made(t, other, 5)) {
		t.Error("another seed makes the same frames")
	}
}

func TestMixHasAllKinds(t *testing.T) {
	got := map[hub.Flags]bool{}
	for _, m := range made(t, generator{id: "r", data: "r", mix: true}, 1000) {
		got[m.Flags] = true
	}
	want := map[hub.Flags]bool{}
	for _, width := range []hub.Flags{0, hub.Extended} {
		for _, kind := range []hub.Flags{0, hub.Remote, hub.FDF, hub.FDF | hub.BRS, hub.FDF | hub.ESI, hub.FDF | hub.BRS | hub.ESI} {
			want[width|kind] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRandomLengthsAreAllThereAre(t *testing.T) {
	for _, length := range []string{"r", "i"} {
		got := map[uint8]bool{}
		for _, m := range made(t, generator{id: "r", length: length, data: "r", flags: hub.FDF}, 1000) {
			got[m.Len] = true
		}
		for _, n := range lengths {
			if !got[n] {
				t.Errorf("--length %s: no frame of %d bytes", length, n)
			}
		}
	}
}

func TestGeneratorModes(t *testing.T) {
	for _, tt := range []struct {
		name string
		g    generator
		want string
	}{
		{"increment", generator{id: "i", length: "i", data: "i"}, "000# 001#01 002#0200 003#030000"},
		{"increment fixed length", generator{id: "123", length: "8", data: "i"}, "123#0000000000000000 123#0100000000000000 123#0200000000000000 123#0300000000000000"},
		{"fixed data has its length", generator{id: "123", data: "AABBCC"}, "123#AABBCC 123#AABBCC 123#AABBCC 123#AABBCC"},
		{"shorter", generator{id: "123", length: "2", data: "AABBCC"}, "123#AABB 123#AABB 123#AABB 123#AABB"},
		{"longer", generator{id: "123", length: "4", data: "AABBCC"}, "123#AABBCC00 123#AABBCC00 123#AABBCC00 123#AABBCC00"},
		{"no data", generator{id: "123", data: ""}, "123# 123# 123# 123#"},
		{"eight digits", generator{id: "00000123", data: "11"}, "00000123#11 00000123#11 00000123#11 00000123#11"},
		{"extended", generator{id: "i", data: "11", flags: hub.Extended}, "00000000#11 00000001#11 00000002#11 00000003#11"},
		{"fd", generator{id: "1", data: "112233445566778899", flags: hub.BRS},
			strings.TrimSuffix(strings.Repeat("001##1112233445566778899000000 ", 4), " ")},
		{"remote", generator{id: "1", length: "i", data: "r", flags: hub.Remote}, "001#R 001#R1 001#R2 001#R3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, m := range made(t, tt.g, 4) {
				got = append(got, m.String())
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A gap of 1 ms makes a thousand frames a second, to the frame.
func TestGenKeepsItsRate(t *testing.T) {
	for _, burst := range []uint64{1, 10} {
		synctest.Test(t, func(t *testing.T) {
			bus, rx := pair(t)
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second-1)
			defer stop()
			g := generation{generator: generator{id: "r", data: "r"}, gap: time.Millisecond * time.Duration(burst), burst: burst}
			if err := g.prepare(); err != nil {
				t.Fatal(err)
			}
			if err := g.run(ctx, bus); err != context.DeadlineExceeded {
				t.Error(err)
			}
			synctest.Wait()
			if got := rx.Stats().Queued; got != 5000 || g.sent != 5000 {
				t.Errorf("burst %d: %d frames came, %d sent, want 5000", burst, got, g.sent)
			}
		})
	}
}

func TestGenEndsAfterItsCountAndShowsFrames(t *testing.T) {
	bus, rx := pair(t)
	var out bytes.Buffer
	g := generation{generator: generator{id: "i", data: "11"}, burst: 1, count: 3}
	g.show = newDumpLines(&out, []*namedBus{bus})
	if err := g.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := g.run(t.Context(), bus); err != nil {
		t.Fatal(err)
	}
	g.show.flush()
	for id := range uint32(3) {
		if m, err := rx.Recv(t.Context()); err != nil || !m.Equal(hub.Std(id, 0x11)) {
			t.Errorf("got %v, %v", m, err)
		}
	}
	want := "  front  000   [1]  11\n  front  001   [1]  11\n  front  002   [1]  11\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
