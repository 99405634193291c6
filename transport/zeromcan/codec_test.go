package zeromcan_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/internal/golden"
	"github.com/canhub-go/canhub/transport/zeromcan"
)

func TestTruncatedAtAnyByteIsAnError(t *testing.T) {
	for _, v := range vectors(t) {
		if !carried(v.Frame.Raw(t)) {
			continue
		}
		wire, pub := golden.Hex(t, v.Wire), golden.Hex(t, *v.Pub)
		for n := range wire {
			if _, _, m, err := zeromcan.DecodeSend(wire[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes decoded as %v", v.Name, n, len(wire), m)
			}
		}
		for n := range pub {
			if _, m, err := zeromcan.DecodePublication(pub[:n]); err == nil {
				t.Errorf("%s: %d of %d bytes decoded as %v", v.Name, n, len(pub), m)
			}
		}
	}
}

func TestErrorsNameWhatIsWrong(t *testing.T) {
	const name = "\xa1a"
	for b, want := range map[string]string{
		"":                 "not a request",
		"\x93\x01\x90\x00": "not a request",
		"\x92\xa1a\x90":    "code: not a number",
		"\x92\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x90":                             "code: not a whole number",
		"\x92\xca\x7f\xc0\x00\x00\x90":                                             "code: not a whole number", // NaN
		"\x92\x04\x90":                                                             "unknown call 4",
		"\x92\x01\x91\x01":                                                         "call 1 takes no arguments",
		"\x92\x01\x90\x00":                                                         "bytes behind the end",
		"\x92\x03\x93" + name + "\x01\xc2":                                         "not a frame",
		"\x92\x03\x94\xc0\x01\xc2\x90":                                             "the name is not a text",
		"\x92\x03\x94\xa0\x01\xc2\x90":                                             "the name is not a text",
		"\x92\x03\x94\xa1\xff\x01\xc2\x90":                                         "the name is not a text",
		"\x92\x03\x94\xd9\x41" + strings.Repeat("a", 65) + "\x01\xc2\x90":          "the name is not a text",
		"\x92\x03\x94" + name + "\xff\xc2\x90":                                     "id -1 is out of range",
		"\x92\x03\x94" + name + "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xc2\x90":     "is out of range",
		"\x92\x03\x94" + name + "\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc2\x90":     "id: ",
		"\x92\x03\x94" + name + "\xcd\x08\x00\xc2\x90":                             "ID 0x800: a standard identifier",
		"\x92\x03\x94" + name + "\xce\x20\x00\x00\x00\xc3\x90":                     "ID 0x20000000: an extended identifier",
		"\x92\x03\x94" + name + "\x01\xc0\x90":                                     "extended is not a bool",
		"\x92\x03\x94" + name + "\x01\xc2\xc0":                                     "data is neither",
		"\x92\x03\x94" + name + "\x01\xc2\x99\x01\x01\x01\x01\x01\x01\x01\x01\x01": "more than 8 bytes",
		"\x92\x03\x94" + name + "\x01\xc2\xc4\x09123456789":                        "more than 8 bytes",
		"\x92\x03\x94" + name + "\x01\xc2\x91\xcd\x01\x00":                         "not a byte",
		"\x92\x03\x94" + name + "\x01\xc2\x91\xff":                                 "not a byte",
	} {
		if _, _, m, err := zeromcan.DecodeSend([]byte(b)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, %v, want an error with %q", b, m, err, want)
		}
	}
}

// Whatever a message claims: it needs no more memory than an error value.
func TestClaimsCostNoMemory(t *testing.T) {
	for _, b := range []string{
		"\xdd\xff\xff\xff\xff",
		"\x92\x03\xdd\xff\xff\xff\xff",
		"\x92\x03\x94\xdb\xff\xff\xff\xff",
		"\x92\x03\x94\xa1a\x01\xc2\xdd\xff\xff\xff\xff",
		"\x92\x03\x94\xa1a\x01\xc2\xc6\xff\xff\xff\xff",
	} {
		const times = 100
		wire := []byte(b)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range times {
			if _, _, m, err := zeromcan.DecodeSend(wire); err == nil {
				t.Errorf("%x is accepted as %v", b, m)
			}
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / times; n > 1024 {
			t.Errorf("%x: %d bytes allocated", b, n)
		}
	}
}

func TestRepliesOfTheServerAreShown(t *testing.T) {
	_, err := zeromcan.DecodeReply(zeromcan.AppendErrorReply(nil, errors.New("no room")))
	if err == nil || !strings.Contains(err.Error(), `status 1: "no room"`) {
		t.Errorf("error %v, want it with the server's reason", err)
	}
	for _, b := range []string{"", "\x91\x00", "\x92", "\x92\xa0\xc0", "\x92\x02\xc0", "\x92\x02"} {
		if _, err := zeromcan.DecodeReply([]byte(b)); err == nil {
			t.Errorf("reply %x is accepted", b)
		}
	}
	if name, err := zeromcan.DecodeName([]byte("\xa1a\x00")); err == nil {
		t.Errorf("the name %q with something behind it is accepted", name)
	}
}

// FuzzDecode: no message makes a decoder panic, and a frame that comes out is
// valid and comes out again when it is sent on.
func FuzzDecode(f *testing.F) {
	for _, v := range append(vectors(f), malformed(f)...) {
		f.Add(golden.Hex(f, v.Wire))
		for _, s := range []*string{v.Reply, v.Pub} {
			if s != nil {
				f.Add(golden.Hex(f, *s))
			}
		}
	}
	same := func(b []byte, name string, m hub.Message) error {
		if err := m.Validate(); err != nil || !carried(m) {
			return fmt.Errorf("%v is not to be carried: %v", m, err)
		}
		wire := zeromcan.AppendFrame(nil, name, &m)
		if n, back, err := zeromcan.DecodePublication(wire); err != nil || n != name || back != m {
			return fmt.Errorf("%x is %q, %v; sent as %x, and %q, %v, %v", b, name, m, wire, n, back, err)
		}
		return nil
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		if call, name, m, err := zeromcan.DecodeSend(b); err == nil && call == 3 {
			if err := same(b, name, m); err != nil {
				t.Error(err)
			}
		}
		if name, m, err := zeromcan.DecodePublication(b); err == nil {
			if err := same(b, name, m); err != nil {
				t.Error(err)
			}
		}
		if result, err := zeromcan.DecodeReply(b); err == nil {
			zeromcan.DecodeName(result)
		}
		if !bytes.Equal(b, before) {
			t.Error("the input was changed")
		}
	})
}
