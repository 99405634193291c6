package hub_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/canhub-go/canhub/hub"
)

func TestConstructorsMakeTheFrameTheyName(t *testing.T) {
	with := func(m hub.Message, f hub.Flags) hub.Message {
		m.Flags |= f
		return m
	}
	tests := []struct {
		name string
		got  hub.Message
		want hub.Message
	}{
		{"zero", hub.Message{}, hub.Std(0)},
		{"Std", hub.Std(0x7FF, 1, 2), hub.Message{ID: 0x7FF, Len: 2, Data: [64]byte{1, 2}}},
		{"Std, no data", hub.Std(1), hub.Message{ID: 1}},
		{"Ext", hub.Ext(0x1FFFFFFF, 3), hub.Message{ID: 0x1FFFFFFF, Flags: hub.Extended, Len: 1, Data: [64]byte{3}}},
		{"Ext, small identifier", hub.Ext(1), hub.Message{ID: 1, Flags: hub.Extended}},
		{"RTR", hub.RTR(0x7FF, 8), hub.Message{ID: 0x7FF, Flags: hub.Remote, Len: 8}},
		{"RTR, large identifier", hub.RTR(0x800, 0), hub.Message{ID: 0x800, Flags: hub.Remote | hub.Extended}},
		{"FD", hub.FD(0x7FF, 4), hub.Message{ID: 0x7FF, Flags: hub.FDF, Len: 1, Data: [64]byte{4}}},
		{"FD, large identifier", hub.FD(0x800, 4), hub.Message{ID: 0x800, Flags: hub.FDF | hub.Extended, Len: 1, Data: [64]byte{4}}},
		{"FD, flags added", with(hub.FD(1), hub.BRS|hub.ESI), hub.Message{ID: 1, Flags: hub.FDF | hub.BRS | hub.ESI}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("got %#v, want %#v", tt.got, tt.want)
			}
			if err := tt.got.Validate(); err != nil {
				t.Errorf("Validate: %v", err)
			}
		})
	}
}

func TestConstructorsCopyTheData(t *testing.T) {
	data := []byte{1, 2, 3}
	m := hub.Std(1, data...)
	data[0] = 99
	if m.Data[0] != 1 {
		t.Errorf("the message changed with the caller's slice: %v", m)
	}
}

// What does not fit must stay recognisable: a constructor that cut silently
// would send something else than it was given.
func TestConstructorsDoNotHideDataThatIsTooLong(t *testing.T) {
	for _, n := range []int{9, 64, 65, 255, 256, 264, 320, 1000} {
		data := make([]byte, n)
		for name, m := range map[string]hub.Message{
			"Std": hub.Std(1, data...),
			"Ext": hub.Ext(1, data...),
		} {
			if err := m.Validate(); !errors.Is(err, hub.ErrInvalid) {
				t.Errorf("%s with %d bytes: Validate returned %v, want ErrInvalid", name, n, err)
			}
		}
		m := hub.FD(1, data...)
		if err := m.Validate(); (err == nil) != (n == 64) {
			t.Errorf("FD with %d bytes: Validate returned %v", n, err)
		}
	}
}

func TestValidateNamesTheFieldAndTheValue(t *testing.T) {
	msg := func(id uint32, f hub.Flags, n uint8) hub.Message {
		return hub.Message{ID: id, Flags: f, Len: n}
	}
	withByte := func(m hub.Message, i int) hub.Message {
		m.Data[i] = 0xA5
		return m
	}
	at := func(ns int64) hub.Message {
		m := hub.Std(1)
		m.Timestamp = ns
		return m
	}
	tests := []struct {
		name string
		m    hub.Message
		want []string // nil if the message is valid
	}{
		{"zero", hub.Message{}, nil},
		{"standard, highest", msg(0x7FF, 0, 8), nil},
		{"standard, 12 bits", msg(0x800, 0, 0), []string{"ID", "0x800"}},
		{"standard, 29 bits", msg(0x12345678, 0, 0), []string{"ID", "0x12345678"}},
		{"extended, lowest", msg(0, hub.Extended, 0), nil},
		{"extended, highest", msg(0x1FFFFFFF, hub.Extended, 8), nil},
		{"extended, 30 bits", msg(0x20000000, hub.Extended, 0), []string{"ID", "0x20000000"}},
		{"extended, 32 bits", msg(0xFFFFFFFF, hub.Extended, 0), []string{"ID", "0xffffffff"}},
		{"classic, 8 bytes", msg(1, 0, 8), nil},
		{"classic, 9 bytes", msg(1, 0, 9), []string{"Len", "9"}},
		{"classic, 64 bytes", msg(1, 0, 64), []string{"Len", "64"}},
		{"classic, 255 bytes", msg(1, 0, 255), []string{"Len", "255"}},
		{"extended classic, 9 bytes", msg(1, hub.Extended, 9), []string{"Len", "9"}},

		{"remote, highest", msg(0x7FF, hub.Remote, 8), nil},
		{"remote, extended", msg(0x800, hub.Remote|hub.Extended, 0), nil},
		{"remote, 12 bits", msg(0x800, hub.Remote, 0), []string{"ID", "0x800"}},
		{"remote, 9 bytes", msg(1, hub.Remote, 9), []string{"Len", "9"}},
		{"remote with data", withByte(msg(1, hub.Remote, 1), 0), []string{"Data", "a5"}},
		{"remote with data beyond its length", withByte(msg(1, hub.Remote, 0), 7), []string{"Data", "a5"}},
		{"remote with data beyond 8 bytes", withByte(msg(1, hub.Remote, 8), 63), []string{"Data", "a5"}},
		{"remote FD", msg(1, hub.Remote|hub.FDF, 0), []string{"Flags", "Remote|FDF"}},

		{"FD, standard", msg(0x7FF, hub.FDF, 0), nil},
		{"FD, 12 bits", msg(0x800, hub.FDF, 0), []string{"ID", "0x800"}},
		{"FD, extended", msg(0x1FFFFFFF, hub.FDF|hub.Extended, 64), nil},
		{"FD, 30 bits", msg(0x20000000, hub.FDF|hub.Extended, 0), []string{"ID", "0x20000000"}},
		{"BRS", msg(1, hub.FDF|hub.BRS, 12), nil},
		{"ESI", msg(1, hub.FDF|hub.ESI, 12), nil},
		{"BRS and ESI", msg(1, hub.FDF|hub.BRS|hub.ESI, 12), nil},
		{"BRS without FDF", msg(1, hub.BRS, 0), []string{"Flags", "BRS"}},
		{"ESI without FDF", msg(1, hub.ESI, 0), []string{"Flags", "ESI"}},
		{"remote with BRS", msg(1, hub.Remote|hub.BRS, 0), []string{"Flags", "Remote|BRS"}},

		{"error, all classes", msg(0x1FFFFFFF, hub.Error, 8), nil},
		{"error, no class", msg(0, hub.Error, 0), nil},
		{"error, extended", msg(0x80, hub.Error|hub.Extended, 8), nil},
		{"error, 30 bits", msg(0x20000080, hub.Error, 8), []string{"ID", "0x20000080"}},
		{"error, extended, 30 bits", msg(0x20000080, hub.Error|hub.Extended, 8), []string{"ID", "0x20000080"}},
		{"error, 9 bytes", msg(4, hub.Error, 9), []string{"Len", "9"}},
		{"error and remote", msg(4, hub.Error|hub.Remote, 0), []string{"Flags", "Remote|Error"}},
		{"error and FDF", msg(4, hub.Error|hub.FDF, 8), []string{"Flags", "Error|FDF"}},
		{"error and BRS", msg(4, hub.Error|hub.BRS, 8), []string{"Flags", "Error|BRS"}},

		{"Own", msg(1, hub.Own, 8), nil},
		{"Own, 12 bits", msg(0x800, hub.Own, 8), []string{"ID", "0x800"}},
		{"unknown flag", msg(1, 0x80, 0), []string{"Flags", "0x80"}},
		{"unknown flag with known ones", msg(1, 0x80|hub.FDF|hub.Extended, 0), []string{"Flags", "Extended|FDF|0x80"}},

		{"time 1970", at(0), nil},
		{"time, latest", at(math.MaxInt64), nil},
		{"time before 1970", at(-1), []string{"Timestamp", "-1"}},
		{"time, earliest", at(math.MinInt64), []string{"Timestamp", "-9223372036854775808"}},
	}
	// Every length of a CAN FD frame.
	exists := map[int]bool{12: true, 16: true, 20: true, 24: true, 32: true, 48: true, 64: true}
	for n := range 256 {
		var want []string
		if n > 8 && !exists[n] {
			want = []string{"Len", fmt.Sprint(n)}
		}
		for _, f := range []hub.Flags{hub.FDF, hub.FDF | hub.BRS | hub.Extended} {
			tests = append(tests, struct {
				name string
				m    hub.Message
				want []string
			}{fmt.Sprintf("%v, %d bytes", f, n), msg(1, f, uint8(n)), want})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.m.Validate()
			if tt.want == nil {
				if err != nil {
					t.Errorf("Validate(%#v) = %v, want nil", tt.m, err)
				}
				return
			}
			if !errors.Is(err, hub.ErrInvalid) {
				t.Fatalf("Validate = %v, want an error that matches ErrInvalid", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Validate = %q, want %q in it", err, want)
				}
			}
		})
	}
}

// validByTheBook is the rule of ISO 11898-1 and linux/can.h once more, put
// together kind by kind where Validate excludes step by step.
func validByTheBook(m hub.Message) bool {
	const modifiers = hub.Extended | hub.Own
	width := 11
	if m.Flags&hub.Extended != 0 {
		width = 29
	}
	length := int(m.Len)
	switch m.Flags &^ modifiers {
	case 0: // classic data
		if length > 8 {
			return false
		}
	case hub.Remote:
		if length > 8 {
			return false
		}
		for _, b := range m.Data {
			if b != 0 {
				return false
			}
		}
	case hub.Error:
		width = 29
		if length > 8 {
			return false
		}
	case hub.FDF, hub.FDF | hub.BRS, hub.FDF | hub.ESI, hub.FDF | hub.BRS | hub.ESI:
		switch length {
		case 0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64:
		default:
			return false
		}
	default:
		return false
	}
	return m.ID>>width == 0 && m.Timestamp >= 0
}

// randomMessage returns a message that is about as often valid as not.
func randomMessage(r *rand.Rand) hub.Message {
	pick := func(n int) bool { return r.IntN(n) == 0 }
	m := hub.Message{ID: r.Uint32(), Len: uint8(r.IntN(9)), Timestamp: r.Int64(), Seq: r.Uint64()}
	m.ID >>= []int{0, 2, 3, 3, 21, 21, 21, 31}[r.IntN(8)]
	if m.ID > 0x7FF != pick(10) {
		m.Flags |= hub.Extended
	}
	switch r.IntN(6) {
	case 0:
		m.Flags |= hub.Remote
	case 1:
		m.Flags |= hub.Error
	case 2, 3:
		m.Flags |= hub.FDF | hub.Flags(r.IntN(4))*hub.BRS
		if pick(2) {
			m.Len = []uint8{12, 16, 20, 24, 32, 48, 64}[r.IntN(7)]
		}
	}
	if pick(8) {
		m.Flags ^= 1 << r.IntN(8)
	}
	if pick(16) {
		m.Len = uint8(r.UintN(256))
	}
	if pick(16) {
		m.Timestamp = -m.Timestamp
	}
	if m.Flags&hub.Remote == 0 || pick(4) {
		for i := range min(int(m.Len), 64) {
			m.Data[i] = byte(r.Uint32())
		}
	}
	return m
}

// Parity 47: the check accepts exactly the valid messages, and nothing that
// shows or compares a message fails for any.
func TestValidateAcceptsExactlyTheValidMessages(t *testing.T) {
	r := rand.New(rand.NewPCG(47, 2000))
	const n = 20_000
	valid := 0
	for range n {
		m := randomMessage(r)
		err := m.Validate()
		if want := validByTheBook(m); (err == nil) != want {
			t.Fatalf("Validate(%#v) = %v, want valid: %t", m, err, want)
		}
		if err == nil {
			valid++
		}

		copied := m
		if !copied.Equal(m) || copied != m {
			t.Fatalf("a copy of %#v is not equal to it", m)
		}
		_, _, _ = m.LogValue(), m.DLC(), m.Time()
		if len(m.Bytes()) > 64 || m.String() == "" {
			t.Fatalf("%#v: %d bytes, shown as %q", m, len(m.Bytes()), m)
		}
		if _, err := json.Marshal(m); err != nil {
			t.Fatalf("Marshal(%#v): %v", m, err)
		}
	}
	if valid < n/4 || valid > 3*n/4 {
		t.Errorf("%d of %d random messages were valid: that tests one side only", valid, n)
	}
}

func TestDLCIsTheCodeOfTheLength(t *testing.T) {
	codes := map[uint8]uint8{9: 12, 10: 16, 11: 20, 12: 24, 13: 32, 14: 48, 15: 64}
	for code := range uint8(16) {
		length := code
		if code > 8 {
			length = codes[code]
		}
		if got := (hub.Message{Flags: hub.FDF, Len: length}).DLC(); got != code {
			t.Errorf("DLC of %d bytes = %d, want %d", length, got, code)
		}
	}
	// A length in between has the code of the next one, and nothing panics.
	want := uint8(0)
	for length := range 256 {
		if want < 15 {
			limit := want
			if want > 8 {
				limit = codes[want]
			}
			if length > int(limit) {
				want++
			}
		}
		if got := (hub.Message{Len: uint8(length)}).DLC(); got != want {
			t.Errorf("DLC of %d bytes = %d, want %d", length, got, want)
		}
	}
}

func TestEqualComparesTheFrameAlone(t *testing.T) {
	base := hub.Ext(0x123, 1, 2, 3)
	tests := []struct {
		name   string
		change func(m *hub.Message)
		want   bool
	}{
		{"nothing", func(m *hub.Message) {}, true},
		{"time", func(m *hub.Message) { m.Timestamp++ }, true},
		{"number", func(m *hub.Message) { m.Seq++ }, true},
		{"own", func(m *hub.Message) { m.Flags |= hub.Own }, true},
		{"tag", func(m *hub.Message) { m.Tag++ }, true},
		{"bytes beyond the length", func(m *hub.Message) { m.Data[3] = 1 }, true},
		{"identifier", func(m *hub.Message) { m.ID++ }, false},
		{"extended", func(m *hub.Message) { m.Flags &^= hub.Extended }, false},
		{"error", func(m *hub.Message) { m.Flags |= hub.Error }, false},
		{"FD", func(m *hub.Message) { m.Flags |= hub.FDF }, false},
		{"length", func(m *hub.Message) { m.Len++ }, false},
		{"shorter", func(m *hub.Message) { m.Len-- }, false},
		{"last byte", func(m *hub.Message) { m.Data[2]++ }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := base
			tt.change(&o)
			if base.Equal(o) != tt.want || o.Equal(base) != tt.want {
				t.Errorf("Equal(%v, %v) = %t and %t, want %t", base, o, base.Equal(o), o.Equal(base), tt.want)
			}
		})
	}
	if hub.RTR(1, 2).Equal(hub.RTR(1, 3)) {
		t.Error("remote frames that ask for 2 and for 3 bytes are equal")
	}
}

func TestBytesIsTheMessagesOwnData(t *testing.T) {
	m := hub.Std(1, 1, 2, 3)
	if got := m.Bytes(); string(got) != "\x01\x02\x03" {
		t.Fatalf("Bytes = %x, want 010203", got)
	}
	m.Bytes()[1] = 9
	if m.Data[1] != 9 {
		t.Error("writing to Bytes did not change the message")
	}
	remote := hub.RTR(1, 8)
	if got := remote.Bytes(); len(got) != 0 {
		t.Errorf("Bytes of a remote frame = %x, want nothing", got)
	}
	broken := hub.Message{Len: 255}
	if got := len(broken.Bytes()); got != 64 {
		t.Errorf("Bytes of a message with Len 255 has %d bytes, want 64", got)
	}
}

func TestTimeIsExactToTheNanosecond(t *testing.T) {
	want := time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.UTC)
	m := hub.Message{Timestamp: want.UnixNano()}
	if got := m.Time(); !got.Equal(want) {
		t.Errorf("Time = %v, want %v", got, want)
	}
}

func TestFlagsStringListsTheFlags(t *testing.T) {
	tests := map[hub.Flags]string{
		0:                                "0",
		hub.Extended:                     "Extended",
		hub.Remote | hub.Extended:        "Extended|Remote",
		hub.FDF | hub.BRS | hub.ESI:      "FDF|BRS|ESI",
		hub.Error | hub.Own:              "Error|Own",
		0x80:                             "0x80",
		hub.Extended | hub.Flags(1<<7):   "Extended|0x80",
		hub.Flags(0x7F):                  "Extended|Remote|Error|FDF|BRS|ESI|Own",
		hub.FDF | hub.Own | hub.Extended: "Extended|FDF|Own",
	}
	for f, want := range tests {
		if got := f.String(); got != want {
			t.Errorf("Flags(%#x).String() = %q, want %q", uint8(f), got, want)
		}
	}
}

// The promise that nobody can change another's copy, and that the garbage
// collector has nothing to scan, is one about the type.
func TestMessageIsAPlainValueOf96Bytes(t *testing.T) {
	typ := reflect.TypeFor[hub.Message]()
	if got := unsafe.Sizeof(hub.Message{}); got != 96 {
		t.Errorf("a Message has %d bytes, want 96", got)
	}
	if !typ.Comparable() {
		t.Error("a Message is not comparable")
	}
	if path := findPointer(typ, "Message"); path != "" {
		t.Errorf("%s is a pointer", path)
	}
	seen := map[hub.Message]bool{hub.Std(1, 2): true}
	if !seen[hub.Std(1, 2)] {
		t.Error("a Message is not found as the key of a map")
	}
}

// findPointer returns the path of the first thing in typ that holds a pointer.
func findPointer(typ reflect.Type, path string) string {
	switch typ.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return ""
	case reflect.Array:
		return findPointer(typ.Elem(), path+"[]")
	case reflect.Struct:
		for i := range typ.NumField() {
			f := typ.Field(i)
			if found := findPointer(f.Type, path+"."+f.Name); found != "" {
				return found
			}
		}
		return ""
	}
	return path
}

func TestLookingAtAMessageAllocatesNothing(t *testing.T) {
	messages := []hub.Message{hub.Std(1, 2, 3), hub.Ext(1), hub.RTR(1, 8), hub.FD(1, make([]byte, 64)...)}
	buf := make([]byte, 0, 256)
	var sink int
	tests := map[string]func(m *hub.Message){
		"Validate": func(m *hub.Message) {
			if m.Validate() != nil {
				sink++
			}
		},
		"Equal": func(m *hub.Message) {
			if m.Equal(messages[0]) {
				sink++
			}
		},
		"Bytes":      func(m *hub.Message) { sink += len(m.Bytes()) },
		"DLC":        func(m *hub.Message) { sink += int(m.DLC()) },
		"Time":       func(m *hub.Message) { sink += m.Time().Nanosecond() },
		"AppendText": func(m *hub.Message) { b, _ := m.AppendText(buf); sink += len(b) },
	}
	for name, look := range tests {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() {
				for i := range messages {
					look(&messages[i])
				}
			}); n != 0 {
				t.Errorf("%v allocations, want 0", n)
			}
		})
	}
}

// Senders write into slabs that hold many messages, so on average a message
// costs no allocation of its own.
func TestSendAndRecvAllocateNothingOfTheirOwn(t *testing.T) {
	h := hub.New(nil)
	defer h.Close()
	tx, rx := attach(t, h, "can0", nil), attach(t, h, "can0", nil)
	ctx := context.Background()
	m := hub.Std(0x123, 1, 2, 3, 4, 5, 6, 7, 8)
	if n := testing.AllocsPerRun(5000, func() {
		if err := tx.Send(ctx, m); err != nil {
			t.Fatal(err)
		}
		if _, err := rx.Recv(ctx); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for each message, want 0", n)
	}
}
