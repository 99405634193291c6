package hub_test

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

// The files in testdata were made by running can-utils: cansend.json by giving
// texts to cansend, candump.json by having candump -L show frames, the new one
// of 2026 (v2025.01-81) and the old one of Debian (2020.11.0).

// A vector is one entry of them.
type vector struct {
	Name  string        `json:"name"`
	Text  string        `json:"wire_text"`
	Old   string        `json:"candump_2020_11"` // where it differs from Text
	Frame *golden.Frame `json:"frame"`           // nil if cansend refused the text
}

// message returns the frame; its text has no time.
func (v *vector) message(t testing.TB) hub.Message {
	t.Helper()
	m := v.Frame.Message(t)
	m.Timestamp = 0
	return m
}

// frameText returns the frame of a candump log line.
func frameText(line string) string { return line[strings.LastIndexByte(line, ' ')+1:] }

// stricter lists the texts of cansend.json that cansend takes and Parse
// refuses on purpose, each with the offset of what is wrong.
var stricter = map[string]struct {
	offset int
	reason string
}{
	"rtr_len_9":           {5, "cansend takes a wrong length of a remote frame for 0"},
	"rtr_len_A":           {5, "cansend takes a wrong length of a remote frame for 0"},
	"rtr_len_F":           {5, "cansend takes a wrong length of a remote frame for 0"},
	"rtr_len_16":          {6, "cansend ignores what is behind the length"},
	"rtr_trailing_data":   {6, "cansend ignores what is behind the length"},
	"rtr_trailing_letter": {5, "cansend ignores what is behind the R"},
	"rtr_7_dlc_E":         {6, "cansend ignores a raw DLC that the length does not allow"},
	"fd_len_65":           {6 + 2*64, "cansend cuts CAN FD data off after 64 bytes"},
	"classic_9_bytes":     {4 + 2*8, "cansend cuts data off after 8 bytes"},
	"classic_12_bytes":    {4 + 2*8, "cansend cuts data off after 8 bytes"},
	"classic_64_bytes":    {4 + 2*8, "cansend cuts data off after 8 bytes"},
	"id_5_digits":         {0, "five digits are CAN XL's"},
	"id_std_over_7ff":     {0, "an identifier of three digits has 11 bits"},
	"id_std_over_7ff_fd":  {0, "an identifier of three digits has 11 bits"},
	"id_ext_rtr_bit":      {9, "a remote frame has no data"},
	"id_ext_all_ones":     {9, "a remote frame has no data, and an error frame is not one"},
}

// refusedAt is the offset of what is wrong in the texts that cansend refuses.
var refusedAt = map[string]int{
	"dot_double": 7, "dot_inside_byte": 5, "data7_dlc_B": 18,
	"fd_no_flags": 5, "fd_bad_flag": 5, "fd_odd_nibble": 11, "fd_rtr": 5, "fd_triple_hash": 5,
	"odd_nibbles_1": 5, "odd_nibbles_3": 7, "non_hex_data": 4,
	"space_in_data": 6, "trailing_space": 8, "leading_space": 0, "trailing_newline": 8, "trailing_R": 8,
	"id_1_digit": 0, "id_2_digits": 0, "id_4_digits": 0, "id_6_digits": 0, "id_7_digits": 0, "id_9_digits": 0,
	"id_non_hex": 0, "id_with_0x": 0,
	"no_hash": 3, "empty": 0, "hash_only": 0, "hash_first": 0, "short": 3,
	"xl_like": 0, "xl_in_fd_position": 6, "colon": 3, "unicode": 4,
}

func TestParseReadsWhatCansendSends(t *testing.T) {
	strict, refused := 0, 0
	for _, v := range golden.Load[vector](t, "cansend.json", 127) {
		t.Run(v.Name, func(t *testing.T) {
			m, err := hub.Parse(v.Text)
			exception, isStricter := stricter[v.Name]
			switch {
			case v.Frame == nil:
				refused++
				offset, ok := refusedAt[v.Name]
				if !ok {
					t.Fatalf("no offset is known for %q", v.Text)
				}
				checkRefused(t, v.Text, m, err, offset)
			case isStricter:
				strict++
				checkRefused(t, v.Text, m, err, exception.offset)
			case err != nil:
				t.Fatalf("Parse(%q): %v", v.Text, err)
			default:
				if want := v.message(t); m != want {
					t.Errorf("Parse(%q) = %#v, want %#v", v.Text, m, want)
				}
			}
		})
	}
	if strict != len(stricter) || refused != len(refusedAt) {
		t.Errorf("%d of %d known exceptions and %d of %d known offsets met", strict, len(stricter), refused, len(refusedAt))
	}
}

func checkRefused(t *testing.T, text string, m hub.Message, err error, offset int) {
	t.Helper()
	if err == nil {
		t.Fatalf("Parse(%q) = %v, want an error", text, m)
	}
	var bad *hub.ParseError
	if !errors.As(err, &bad) {
		t.Fatalf("Parse(%q): %T, want a *hub.ParseError", text, err)
	}
	if bad.Offset != offset {
		t.Errorf("Parse(%q): offset %d, want %d (%v)", text, bad.Offset, offset, err)
	}
	if bad.Text != text {
		t.Errorf("Parse(%q): the error has the text %q", text, bad.Text)
	}
	if bad.Reason == "" || !strings.Contains(err.Error(), bad.Reason) || !strings.HasPrefix(err.Error(), "hub: ") {
		t.Errorf("Parse(%q): unclear error %q", text, err)
	}
	if m != (hub.Message{}) {
		t.Errorf("Parse(%q) returned %v with the error", text, m)
	}
}

func TestParseErrorCutsALongText(t *testing.T) {
	text := "123#" + strings.Repeat("AA", 10_000)
	_, err := hub.Parse(text)
	var bad *hub.ParseError
	if !errors.As(err, &bad) {
		t.Fatalf("Parse: %v, want a *hub.ParseError", err)
	}
	if bad.Offset != 20 || len(bad.Text) > 200 || !strings.HasPrefix(text, strings.TrimSuffix(bad.Text, "...")) {
		t.Errorf("Parse: offset %d, text of %d bytes %q", bad.Offset, len(bad.Text), bad.Text)
	}
}

func TestStringIsWhatCandumpWrites(t *testing.T) {
	for _, v := range golden.Load[vector](t, "candump.json", 122) {
		t.Run(v.Name, func(t *testing.T) {
			m := v.message(t)
			line := v.Text
			if v.Old != "" { // the flags digit without bit 2, which every reader takes
				line = v.Old
			}
			text := frameText(line)
			if got := m.String(); got != text {
				t.Errorf("String = %q, want %q", got, text)
			}
			if b, err := m.AppendText([]byte("x ")); string(b) != "x "+text || err != nil {
				t.Errorf("AppendText = %q, %v", b, err)
			}
			want := m
			if m.Flags&hub.Error != 0 {
				want.Flags &^= hub.Extended // does not show in the text
			}
			for _, text := range []string{m.String(), frameText(v.Text), strings.ToLower(text)} {
				got, err := hub.Parse(text)
				if err != nil || !got.Equal(want) {
					t.Errorf("Parse(%q) = %#v, %v, want %#v", text, got, err, want)
				}
			}
		})
	}
}

var _ encoding.TextAppender = hub.Message{}

func TestAppendTextAllocatesNothingGivenRoom(t *testing.T) {
	buf := make([]byte, 0, 256)
	for _, v := range golden.Load[vector](t, "candump.json", 122) {
		m := v.message(t)
		if n := testing.AllocsPerRun(10, func() { buf, _ = m.AppendText(buf[:0]) }); n != 0 {
			t.Errorf("%v: %v allocations, want 0", m, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range append(golden.Load[vector](f, "cansend.json", 127), golden.Load[vector](f, "candump.json", 122)...) {
		f.Add(frameText(v.Text))
	}
	f.Add("60000001#R")
	f.Add("4C0DE3EA#R8_F")
	f.Add("A0000004#.00.")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := hub.Parse(text)
		if err != nil {
			var bad *hub.ParseError
			if !errors.As(err, &bad) {
				t.Fatalf("Parse(%q): %T, want a *hub.ParseError", text, err)
			}
			if bad.Offset < 0 || bad.Offset > len(text) {
				t.Fatalf("Parse(%q): offset %d", text, bad.Offset)
			}
			if m != (hub.Message{}) {
				t.Fatalf("Parse(%q) returned %v with the error", text, m)
			}
			return
		}
		if err := m.Validate(); err != nil {
			t.Fatalf("Parse(%q) = %v, which is invalid: %v", text, m, err)
		}
		again, err := hub.Parse(m.String())
		if err != nil || again != m {
			t.Fatalf("Parse(%q) = %#v, shown as %q, and that is read as %#v, %v", text, m, m, again, err)
		}
	})
}

// stamped returns m with a time and a number.
func stamped(m hub.Message, ns int64, seq uint64) hub.Message {
	m.Timestamp, m.Seq = ns, seq
	return m
}

func TestJSONKeepsEveryMessage(t *testing.T) {
	var messages []hub.Message
	for _, v := range golden.Load[vector](t, "candump.json", 122) {
		messages = append(messages, v.message(t))
	}
	for _, ns := range []int64{
		0, 1, 9, 999_999_999, 1_000_000_000, 1_000_000_001, 1_700_000_000_123_456_789,
		9_007_199_254_740_993, // more than a float64 keeps
		math.MaxInt64 - 854_775_808, math.MaxInt64 - 1, math.MaxInt64,
	} {
		messages = append(messages, stamped(hub.Std(0x123, 1), ns, math.MaxUint64))
	}
	own := hub.FD(0x123, make([]byte, 12)...)
	own.Flags |= hub.Own
	messages = append(messages, own)
	r := rand.New(rand.NewPCG(1, 48))
	for range 5000 {
		m := randomMessage(r)
		if m.Validate() == nil {
			messages = append(messages, m)
		}
	}
	for _, m := range messages {
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("Marshal(%#v): %v", m, err)
		}
		got := hub.Ext(0x1ABCDEF, 1, 2, 3) // must not shine through
		if err := json.Unmarshal(b, &got); err != nil {
			t.Errorf("Unmarshal(%s): %v", b, err)
		} else if got != m {
			t.Errorf("%s becomes another message:\n%s", b, cmp.Diff(m, got))
		}
	}
}

func TestJSONIsReadable(t *testing.T) {
	brsEsi := hub.FD(0x18AB0008, make([]byte, 12)...)
	brsEsi.Flags |= hub.BRS | hub.ESI
	own := hub.Std(0x7FF, 0xFF)
	own.Flags |= hub.Own
	smallExt := hub.RTR(1, 0)
	smallExt.Flags |= hub.Extended
	tests := []struct {
		m    hub.Message
		want string
	}{
		{hub.Message{}, `{"id":0,"data":""}`},
		{stamped(hub.Std(0x123, 0xAA, 0xBB), 1_700_000_000_000_000_000, 1), `{"id":291,"data":"AABB","timestamp":1700000000.000000000,"seq":1}`},
		{stamped(hub.Std(0x123), 1_700_000_000_123_456_789, 42), `{"id":291,"data":"","timestamp":1700000000.123456789,"seq":42}`},
		{stamped(hub.Std(1), 1, 0), `{"id":1,"data":"","timestamp":0.000000001}`},
		{hub.Ext(0x18FEF100, 1), `{"id":419361024,"data":"01","extended":true}`},
		{hub.RTR(0x123, 5), `{"id":291,"data":"","remote":true,"length":5}`},
		{smallExt, `{"id":1,"data":"","extended":true,"remote":true,"length":0}`},
		{brsEsi, `{"id":413859848,"data":"000000000000000000000000","extended":true,"fd":true,"brs":true,"esi":true}`},
		{hub.Message{ID: 4, Flags: hub.Error, Len: 8, Data: [64]byte{1: 1}}, `{"id":4,"data":"0001000000000000","error":true}`},
		{own, `{"id":2047,"data":"FF","own":true}`},
	}
	for _, tt := range tests {
		b, err := json.Marshal(tt.m)
		if err != nil || string(b) != tt.want {
			t.Errorf("Marshal(%v) = %s, %v, want %s", tt.m, b, err, tt.want)
		}
	}
}

func TestJSONReadsWhatOthersWrite(t *testing.T) {
	ext := hub.Ext(0x1ABCDEF, 0xDE, 0xAD)
	tests := []struct {
		text string
		want hub.Message
	}{
		// The examples of einride's can-go.
		{`{"id":32,"data":"0102"}`, hub.Std(32, 1, 2)},
		{`{"id":32,"remote":true,"length":4}`, hub.RTR(32, 4)},
		{`{"id":28036591,"data":"dead","extended":true}`, ext},
		{`{"id":32,"length":2,"data":"0102"}`, hub.Std(32, 1, 2)},

		{`{"id":32}`, hub.Std(32)},
		{` { "seq" : 7 , "data" : "aAbB" , "id" : 32 } `, stamped(hub.Std(32, 0xAA, 0xBB), 0, 7)},
		{`{"id":32,"data":"","comment":"unknown names are for others","nested":{"id":1}}`, hub.Std(32)},
		{`{"id":32,"timestamp":0}`, hub.Std(32)},
		{`{"id":32,"timestamp":12}`, stamped(hub.Std(32), 12e9, 0)},
		{`{"id":32,"timestamp":12.5}`, stamped(hub.Std(32), 12.5e9, 0)},
		{`{"id":32,"timestamp":0.1234567899}`, stamped(hub.Std(32), 123_456_789, 0)}, // cut, not rounded
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			var m hub.Message
			if err := json.Unmarshal([]byte(tt.text), &m); err != nil || m != tt.want {
				t.Errorf("got %#v, %v, want %#v", m, err, tt.want)
			}
		})
	}
}

func TestJSONRefusesWhatIsNoMessage(t *testing.T) {
	tests := []struct {
		name, text string
		want       string // in the error
	}{
		{"bad hex", `{"id":1,"data":"0G"}`, "data"},
		{"half a byte", `{"id":1,"data":"012"}`, "data"},
		{"space in hex", `{"id":1,"data":"01 02"}`, "data"},
		{"not ASCII", `{"id":1,"data":"é"}`, "data"},
		{"data a number", `{"id":1,"data":12}`, "data"},
		{"data a list", `{"id":1,"data":[1,2]}`, "data"},
		{"9 bytes", `{"id":1,"data":"010203040506070809"}`, "Len 9"},
		{"FD, 9 bytes", `{"id":1,"fd":true,"data":"010203040506070809"}`, "Len 9"},
		{"FD, 65 bytes", `{"id":1,"fd":true,"data":"` + strings.Repeat("00", 65) + `"}`, "data"},
		{"very long", `{"id":1,"fd":true,"data":"` + strings.Repeat("00", 100_000) + `"}`, "data"},
		{"length too small", `{"id":1,"data":"0102","length":1}`, "length"},
		{"length too large", `{"id":1,"data":"0102","length":3}`, "length"},
		{"length negative", `{"id":1,"data":"","length":-1}`, "length"},
		{"length 256", `{"id":1,"remote":true,"length":256}`, "length"},
		{"length a string", `{"id":1,"remote":true,"length":"1"}`, "length"},
		{"remote, length 9", `{"id":1,"remote":true,"length":9}`, "Len 9"},
		{"remote with data", `{"id":1,"remote":true,"data":"01","length":1}`, ""},
		{"remote with data 00", `{"id":1,"remote":true,"data":"00","length":1}`, ""},
		{"remote with data 00, no length", `{"id":1,"remote":true,"data":"00"}`, ""},
		{"remote FD", `{"id":1,"remote":true,"fd":true,"length":1}`, "Remote"},
		{"BRS alone", `{"id":1,"data":"","brs":true}`, "BRS"},
		{"ESI alone", `{"id":1,"data":"","esi":true}`, "ESI"},
		{"error and remote", `{"id":1,"error":true,"remote":true,"length":1}`, "Error"},
		{"standard id 0x800", `{"id":2048,"data":""}`, "0x800"},
		{"extended id 2^29", `{"id":536870912,"data":"","extended":true}`, "0x20000000"},
		{"id 2^32", `{"id":4294967296,"data":""}`, "id"},
		{"id huge", `{"id":1` + strings.Repeat("0", 400) + `,"data":""}`, "id"},
		{"id negative", `{"id":-1,"data":""}`, "id"},
		{"id a fraction", `{"id":1.5,"data":""}`, "id"},
		{"id a string", `{"id":"1","data":""}`, "id"},
		{"no id", `{"data":"01"}`, "id"},
		{"another object", `{"name":"can0","bitrate":500000}`, "id"},
		{"nothing in it", `{}`, "id"},
		{"extended a number", `{"id":1,"data":"","extended":1}`, "extended"},
		{"seq negative", `{"id":1,"data":"","seq":-1}`, "seq"},
		{"seq 2^64", `{"id":1,"data":"","seq":18446744073709551616}`, "seq"},
		{"time negative", `{"id":1,"data":"","timestamp":-1}`, "timestamp"},
		{"time negative, less than a second", `{"id":1,"data":"","timestamp":-0.5}`, "timestamp"},
		{"time with exponent", `{"id":1,"data":"","timestamp":1e9}`, "timestamp"},
		{"time with negative exponent", `{"id":1,"data":"","timestamp":15E-1}`, "timestamp"},
		{"time with a large exponent", `{"id":1,"data":"","timestamp":1e400000000}`, "timestamp"},
		{"time beyond 2262", `{"id":1,"data":"","timestamp":9223372036.854775808}`, "timestamp"},
		{"time huge", `{"id":1,"data":"","timestamp":1` + strings.Repeat("0", 400) + `}`, "timestamp"},
		{"time a bool", `{"id":1,"data":"","timestamp":true}`, "timestamp"},
		{"time a word", `{"id":1,"data":"","timestamp":"now"}`, "now"},
		{"time not a number", `{"id":1,"data":"","timestamp":"NaN"}`, "NaN"},
		{"a list", `[1,2]`, ""},
		{"a number", `1`, ""},
		{"a string", `"123#01"`, ""},
		{"a bool", `true`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := stamped(hub.Ext(0x1ABCDEF, 1, 2, 3), 4, 5)
			m := before
			err := json.Unmarshal([]byte(tt.text), &m)
			if err == nil {
				t.Fatalf("Unmarshal(%.80s) = %v, want an error", tt.text, m)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Unmarshal(%.80s): %q, want %q in it", tt.text, err, tt.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("Unmarshal(%.80s): an error of %d bytes", tt.text, len(err.Error()))
			}
			if m != before {
				t.Errorf("Unmarshal(%.80s) failed and changed the target to %v", tt.text, m)
			}
		})
	}
}

// By convention null leaves a value as it is (encoding/json, Unmarshaler).
func TestJSONNullLeavesTheMessageAlone(t *testing.T) {
	before := stamped(hub.Ext(0x1ABCDEF, 1, 2, 3), 4, 5)
	m := before
	err := json.Unmarshal([]byte("null"), &m)
	if m != before {
		t.Errorf("null made the message %v (%v)", m, err)
	}
}

func FuzzUnmarshalJSON(f *testing.F) {
	for _, v := range golden.Load[vector](f, "candump.json", 122) {
		b, err := json.Marshal(v.message(f))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"id":32,"remote":true,"length":4,"timestamp":9223372036.854775807}`))
	f.Add([]byte(`{"id":32,"data":"01.02.","own":true,"seq":18446744073709551615}`))
	f.Add([]byte(`{"id":32,"timestamp":-1e5,"id":null,"DATA":"00"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := stamped(hub.Ext(0x1ABCDEF, 1, 2, 3), 4, 5)
		m := before
		if err := json.Unmarshal(b, &m); err != nil {
			if m != before {
				t.Fatalf("Unmarshal(%q) failed and changed the target to %v", b, m)
			}
			return
		}
		if err := m.Validate(); err != nil {
			t.Fatalf("Unmarshal(%q) = %v, which is invalid: %v", b, m, err)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatalf("Marshal(%v): %v", m, err)
		}
		var got hub.Message
		if err := json.Unmarshal(again, &got); err != nil || got != m {
			t.Fatalf("%s becomes %#v, %v, want %#v", again, got, err, m)
		}
	})
}

func TestLogShowsTheFrame(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	m := stamped(hub.Std(0x123, 0xAA, 0xBB), 1_700_000_000_123_456_789, 7)
	log.Info("got", "message", m)

	var record struct {
		Message struct {
			Frame string    `json:"frame"`
			Time  time.Time `json:"time"`
			Seq   uint64    `json:"seq"`
		} `json:"message"`
	}
	if err := json.Unmarshal(out.Bytes(), &record); err != nil {
		t.Fatalf("%s: %v", out.Bytes(), err)
	}
	if got := record.Message; got.Frame != "123#AABB" || got.Time.UnixNano() != m.Timestamp || got.Seq != 7 {
		t.Errorf("logged as %s", out.Bytes())
	}
	if got := fmt.Sprint(m); got != "123#AABB" {
		t.Errorf("printed as %q, want 123#AABB", got)
	}
}
