package main

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/canhub-go/canhub/hub"
)

// A generator makes frames. All of them are valid, and the same options and
// seed give the same ones.
type generator struct {
	id, length, data string // r: random, i: increment, otherwise fixed
	flags            hub.Flags
	mix              bool // all kinds, at random
	seed             uint64

	rng        *rand.Rand
	n          uint64 // frames made
	fixedID    uint32
	fixedLen   uint8
	fixedData  []byte
	paddedData [64]byte
}

const (
	largestStd = 1<<11 - 1
	largestExt = 1<<29 - 1
)

// lengths are those that a CAN FD frame can have; a classic one has the first 9.
var lengths = [16]uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64}

// prepare checks the options and makes the generator ready for next.
func (g *generator) prepare() error {
	g.rng = rand.New(rand.NewPCG(g.seed, 0))
	switch kinds := g.flags & (hub.FDF | hub.BRS | hub.ESI | hub.Remote | hub.Extended); {
	case g.mix && kinds != 0:
		return usagef("--mix has frames of all kinds: want no other kind beside it")
	case kinds&hub.Remote != 0 && kinds&(hub.FDF|hub.BRS|hub.ESI) != 0:
		return usagef("--remote: CAN FD has no remote frames")
	case kinds&(hub.BRS|hub.ESI) != 0:
		g.flags |= hub.FDF
	}
	if err := g.prepareID(); err != nil {
		return err
	}
	if err := g.prepareData(); err != nil {
		return err
	}
	return g.prepareLength()
}

func isFixed(mode string) bool { return mode != "r" && mode != "i" }

func (g *generator) prepareID() error {
	if !isFixed(g.id) {
		return nil
	}
	n, err := strconv.ParseUint(g.id, 16, 32)
	if err != nil || n > largestExt || len(g.id) > 8 {
		return usagef("--id %q: want r, i, or an identifier in hexadecimal, up to 1FFFFFFF", g.id)
	}
	if len(g.id) == 8 {
		g.flags |= hub.Extended
	}
	if n > largestStd && g.flags&hub.Extended == 0 {
		return usagef("--id %q: above 7FF it takes eight digits or --extended", g.id)
	}
	g.fixedID = uint32(n)
	return nil
}

func (g *generator) prepareData() error {
	if !isFixed(g.data) {
		return nil
	}
	b, err := hex.DecodeString(g.data)
	if err != nil || len(b) > len(g.paddedData) {
		return usagef("--data %q: want r, i, or up to 64 bytes of two hexadecimal digits each", g.data)
	}
	g.fixedData = b
	copy(g.paddedData[:], b)
	if g.length == "" { // as long as the data
		i, _ := slices.BinarySearch(lengths[:], uint8(len(b)))
		if lengths[i] > g.longest() {
			return usagef("--data of %d bytes: classic frames have up to 8; more takes --fd, less --length", len(b))
		}
		g.length = strconv.Itoa(int(lengths[i]))
	}
	return nil
}

func (g *generator) prepareLength() error {
	if g.length == "" {
		g.length = "r"
	}
	if !isFixed(g.length) {
		return nil
	}
	n, err := strconv.ParseUint(g.length, 10, 8)
	_, exists := slices.BinarySearch(lengths[:], uint8(n))
	switch longest := g.longest(); {
	case err != nil || !exists:
		return usagef("--length %q: want r, i, or a number of bytes: 0 to 8, of CAN FD also 12, 16, 20, 24, 32, 48 or 64", g.length)
	case uint8(n) > longest:
		return usagef("--length %d: classic frames have up to 8 bytes; more takes --fd", n)
	}
	g.fixedLen = uint8(n)
	return nil
}

// longest is the length that a frame can have.
func (g *generator) longest() uint8 {
	if g.mix || g.flags&hub.FDF != 0 {
		return 64
	}
	return 8
}

// next makes a frame.
func (g *generator) next() hub.Message {
	m := hub.Message{Flags: g.flags}
	if g.mix {
		m.Flags |= g.anyKind()
	}
	m.ID = g.nextID(m.Flags)
	m.Len = g.nextLength(m.Flags)
	if m.Flags&hub.Remote == 0 {
		g.fill(m.Data[:m.Len])
	}
	g.n++
	return m
}

func (g *generator) anyKind() (f hub.Flags) {
	if !isFixed(g.id) && g.rng.IntN(2) == 0 {
		f = hub.Extended
	}
	switch g.rng.IntN(3) {
	case 0:
		f |= hub.FDF | hub.Flags(g.rng.IntN(4))*hub.BRS // none, BRS, ESI or both
	case 1:
		if g.rng.IntN(2) == 0 {
			f |= hub.Remote
		}
	}
	return f
}

func (g *generator) nextID(f hub.Flags) uint32 {
	largest := uint32(largestStd)
	if f&hub.Extended != 0 {
		largest = largestExt
	}
	switch g.id {
	case "r":
		return g.rng.Uint32() & largest
	case "i":
		return uint32(g.n) & largest
	default:
		return g.fixedID
	}
}

func (g *generator) nextLength(f hub.Flags) uint8 {
	legal := lengths[:9]
	if f&hub.FDF != 0 {
		legal = lengths[:]
	}
	switch g.length {
	case "r":
		return legal[g.rng.IntN(len(legal))]
	case "i":
		return legal[g.n%uint64(len(legal))]
	default:
		return min(g.fixedLen, legal[len(legal)-1]) // a mix has classic frames too
	}
}

func (g *generator) fill(data []byte) {
	switch g.data {
	case "r":
		for i := range data {
			data[i] = byte(g.rng.Uint32())
		}
	case "i":
		var count [8]byte
		binary.LittleEndian.PutUint64(count[:], g.n)
		copy(data, count[:])
	default:
		copy(data, g.paddedData[:])
	}
}
