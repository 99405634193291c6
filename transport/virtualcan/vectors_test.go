package virtualcan

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
)

// The files in testdata were made by running virtualcan's servers and clients,
// as of 2025-04-27, and recording what they sent.

type vector struct {
	Name      string        `json:"name"`
	Frame     *golden.Frame `json:"frame"`
	Hex       string        `json:"wire_hex"`
	Rust      string        `json:"rust_client_wire_hex"`
	CPP       string        `json:"cpp_client_wire_hex"`
	Direction string        `json:"direction"`
}

func good(t testing.TB) []vector {
	t.Helper()
	return golden.Load[vector](t, "virtualcan_tcp.json", 122)
}

func malformed(t testing.TB) []vector {
	t.Helper()
	return golden.Load[vector](t, "virtualcan_malformed.json", 30)
}

// messageVectors returns the frames that the protocol carries.
func messageVectors(t testing.TB) []hub.Message {
	t.Helper()
	var msgs []hub.Message
	for _, v := range good(t) {
		if v.Direction == "both" {
			msgs = append(msgs, v.Frame.Raw(t))
		}
	}
	return msgs
}

// decodeAll returns what comes of a stream: frames, and errors as text.
func decodeAll(stream []byte) (msgs []hub.Message, errs []string) {
	w := &wire{p: stream}
	for {
		var m hub.Message
		ok, err := w.next(&m)
		bad := (*frameError)(nil)
		switch {
		case ok:
			msgs = append(msgs, m)
		case errors.As(err, &bad):
			errs = append(errs, err.Error())
		case err != nil:
			return msgs, append(errs, err.Error())
		default:
			if len(w.p) > 0 {
				errs = append(errs, "cut off")
			}
			return msgs, errs
		}
	}
}

func TestFramesAreWrittenAsVirtualcanDoes(t *testing.T) {
	for _, v := range good(t) {
		m := v.Frame.Raw(t)
		if v.Direction != "both" {
			if why := uncarried(&m); !errors.Is(why, errors.ErrUnsupported) {
				t.Errorf("%s: %v, want one that is not carried, for the Python client loses something of it", v.Name, why)
			}
			continue
		}
		if why := uncarried(&m); why != nil {
			t.Errorf("%s: %v", v.Name, why)
		}
		got := hex.EncodeToString(appendPacket(nil, &m))
		if got != v.Hex || v.Rust != "" && got != v.Rust {
			t.Errorf("%s: wrote %s, want %s", v.Name, got, v.Hex)
		}
	}
}

func TestPacketsOfAllPeersAreRead(t *testing.T) {
	for _, v := range good(t) {
		if v.Direction != "both" {
			continue
		}
		for peer, text := range map[string]string{"Python": v.Hex, "Rust": v.Rust, "C++": v.CPP} {
			if text == "" {
				continue
			}
			got, errs := decodeAll(golden.Hex(t, text))
			if d := cmp.Diff([]hub.Message{v.Frame.Raw(t)}, got); d != "" || errs != nil {
				t.Errorf("%s, %s: %v (-want +got):\n%s", v.Name, peer, errs, d)
			}
		}
	}
}

func TestOddPackets(t *testing.T) {
	want := map[string]string{ // the frames, or what the error says
		"std_id_over_11_bits":               "00000AC6#C6",
		"ext_id_over_29_bits":               "3FFFFFC7#8A",
		"id_with_socketcan_flag_bits":       "000002C8#80",
		"short_variable_length_10":          "2C9#F25566F4",
		"short_6_len0":                      "2CA#",
		"long_16":                           "2CB#04181BAB",
		"long_78_fd_like":                   "64 data bytes",
		"len_9_in_14":                       "9 data bytes",
		"len_255_in_14":                     "255 data bytes",
		"len_12_with_12_data":               "12 data bytes",
		"payload_empty":                     "a packet of 0 bytes",
		"payload_1":                         "a packet of 1 bytes",
		"payload_5":                         "a packet of 5 bytes",
		"payload_13":                        "2D0#CCB037",
		"payload_8_data_len_8_missing_data": "too short for 8 data bytes",
		"length_prefix_9_MiB":               "a packet of 9437184 bytes",
		"length_prefix_ffffffff":            "a packet of 4294967295 bytes",
		"length_prefix_8MiB_plus_1":         "a packet of 8388609 bytes",
		"length_prefix_80000000":            "a packet of 2147483648 bytes",
		"truncated_prefix":                  "cut off",
		"truncated_payload":                 "cut off",
		"little_endian_prefix":              "a packet of 234881024 bytes",
		"text":                              "a packet of 1751477356 bytes",
		"two_packets_one_segment":           "2D3#CA 000002D4#86EC",
	}
	for _, v := range malformed(t) {
		got, errs := decodeAll(golden.Hex(t, v.Hex[:min(len(v.Hex), 400)]))
		var text []string
		for _, m := range got {
			if err := m.Validate(); err != nil {
				t.Errorf("%s: %v", v.Name, err)
			}
			text = append(text, m.String())
		}
		text = append(text, errs...)
		if w, ok := want[v.Name]; ok {
			delete(want, v.Name)
			if g := strings.Join(text, " "); w != g && (len(got) > 0 || !strings.Contains(g, w)) {
				t.Errorf("%s: %q, want %q", v.Name, g, w)
			}
			continue
		}
		if v.Direction != "decode" || len(got) != 1 || errs != nil || !got[0].Equal(v.Frame.Raw(t)) {
			t.Errorf("%s: %q, want %v", v.Name, text, v.Frame)
		}
	}
	for name := range want {
		t.Errorf("no vector %s", name)
	}
}

func TestBytesBehindTheDataAreNotOfTheMessage(t *testing.T) {
	got, _ := decodeAll(golden.Hex(t, "0000000e000002c3000230183af64702dc88"))
	if len(got) != 1 || got[0] != hub.Std(0x2C3, 0x30, 0x18) {
		t.Errorf("%+v", got)
	}
	m := hub.Std(1, 1, 2, 3)
	m.Len = 2
	if p := appendPacket(nil, &m); p[4+6+2] != 0 {
		t.Errorf("%x, want zeros behind the data", p)
	}
}

func FuzzDecode(f *testing.F) {
	for _, v := range malformed(f) {
		f.Add(golden.Hex(f, v.Hex))
	}
	for i, v := range good(f) {
		if i%10 == 0 {
			f.Add(golden.Hex(f, v.Hex))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, errs := decodeAll(stream)
		for i := range whole {
			m := &whole[i]
			if err := m.Validate(); err != nil || uncarried(m) != nil {
				t.Fatalf("%+v: %v", m, err)
			}
			again, _ := decodeAll(appendPacket(nil, m))
			if len(again) != 1 || again[0] != *m {
				t.Fatalf("%+v came back as %+v", m, again)
			}
		}
		// The same bytes in pieces give the same.
		for _, size := range []int{1, 7, 4096} {
			w := &wire{Conn: &trickle{r: bytes.NewReader(stream), size: size}}
			var pieces []hub.Message
			n := 0
			for end := false; !end; {
				var m hub.Message
				ok, err := w.next(&m)
				bad := (*frameError)(nil)
				switch {
				case ok:
					pieces = append(pieces, m)
				case errors.As(err, &bad):
					n++
				case err != nil:
					n++
					end = true
				default:
					err := w.fill()
					end = err != nil
					if err != nil && len(w.p) > 0 {
						n++
					}
				}
				if len(w.buf) > max(smallBuffer, 2*len(stream)) {
					t.Fatalf("a buffer of %d bytes for a stream of %d", len(w.buf), len(stream))
				}
			}
			if d := cmp.Diff(whole, pieces); d != "" || n != len(errs) {
				t.Fatalf("in pieces of %d: %d errors, whole %q (-whole +pieces):\n%s", size, n, errs, d)
			}
		}
	})
}
