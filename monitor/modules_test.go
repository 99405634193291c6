package monitor_test

import (
	"encoding/json"
	"os"
	"testing"
)

// TestModules runs those of the page's modules that draw nothing.
func TestModules(t *testing.T) {
	b := chromium(t)
	s := newSite(t, nil)
	p := s.open(b, "/can0")
	t.Run("bits", func(t *testing.T) { bitsAreThoseOfTheStandard(t, p) })
	t.Run("decoding", func(t *testing.T) { decodingRefusesWhatCannotBe(t, p) })
	t.Run("model", func(t *testing.T) { modelIsBounded(t, p) })
	t.Run("periods", func(t *testing.T) { modelKnowsPeriodAndJitter(t, p) })
}

// bitsAreThoseOfTheStandard compares the lengths of frames with
// frame_bits.json, which package hub's testdata explains.
func bitsAreThoseOfTheStandard(t *testing.T, p *tab) {
	text, err := os.ReadFile("testdata/frame_bits.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct{ Frames []json.RawMessage }
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	got := eval[[]string](p, `(async () => {
		const { frameBits } = await import("/bits.js");
		const { EXT, RTR, FD, BRS, ESI } = await import("/frame.js");
		const wrong = [];
		for (const v of (`+string(text)+`).frames) {
			if (v.dlc > 8 && !v.fd) continue; // not to be told from 8 on this wire
			const data = new Uint8Array(64);
			(v.data_hex.match(/../g) ?? []).forEach((h, i) => (data[i] = parseInt(h, 16)));
			const len = v.rtr ? v.dlc : v.data_hex.length / 2;
			const flags = (v.extended && EXT) | (v.rtr && RTR) | (v.fd && FD) | (v.brs && BRS) | (v.esi && ESI);
			const b = frameBits({ id: v.id, flags, len, data });
			if (b.nominal !== v.nominal_bits + 3 || b.data !== v.data_bits) {
				wrong.push(v.name + ": " + JSON.stringify(b) + ", want " + (v.nominal_bits + 3) + " and " + v.data_bits);
			}
		}
		return wrong;
	})()`)
	for _, wrong := range got {
		t.Error(wrong)
	}
	if len(vectors.Frames) < 50 {
		t.Errorf("only %d vectors", len(vectors.Frames))
	}
}

func decodingRefusesWhatCannotBe(t *testing.T, p *tab) {
	for _, c := range []struct{ give, want string }{
		{`binary("")`, "a frame of 0 bytes: the head alone has 15"},
		{`binary("01 00")`, "a frame of 2 bytes: the head alone has 15"},
		{`binary("02 00")`, "undefined"}, // some other kind of message
		{`binary("01 41D9559ADC000000 00000123 02 00 AABB")`, "123#AABB at 1700162416"},
		{`binary("01 7FF8000000000000 00000123 02 00 AABB")`, "123#AABB at now"},
		{`binary("01 FFF0000000000000 00000123 00 00")`, "123# at now"},
		{`binary("01 41D9559ADC000000 00000800 00 00")`, "identifier 800 is above 7FF, the last of 11 bits"},
		{`binary("01 41D9559ADC000000 FFFFFFFF 00 01")`, "identifier FFFFFFFF is above 1FFFFFFF, the last of 29 bits"},
		{`binary("01 41D9559ADC000000 00000123 09 00 000000000000000000")`, "9 bytes: a classic frame has at most 8"},
		{`binary("01 41D9559ADC000000 00000123 41 08 " + "00".repeat(65))`, "65 bytes of data: a frame has at most 64"},
		{`binary("01 41D9559ADC000000 00000123 09 08 000000000000000000")`, "9 bytes: an FD frame has 0 to 8, 12, 16, 20, 24, 32, 48 or 64"},
		{`binary("01 41D9559ADC000000 00000123 FF 02")`, "255 bytes: a classic frame has at most 8"},
		{`binary("01 41D9559ADC000000 00000123 00 10")`, "BRS and ESI are for FD frames"},
		{`binary("01 41D9559ADC000000 00000123 00 0A")`, "CAN FD has no remote frames"},
		{`binary("01 41D9559ADC000000 00000004 08 04 0001000000000000")`, "20000004#0001000000000000 at 1700162416"},
		{`json({})`, "00000000# at 0"},
		{`json({arbitration_id: 1, is_extended_id: false, data: [1, 255], timestamp: 5})`, "001#01FF at 5"},
		{`json({arbitration_id: 1, is_extended_id: false, is_remote_frame: true, dlc: 3})`, "001#R3 at 0"},
		{`json({arbitration_id: 1, is_extended_id: false, is_fd: true, bitrate_switch: true, data: [1]})`, "001##101 at 0"},
		{`json(null)`, "a message without a payload"},
		{`json([])`, "a message without a payload"},
		{`json({arbitration_id: "x"})`, "identifier or dlc is no such number"},
		{`json({arbitration_id: 1e12})`, "identifier or dlc is no such number"},
		{`json({data: "AB"})`, "data is not an array of up to 64 bytes"},
		{`json({data: [256]})`, "data is not an array of up to 64 bytes"},
		{`json({data: [0.5]})`, "data is not an array of up to 64 bytes"},
		{`json({data: new Array(65).fill(0)})`, "data is not an array of up to 64 bytes"},
		{`json({is_remote_frame: true, dlc: -1})`, "identifier or dlc is no such number"},
	} {
		got := eval[string](p, `(async () => {
			const { newFrame, frameText, decodeBinary, decodeJSON } = await import("/frame.js");
			const f = newFrame();
			const say = (reason) => String(reason === "" ? frameText(f) + " at " + (f.time > 1.75e9 ? "now" : f.time) : reason);
			const binary = (hex) => say(decodeBinary(new Uint8Array((hex.replaceAll(" ", "").match(/../g) ?? []).map((h) => parseInt(h, 16))).buffer, f));
			const json = (payload) => say(decodeJSON(payload, f));
			return `+c.give+`;
		})()`)
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.give, got, c.want)
		}
	}
}

// modelIsBounded puts more into it than it may keep.
func modelIsBounded(t *testing.T, p *tab) {
	got := eval[map[string]int](p, `(async () => {
		const { Model, TRACE, MAX_ROWS } = await import("/model.js");
		const { newFrame, EXT } = await import("/frame.js");
		const m = new Model(new Map()), f = newFrame();
		f.flags = EXT;
		f.len = 1;
		for (let i = 0; i < 50000; i++) {
			f.id = i;
			f.time = i;
			f.data[0] = i;
			m.take(f, i / 20);
		}
		const out = { total: m.total, rows: m.rows.size, unlisted: m.unlisted, kept: m.matches().length };
		out.oldest = m.ring[m.matches()[0] % TRACE].id;
		out.newest = m.ring[m.matches().at(-1) % TRACE].id;
		m.filter((row) => row.id % 100 === 0);
		out.filtered = m.matches().length;
		return out;
	})()`)
	for name, want := range map[string]int{
		"total": 50000, "rows": 2048, "unlisted": 47952, "kept": 20000, "oldest": 30000, "newest": 49999, "filtered": 200,
	} {
		if got[name] != want {
			t.Errorf("%s: %d, want %d", name, got[name], want)
		}
	}
}

func modelKnowsPeriodAndJitter(t *testing.T, p *tab) {
	got := eval[map[string]float64](p, `(async () => {
		const { Model } = await import("/model.js");
		const { newFrame } = await import("/frame.js");
		const m = new Model(new Map()), f = newFrame();
		const start = Math.ceil(performance.now() / 500) * 500;
		// Every 100 ms, 2 ms early and late by turns. 000 without data has 34 bits
		// of 0, which make 6 stuff bits: 44 + 6 + 3.
		for (let i = 0; i < 200; i++) {
			f.time = 1.7e9 + i * 0.1 + (i % 2) * 0.002;
			m.take(f, start + i * 100);
		}
		const row = [...m.rows.values()][0];
		return {
			period: row.period * 1000, jitter: row.jitter * 1000, rate: m.series(start + 20000, (b) => b.count).at(-1),
			load: m.series(start + 20000, (b) => b.nominal).at(-1) / 10, // bits of a frame
		};
	})()`)
	for name, want := range map[string]struct{ value, within float64 }{
		"period": {100, 0.5}, "jitter": {2, 0.3}, "rate": {10, 0}, "load": {53, 1e-9},
	} {
		if diff := got[name] - want.value; diff > want.within || diff < -want.within {
			t.Errorf("%s: %v, want %v within %v", name, got[name], want.value, want.within)
		}
	}
}
