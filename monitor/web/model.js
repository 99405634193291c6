// What one channel has shown so far. take() folds a frame in at once; views
// look when they draw.

import { EXT, RTR, ERR, OWN, isOverflow, errorText, idText } from "./frame.js";
import { frameBits } from "./bits.js";

export const MAX_ROWS = 2048;
export const TRACE = 20000;
export const BIN = 500; // ms, of the plots
export const BINS = 121; // the last is still filling: a minute is whole

// A Row is what is known of one identifier, of one kind of frame, in one
// direction.
class Row {
	constructor(f, name) {
		this.id = f.id;
		this.flags = f.flags;
		this.name = name;
		this.count = 0;
		this.time = 0;
		this.seen = 0; // by the page's clock, ms
		this.period = 0; // s, mean of late; 0 if not known
		this.jitter = 0; // s, mean deviation from it
		this.len = 0;
		this.data = new Uint8Array(64);
		this.changed = new Float64Array(64).fill(-1e9); // when a byte did, ms
		this.shown = true; // by the filter
		this.dirty = true;
	}

	take(f, now) {
		if (this.count > 0) {
			const gap = f.time - this.time;
			if (gap > 0) this.gap(gap);
		}
		if (!(f.flags & RTR)) {
			for (let i = 0; i < f.len; i++) {
				if (this.data[i] === f.data[i] && i < this.len) continue;
				this.data[i] = f.data[i];
				if (this.count > 0) this.changed[i] = now;
			}
		}
		this.len = f.len;
		this.flags = f.flags;
		this.time = f.time;
		this.seen = now;
		this.count++;
		this.dirty = true;
		if (f.flags & ERR) this.name = errorText(f);
	}

	// gap moves the means by a share of a sixteenth, by more in the beginning.
	gap(s) {
		if (!this.period) {
			this.period = s;
			return;
		}
		const share = 1 / Math.min(this.count, 16);
		this.period += (s - this.period) * share;
		this.jitter += (Math.abs(s - this.period) - this.jitter) * share;
	}
}

export class Model {
	constructor(labels) {
		this.labels = labels;
		this.visible = () => true;
		this.paused = false;
		this.rate = new Float64Array(BINS); // messages
		this.nominal = new Float64Array(BINS); // bits
		this.fast = new Float64Array(BINS); // bits at the data rate
		this.bin = this.firstBin = Math.floor(performance.now() / BIN); // numbers of the last and the first one
		this.ring = {
			time: new Float64Array(TRACE),
			row: new Array(TRACE),
			flags: new Uint8Array(TRACE),
			len: new Uint8Array(TRACE),
			data: new Uint8Array(TRACE * 64),
		};
		this.matches = new Float64Array(TRACE); // numbers of the trace's lines that the filter lets through
		this.clear();
	}

	clear() {
		this.rows = new Map();
		this.generation = (this.generation || 0) + 1; // views begin anew when it changes
		this.total = 0;
		this.errors = 0;
		this.overflows = 0;
		this.unlisted = 0; // messages of identifiers beyond MAX_ROWS
		this.refused = 0; // messages that cannot be
		this.refusal = "";
		this.lines = 0; // put into the trace so far
		this.firstMatch = 0;
		this.lastMatch = 0; // matches are those from firstMatch up to here
		this.passed = 0; // while paused
		this.ring.row.fill(undefined);
	}

	take(f, now) {
		this.total++;
		if (f.flags & ERR) {
			this.errors++;
			if (isOverflow(f)) this.overflows++;
		}
		const bin = this.advance(now);
		this.rate[bin]++;
		if (!(f.flags & ERR)) {
			const bits = frameBits(f);
			this.nominal[bin] += bits.nominal;
			this.fast[bin] += bits.data;
		}
		const row = this.row(f);
		row.take(f, now);
		if (this.paused) this.passed++;
		else this.trace(f, row);
	}

	row(f) {
		const kind = (f.flags & EXT ? 1 : 0) | (f.flags & RTR ? 2 : 0) | (f.flags & ERR ? 4 : 0) | (f.flags & OWN ? 8 : 0);
		const key = f.id * 16 + kind;
		let row = this.rows.get(key);
		if (row) return row;
		const name = f.flags & ERR ? errorText(f) : this.labels[idText(f.id, f.flags)] || "";
		if (this.rows.size < MAX_ROWS) {
			row = new Row(f, name);
			this.rows.set(key, row);
		} else {
			row = { id: f.id, flags: f.flags, name, take() {} }; // for the trace only
			this.unlisted++;
		}
		row.shown = this.visible(row);
		return row;
	}

	// relabel is for rows that came before their names did.
	relabel() {
		for (const row of this.rows.values()) {
			if (!(row.flags & ERR)) row.name = this.labels[idText(row.id, row.flags)] || "";
			row.dirty = true;
		}
		this.filter(this.visible);
	}

	trace(f, row) {
		const i = this.lines % TRACE, r = this.ring;
		r.time[i] = f.time;
		r.row[i] = row;
		r.flags[i] = f.flags;
		r.len[i] = f.len;
		r.data.set(f.data, i * 64);
		this.lined(row.shown);
	}

	// gap puts a line of text into the trace.
	gap(text) {
		if (!this.lines) return;
		this.ring.row[this.lines % TRACE] = text;
		this.lined(true);
	}

	lined(matches) {
		if (matches) this.matches[this.lastMatch++ % TRACE] = this.lines;
		this.lines++;
		const oldest = this.lines - TRACE;
		this.firstMatch = Math.max(this.firstMatch, this.lastMatch - TRACE); // what was before is overwritten
		while (this.firstMatch < this.lastMatch && this.matches[this.firstMatch % TRACE] < oldest) this.firstMatch++;
	}

	pause(on) {
		this.paused = on;
		if (on || !this.passed) return;
		this.gap(`${this.passed.toLocaleString("en")} messages passed while the trace was paused`);
		this.passed = 0;
	}

	filter(visible) {
		this.visible = visible;
		for (const row of this.rows.values()) row.shown = visible(row);
		this.firstMatch = this.lastMatch = 0;
		for (let n = Math.max(0, this.lines - TRACE); n < this.lines; n++) {
			const row = this.ring.row[n % TRACE];
			// Rows beyond the table's are only here.
			if (typeof row === "string" || (row.shown = visible(row))) this.matches[this.lastMatch++ % TRACE] = n;
		}
	}

	// line fills f from the trace's line of that number, and returns its row, or
	// the text of a gap.
	line(n, f) {
		const i = n % TRACE, r = this.ring;
		f.time = r.time[i];
		f.flags = r.flags[i];
		f.len = r.len[i];
		f.data.set(r.data.subarray(i * 64, i * 64 + 64));
		const row = r.row[i];
		if (typeof row === "object") f.id = row.id;
		return row;
	}

	// advance empties the bins that time has gone over, and returns the index of
	// the one that fills now.
	advance(now) {
		const bin = Math.floor(now / BIN);
		for (let b = Math.max(this.bin + 1, bin - BINS + 1); b <= bin; b++) {
			this.rate[b % BINS] = this.nominal[b % BINS] = this.fast[b % BINS] = 0;
		}
		this.bin = Math.max(this.bin, bin);
		return this.bin % BINS;
	}

	// series returns the values of whole bins since the beginning, the oldest
	// first.
	series(now, value) {
		this.advance(now);
		const length = Math.min(BINS - 1, this.bin - this.firstBin);
		return Array.from({ length }, (_, i) => value((this.bin - length + i) % BINS));
	}

	// rates returns messages per second, loads shares of the bus.
	rates(now) {
		return this.series(now, (i) => (this.rate[i] * 1000) / BIN);
	}

	loads(now, bitrate, dataBitrate) {
		return this.series(now, (i) => ((this.nominal[i] / bitrate + this.fast[i] / dataBitrate) * 1000) / BIN);
	}
}
