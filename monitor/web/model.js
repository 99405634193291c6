// What one channel has shown so far, its filter and recording. Views look at it when they draw.

import { EXT, RTR, ERR, FD, OWN, newFrame, copyFrame, frameText, errorText, idText } from "./frame.js";
import { frameBits } from "./bits.js";
import { element, plural } from "./dom.js";

export const MAX_ROWS = 2048;
export const TRACE = 20000;
export const BIN = 500; // ms, of the plots
export const BINS = 120; // a minute

// A row is the last frame of an identifier, kind and direction, and more.
const newRow = () => ({
	...newFrame(),
	count: 0,
	seen: 0, // by the page's clock, ms
	period: 0, // s, mean of late; 0 if not known
	jitter: 0, // s, mean deviation from it
	changed: new Float64Array(64).fill(-1e9), // when a byte did, ms
});

function update(row, f, now) {
	const again = row.count++ > 0, gap = f.time - row.time;
	if (again && gap > 0) {
		// The means move by a sixteenth, by more in the beginning.
		const share = row.period ? 1 / Math.min(row.count - 1, 16) : 1;
		row.period += (gap - row.period) * share;
		row.jitter += (Math.abs(gap - row.period) - row.jitter) * share;
	}
	for (let i = 0; again && i < f.len; i++) if (row.data[i] !== f.data[i] || i >= row.len) row.changed[i] = now;
	copyFrame(row, f);
	row.seen = now;
	row.dirty = true;
	if (f.flags & ERR) row.name = errorText(f);
}

export class Model {
	visible = () => true;
	paused = false;
	bins = []; // messages and their bits; the last one still fills
	ring = []; // lines of the trace: frames with a row, or a text

	constructor(labels) {
		this.labels = labels;
		const now = performance.now();
		this.bin = Math.floor(now / BIN) - 1; // number of the last one
		this.advance(now);
		this.clear();
	}

	clear() {
		this.rows = new Map();
		this.changed = true; // what the trace shows
		this.total = this.errors = this.overflows = 0;
		this.lost = 0; // messages that the page had no time for
		this.unlisted = 0; // messages of identifiers beyond MAX_ROWS
		this.refused = 0; // messages that cannot be
		this.lines = 0; // of the trace so far
		this.passed = 0; // while paused
	}

	refuse(reason) {
		this.refused++;
		this.refusal = reason;
	}

	lose(n) {
		this.lost += n;
		this.gap(`${plural(n, "message")} lost: this page was busy`);
	}

	take(f, now) {
		const bin = this.advance(now);
		this.changed = true;
		this.total++;
		bin.count++;
		if (f.flags & ERR) {
			this.errors++;
			if (f.id & 4 && f.len > 1 && f.data[1] & 3) this.overflows++; // linux/can/error.h
		} else {
			const bits = frameBits(f);
			bin.nominal += bits.nominal;
			bin.fast += bits.data;
		}
		const row = this.row(f);
		if (row.changed) update(row, f, now);
		if (f.flags & ERR) this.lastError = row.name;
		if (this.paused) this.passed++;
		else this.line(f, row);
		this.recording?.take(f);
	}

	row(f) {
		const key = f.id * 128 + (f.flags & (EXT | RTR | ERR | OWN));
		let row = this.rows.get(key);
		if (row) return row;
		if (this.rows.size < MAX_ROWS) {
			this.rows.set(key, (row = newRow()));
		} else {
			row = {}; // for the trace only
			this.unlisted++;
		}
		row.key = key;
		row.id = f.id;
		row.flags = f.flags;
		if (f.flags & ERR) row.name = errorText(f);
		this.judge(row);
		return row;
	}

	judge(row) {
		if (!(row.flags & ERR)) row.name = this.labels.get(idText(row.id, row.flags)) ?? "";
		row.shown = this.visible(row);
		row.dirty = true;
	}

	// filter looks at all anew, as it must when there are other labels.
	filter(visible = this.visible) {
		this.visible = visible;
		this.changed = true;
		for (const row of this.rows.values()) this.judge(row);
		for (const { row } of this.ring) if (row) this.judge(row); // some are not in the table
	}

	// gap puts a line of text into the trace.
	gap(text) {
		if (this.lines) this.line(newFrame(), undefined, text);
	}

	line(f, row, text) {
		const slot = (this.ring[this.lines++ % TRACE] ??= newFrame());
		copyFrame(slot, f);
		slot.row = row;
		slot.text = text;
		this.changed = true;
	}

	// matches returns the numbers of the lines that the filter lets through.
	matches() {
		const numbers = [];
		for (let n = Math.max(0, this.lines - TRACE); n < this.lines; n++) if (this.ring[n % TRACE].row?.shown ?? true) numbers.push(n);
		return numbers;
	}

	pause(on) {
		this.paused = on;
		this.changed = true;
		if (on || !this.passed) return;
		this.gap(`${plural(this.passed, "message")} passed while the trace was paused`);
		this.passed = 0;
	}

	// advance returns the bin that fills now.
	advance(now) {
		const bin = Math.floor(now / BIN);
		this.bin = Math.max(this.bin, bin - BINS - 1);
		for (; this.bin < bin; this.bin++) this.bins.push({ count: 0, nominal: 0, fast: 0 });
		while (this.bins.length > BINS + 1) this.bins.shift();
		return this.bins.at(-1);
	}

	// series returns values per second of the whole bins, the oldest first.
	series(now, value) {
		this.advance(now);
		return this.bins.slice(0, -1).map((bin) => (value(bin) * 1000) / BIN);
	}
}

const SET = { tx: OWN, ext: EXT, rtr: RTR, fd: FD, error: ERR };
const CLEAR = { rx: OWN, std: EXT | ERR };

// compile returns the filter of what the user wrote: (row) => whether to show it.
export function compile(text) {
	const terms = text.toLowerCase().split(/[\s,]+/).filter(Boolean);
	const hide = terms.filter((t) => t.length > 1 && t[0] === "-").map((t) => term(t.slice(1)));
	const show = terms.filter((t) => t[0] !== "-").map(term);
	return (row) => !hide.some((f) => f(row)) && (!show.length || show.some((f) => f(row)));
}

function term(t) {
	if (SET.hasOwnProperty(t)) return (r) => r.flags & SET[t];
	if (CLEAR.hasOwnProperty(t)) return (r) => !(r.flags & CLEAR[t]);
	const byID = idTerm(t);
	return (r) => (byID && !(r.flags & ERR) && byID(r)) || r.name.toLowerCase().includes(t);
}

function idTerm(t) {
	const [, first, sign, second] = t.match(/^([0-9a-f]{1,8})(?:([-:~])([0-9a-f]{1,8}))?$/) ?? [];
	const a = parseInt(first, 16), b = parseInt(second, 16);
	if (sign === "-") return (r) => r.id >= a && r.id <= b;
	if (sign) return (r) => (((r.id ^ a) & b & 0x1fffffff) === 0) === (sign === ":");
	if (first) return (r) => r.id === a;
	if (!/^[0-9a-f?*]+$/.test(t)) return undefined;
	const form = new RegExp(`^${t.replaceAll("?", ".").replace(/\*+/g, ".*")}$`, "i");
	return (r) => form.test(idText(r.id, r.flags));
}

const PACK = 1 << 18; // characters of one
export const MOST = 2048; // of them: 512 MiB

// A Recording is a candump log in blobs, which the browser may keep on disk.
export class Recording {
	constructor(channel) {
		this.channel = channel.replace(/[^\x21-\x7e]/g, "_").slice(0, 255) || "can0"; // a word, as logs need it
		this.start = new Date().toISOString().slice(0, 19).replaceAll(":", "");
		this.packs = [];
		this.text = "";
		this.count = 0;
		this.left = 0; // out, for want of room
	}

	take(f) {
		if (this.packs.length >= MOST) return this.left++;
		this.text += `(${f.time.toFixed(6)}) ${this.channel} ${frameText(f)} ${f.flags & OWN ? "T" : "R"}\n`;
		if (this.text.length > PACK) this.pack();
		return this.count++;
	}

	pack() {
		this.packs.push(new Blob([this.text]));
		this.text = "";
	}

	download() {
		this.pack();
		const href = URL.createObjectURL(new Blob(this.packs, { type: "text/plain" }));
		const download = `${this.channel.replace(/[^\w.-]/g, "_")}-${this.start}.log`;
		element("a", { href, download }).click();
		setTimeout(() => URL.revokeObjectURL(href), 60000);
		return download;
	}
}
