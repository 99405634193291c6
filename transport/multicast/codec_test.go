package multicast_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/transport/multicast"
)

func encode(t testing.TB, m hub.Message) []byte {
	t.Helper()
	b, err := multicast.AppendMessage(nil, &m)
	if err != nil {
		t.Fatalf("%v: %v", m, err)
	}
	return b
}

func decode(b []byte) (hub.Message, error) {
	var m hub.Message
	err := multicast.Decode(&m, b)
	return m, err
}

func TestInvalidMessagesAreNotEncoded(t *testing.T) {
	long := hub.Std(1)
	long.Len = 9
	for _, m := range []hub.Message{hub.Std(0x800), hub.Ext(1 << 29), long, {Flags: hub.BRS}} {
		b, err := multicast.AppendMessage([]byte("x"), &m)
		if !errors.Is(err, hub.ErrInvalid) || string(b) != "x" {
			t.Errorf("%v: %q, %v, want nothing appended and hub.ErrInvalid", m, b, err)
		}
	}
}

// Python takes identifiers of more than 11 bits only as extended ones.
func TestErrorFrameOfManyClassesIsSentAsExtended(t *testing.T) {
	m := hub.Message{ID: 0x10080, Flags: hub.Error, Len: 8}
	plain := encode(t, m)
	m.Flags |= hub.Extended
	if extended := encode(t, m); !bytes.Equal(plain, extended) {
		t.Errorf("with and without Extended: %x and %x, want the same", extended, plain)
	}
}

func TestOwnAndSeqAreNotSent(t *testing.T) {
	m := hub.Std(0x123, 1)
	want := encode(t, m)
	m.Flags |= hub.Own
	m.Seq = 7
	if got := encode(t, m); !bytes.Equal(got, want) {
		t.Errorf("encoded %x, want %x", got, want)
	}
}

// It is no bytes to Python either; one with keys is an error.
func TestEmptyMapIsNoData(t *testing.T) {
	if m, err := decode([]byte("\x81\xa4data\x80")); err != nil || !m.Equal(hub.Ext(0)) {
		t.Errorf("data of an empty map: %v, %v, want %v", m, err, hub.Ext(0))
	}
	if m, err := decode([]byte("\x81\xa4data\x81\xa1a\x01")); err == nil {
		t.Errorf("data of a map with a key: %v, want an error", m)
	}
}

func TestTruncatedAtAnyByteIsAnError(t *testing.T) {
	for _, v := range goodVectors(t) {
		wire := golden.Hex(t, v.Wire)
		for n := range wire {
			if m, err := decode(wire[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes decoded as %v", v.Name, n, len(wire), m)
			}
		}
	}
}

// Python's decoder follows 1024 maps and arrays into each other.
func TestNestingIsLimitedAsInPython(t *testing.T) {
	in := func(depth int) []byte {
		return []byte("\x81\xa7channel" + strings.Repeat("\x91", depth-1) + "\xc0")
	}
	if _, err := decode(in(1024)); err != nil {
		t.Errorf("1024 levels: %v", err)
	}
	if _, err := decode(in(1025)); err == nil {
		t.Error("1025 levels are accepted")
	}
	bad := []byte("\x81\xa7channel\x91\x81\x01\xc0")
	if _, err := decode(bad); err == nil {
		t.Error("a map within the map has an integer for a key and is accepted")
	}
}

// Whatever a datagram claims: it needs no more memory than an error value.
func TestClaimsCostNoMemory(t *testing.T) {
	for _, b := range []string{
		"\xdf\xff\xff\xff\xff",
		"\x81\xa4data\xc6\xff\xff\xff\xff",
		"\x81\xa4data\xdd\xff\xff\xff\xff",
		"\x81\xa4data\xcf\x7f\xff\xff\xff\xff\xff\xff\xff",
		"\x81\xa7channel\xdf\xff\xff\xff\xff",
		"\x81\xa7channel\xdb\xff\xff\xff\xff",
		"\x81\xa7channel\xc9\xff\xff\xff\xff\x01",
		"\xdb\xff\xff\xff\xff",
	} {
		const times = 100
		datagram := []byte(b)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			if _, err := decode(datagram); err == nil {
				t.Errorf("%x is accepted", b)
			}
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / times; n > 1024 {
			t.Errorf("%x: %d bytes allocated", b, n)
		}
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	m := hub.FD(0x18FEF100, make([]byte, 64)...)
	wire := encode(t, m)
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := multicast.AppendMessage(buf, &m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("encoding allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := multicast.Decode(&m, wire); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("decoding allocates %v times", n)
	}
}

func TestTimesThatNoTimestampHoldsAreZero(t *testing.T) {
	for _, f := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1), 1e10, 1e300, 9223372036.9} {
		b := fmt.Appendf(nil, "\x81\xa9timestamp\xcb")
		for i := 7; i >= 0; i-- {
			b = append(b, byte(math.Float64bits(f)>>(8*i)))
		}
		m, err := decode(b)
		if err != nil || m.Timestamp != 0 {
			t.Errorf("%v s: Timestamp %d, %v, want 0", f, m.Timestamp, err)
		}
	}
}

func TestErrorsNameWhatIsWrong(t *testing.T) {
	for b, want := range map[string]string{
		"\x81\xa3foo\xc0":               `unknown key "foo"`,
		"\x81\xa3dlc\x09":               "dlc 9, want 0 to 8",
		"\x81\xa3dlc\x02":               "dlc 2, but 0 bytes of data",
		"\x81\xaearbitration_id\xff":    "arbitration_id -0x1 is out of range",
		"\x81\xaearbitration_id\xa1a":   "arbitration_id is not a whole number",
		"\x81\xa4data\x91\xcd\x01\x00":  "256 in data is not a byte",
		"\x81\xa4data\xa1a":             "data is neither",
		"\x80\x80":                      "bytes behind the map",
		"\xc0":                          "not a msgpack map",
		"\x81\xc0\xc0":                  "a key is not a string",
		strings.Repeat("\x80", 4097):    "longer than 4096 bytes",
		"\x81\xa4data\xcd\xff\xff":      "more than 64 bytes",
		"\x81\xa7channel\xc1":           "",
		"\x81\xaeis_remote_frame\xa1":   "",
		"\x82\xa5is_fd\xc3\xa3dlc\xd0A": "dlc 65, want 0 to 64",
	} {
		if _, err := decode([]byte(b)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want an error with %q", b, err, want)
		}
	}
}

// FuzzDecode: no datagram makes the decoder panic, and a message that comes out
// and is valid comes out again when it is sent on.
func FuzzDecode(f *testing.F) {
	for _, v := range append(goodVectors(f), malformedVectors(f)...) {
		f.Add(golden.Hex(f, v.Wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			return
		}
		if m.Flags&hub.Remote != 0 && m.Data != [64]byte{} {
			t.Fatalf("a remote frame with data: %v", m)
		}
		again, err := multicast.AppendMessage(nil, &m)
		if err != nil {
			if m.Validate() == nil {
				t.Fatalf("%v is valid, but: %v", m, err)
			}
			return
		}
		back, err := decode(again)
		if err != nil || back != m {
			t.Fatalf("%x\nis  %+v\nsent as %x\nand %+v, %v", b, m, again, back, err)
		}
	})
}
