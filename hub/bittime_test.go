package hub_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A frameVector is a frame of testdata/frame_bits.json, which explains itself.
type frameVector struct {
	Name     string
	ID       uint32
	Extended bool
	RTR      bool
	FD       bool
	BRS      bool
	ESI      bool
	DLC      int
	DataHex  string           `json:"data_hex"`
	Nominal  int              `json:"nominal_bits"`
	Data     int              `json:"data_bits"`
	Duration map[string]int64 `json:"duration_ns"`
}

// frameVectors returns those that are Messages: these have no classic DLC
// above 8.
func frameVectors(t *testing.T) (names []string, messages []hub.Message, vectors []frameVector) {
	t.Helper()
	text, err := os.ReadFile("testdata/frame_bits.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Frames []frameVector }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Frames {
		if !v.FD && v.DLC > 8 {
			continue
		}
		data, err := hex.DecodeString(v.DataHex)
		if err != nil {
			t.Fatal(err)
		}
		m := hub.Std(v.ID, data...)
		for flag, set := range map[hub.Flags]bool{hub.Extended: v.Extended, hub.Remote: v.RTR, hub.FDF: v.FD, hub.BRS: v.BRS, hub.ESI: v.ESI} {
			if set {
				m.Flags |= flag
			}
		}
		if v.RTR {
			m.Len = uint8(v.DLC)
		}
		if err := m.Validate(); err != nil {
			t.Fatal(v.Name, err)
		}
		names, messages, vectors = append(names, v.Name), append(messages, m), append(vectors, v)
	}
	if len(names) < 80 {
		t.Fatalf("%d vectors, want 80 or more", len(names))
	}
	return names, messages, vectors
}

func TestBitsAreThoseOnTheWire(t *testing.T) {
	names, messages, vectors := frameVectors(t)
	for i, m := range messages {
		nominal, data := m.Bits()
		if v := vectors[i]; nominal != v.Nominal || data != v.Data {
			t.Errorf("%s, %v: %d nominal and %d data bits, want %d and %d", names[i], m, nominal, data, v.Nominal, v.Data)
		}
	}
}

func TestDurationIsThatOfTheBits(t *testing.T) {
	names, messages, vectors := frameVectors(t)
	rates := map[string]hub.Bitrate{
		"500k/2M":   {Nominal: 500_000, Data: 2_000_000},
		"1M/8M":     {Nominal: 1_000_000, Data: 8_000_000},
		"125k/125k": {Nominal: 125_000},
	}
	for i, m := range messages {
		for name, want := range vectors[i].Duration {
			rate, known := rates[name]
			if !known {
				t.Fatalf("bitrate %s is new", name)
			}
			if got := rate.Duration(m); got != time.Duration(want) {
				t.Errorf("%s at %s: %d ns, want %d", names[i], name, got, want)
			}
		}
	}
}

func TestBitsOfErrorFrames(t *testing.T) {
	tests := []struct {
		what string
		id   uint32
		want int
	}{
		{"bus error, protocol", 0x088, 20},
		{"no acknowledge", 0x020, 20},
		{"controller state with counters", 0x204, 0},
		{"bus off", 0x040, 0},
		{"transmit timeout", 0x001, 0},
	}
	for _, tt := range tests {
		m := hub.Message{ID: tt.id, Flags: hub.Error, Len: 8}
		if nominal, data := m.Bits(); nominal != tt.want || data != 0 {
			t.Errorf("%s: %d and %d bits, want %d and 0", tt.what, nominal, data, tt.want)
		}
	}
}

// The bits written out one by one, as the standard tells them.
func TestBitsAgreeWithBitsWrittenOut(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	lengths := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64}
	for range 20_000 {
		n := lengths[r.IntN(len(lengths))]
		m := hub.Message{ID: r.Uint32N(1 << 11), Len: uint8(n)}
		if r.IntN(2) == 0 {
			m.ID, m.Flags = r.Uint32N(1<<29), hub.Extended
		}
		switch {
		case n > 8 || r.IntN(2) == 0:
			m.Flags |= hub.FDF | hub.Flags(r.IntN(4))*hub.BRS
		case r.IntN(4) == 0:
			m.Flags |= hub.Remote
		}
		b := byte(r.Uint32())
		for i := range m.Bytes() {
			if r.IntN(2) == 0 { // long runs are what matters
				b = []byte{0, 0xFF, 0x0F, 0xF0, 0x1F, 0x83, byte(r.Uint32())}[r.IntN(7)]
			}
			m.Data[i] = b
		}
		nominal, data := m.Bits()
		wantNominal, wantData := writtenOut(m)
		if nominal != wantNominal || data != wantData {
			t.Fatalf("%v: %d nominal and %d data bits, want %d and %d", m, nominal, data, wantNominal, wantData)
		}
	}
}

func writtenOut(m hub.Message) (nominal, data int) {
	has := func(f hub.Flags) int {
		if m.Flags&f != 0 {
			return 1
		}
		return 0
	}
	var bits []int
	put := func(v, n int) {
		for i := n - 1; i >= 0; i-- {
			bits = append(bits, v>>i&1)
		}
	}
	put(0, 1)
	if fd := m.Flags&hub.FDF != 0; m.Flags&hub.Extended != 0 {
		put(int(m.ID>>18), 11)
		put(3, 2)
		put(int(m.ID&0x3FFFF), 18)
		put(has(hub.Remote), 1)
		if fd {
			put(1, 1)
		} else {
			put(0, 1)
		}
		put(0, 1)
	} else {
		put(int(m.ID), 11)
		put(has(hub.Remote), 1)
		put(0, 1)
		if fd {
			put(1, 1)
		}
		put(0, 1)
	}
	brs := -1
	if m.Flags&hub.FDF != 0 {
		brs = len(bits)
		put(has(hub.BRS), 1)
		put(has(hub.ESI), 1)
	}
	put(int(m.DLC()), 4)
	for _, b := range m.Bytes() {
		put(int(b), 8)
	}
	if m.Flags&hub.FDF == 0 {
		crc := 0
		for _, b := range bits {
			top := crc >> 14 & 1
			crc = crc << 1 & 0x7FFF
			if top != b {
				crc ^= 0x4599
			}
		}
		put(crc, 15)
	}
	last, run := -1, 0
	fast := 0
	for i, b := range bits {
		n := 1
		if b == last {
			run++
		} else {
			last, run = b, 1
		}
		if run == 5 && (m.Flags&hub.FDF == 0 || i < len(bits)-1) {
			last, run = 1-b, 1
			n = 2
		}
		if m.Flags&hub.BRS != 0 && i > brs {
			fast += n
		} else {
			nominal += n
		}
	}
	const end = 1 + 1 + 7 // ACK slot and delimiter, EOF
	behind := 1           // CRC delimiter
	if m.Flags&hub.FDF != 0 {
		behind += 4 + 17 + 6
		if m.Len > 16 {
			behind += 5
		}
	}
	if m.Flags&hub.BRS == 0 {
		return nominal + behind + end, 0
	}
	return nominal + end, fast + behind
}

func TestTimeIsRoundedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		rate := hub.Bitrate{Nominal: 1 + r.IntN(1_000_000), Data: 1 + r.IntN(8_000_000)}
		if r.IntN(10) == 0 {
			rate = hub.Bitrate{Nominal: 1 + r.IntN(1_000_000_000), Data: 1_000_000_000 - r.IntN(2)}
		}
		nominal, data := r.IntN(1000), r.IntN(1000)
		if r.IntN(2) == 0 {
			nominal, data = r.IntN(1<<20)*rate.Nominal+nominal, r.IntN(1<<20)*rate.Data+data
		}
		exact := new(big.Rat).Add(big.NewRat(int64(nominal), int64(rate.Nominal)), big.NewRat(int64(data), int64(rate.Data)))
		exact.Mul(exact, big.NewRat(2e9, 1)).Add(exact, big.NewRat(1, 1))
		want := new(big.Int).Div(exact.Num(), new(big.Int).Mul(exact.Denom(), big.NewInt(2))).Int64()
		if got := rate.Time(nominal, data); got != time.Duration(want) {
			t.Fatalf("%d and %d bits at %+v: %d ns, want %d", nominal, data, rate, got, want)
		}
	}
}

func TestBitsAndDurationOfAnyMessageDoNotPanic(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 10_000 {
		m := hub.Message{ID: r.Uint32(), Flags: hub.Flags(r.Uint32()), Len: uint8(r.Uint32())}
		hub.Bitrate{Nominal: 1}.Duration(m)
	}
}

func TestParseBitrate(t *testing.T) {
	tests := []struct {
		text string
		want hub.Bitrate
		back string
	}{
		{"500k", hub.Bitrate{Nominal: 500_000}, "500k"},
		{"500k,2M", hub.Bitrate{Nominal: 500_000, Data: 2_000_000}, "500k,2M"},
		{"1M,8M", hub.Bitrate{Nominal: 1_000_000, Data: 8_000_000}, "1M,8M"},
		{"83.333k", hub.Bitrate{Nominal: 83_333}, "83333"},
		{"33.3K", hub.Bitrate{Nominal: 33_300}, "33300"},
		{"0.5M", hub.Bitrate{Nominal: 500_000}, "500k"},
		{"125000", hub.Bitrate{Nominal: 125_000}, "125k"},
		{"1", hub.Bitrate{Nominal: 1}, "1"},
		{"1000M", hub.Bitrate{Nominal: 1_000_000_000}, "1000M"},
		{"1M,1M", hub.Bitrate{Nominal: 1_000_000, Data: 1_000_000}, "1M,1M"},
	}
	for _, tt := range tests {
		got, err := hub.ParseBitrate(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("ParseBitrate(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
		if back := got.String(); back != tt.back {
			t.Errorf("%q: String gives %q, want %q", tt.text, back, tt.back)
		}
	}
	for _, text := range []string{"", "0", "k", "500k,", ",2M", "500k,0", "-5", "+5", "1.5", "500 k", "1e6", "0x10",
		"500m", "1001M", "4294967296", "0.0001k", "1.k", "500k,2M,3M", "½k", "0.0k", "2M,500k"} {
		if got, err := hub.ParseBitrate(text); err == nil {
			t.Errorf("ParseBitrate(%q) = %+v, want an error", text, got)
		}
	}
}

func TestBitsDoNotAllocate(t *testing.T) {
	m := hub.FD(0x123, make([]byte, 64)...)
	rate := hub.Bitrate{Nominal: 500_000, Data: 2_000_000}
	if n := testing.AllocsPerRun(100, func() { rate.Duration(m) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkBits(b *testing.B) {
	fast := hub.FD(0x12345678, make([]byte, 64)...)
	fast.Flags |= hub.BRS
	for _, m := range []hub.Message{hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8), hub.Ext(0x12345678, 1, 2, 3, 4, 5, 6, 7, 8), hub.FD(0x123, 1, 2, 3, 4, 5, 6, 7, 8), fast} {
		b.Run(fmt.Sprintf("%v,len=%d", m.Flags, m.Len), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Bits()
			}
		})
	}
}

func ExampleBitrate_Duration() {
	m := hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8)
	bits, _ := m.Bits()
	rate := hub.Bitrate{Nominal: 500_000}
	fmt.Println(bits, "bits,", rate.Duration(m))

	m = hub.FD(0x123, make([]byte, 64)...)
	m.Flags |= hub.BRS
	nominal, data := m.Bits()
	rate.Data = 2_000_000
	fmt.Println(nominal, "and", data, "bits,", rate.Duration(m))
	// Output:
	// 116 bits, 232µs
	// 26 and 652 bits, 378µs
}
