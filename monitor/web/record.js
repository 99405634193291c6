// A recording: lines of a candump log, packed away in blobs, which the browser
// may keep on disk.

import { frameText, OWN } from "./frame.js";

const PACK = 5000; // lines
const MAX_BYTES = 512 << 20;

export class Recording {
	constructor(channel) {
		this.channel = channel.replace(/[^\x21-\x7e]/g, "_").slice(0, 255) || "can0"; // a word, as logs need it
		this.start = new Date();
		this.packs = [];
		this.lines = [];
		this.count = 0;
		this.bytes = 0;
		this.left = 0; // out, for want of room
	}

	take(f) {
		if (this.bytes > MAX_BYTES) {
			this.left++;
			return;
		}
		const line = `(${f.time.toFixed(6)}) ${this.channel} ${frameText(f)} ${f.flags & OWN ? "T" : "R"}\n`;
		this.lines.push(line);
		this.bytes += line.length;
		this.count++;
		if (this.lines.length >= PACK) this.pack();
	}

	pack() {
		this.packs.push(new Blob([this.lines.join("")]));
		this.lines = [];
	}

	// download hands the log to the user.
	download() {
		this.pack();
		const url = URL.createObjectURL(new Blob(this.packs, { type: "text/plain" }));
		const a = document.createElement("a");
		a.href = url;
		const stamp = this.start.toISOString().slice(0, 19).replaceAll(":", "");
		a.download = `${this.channel.replace(/[^\w.-]/g, "_")}-${stamp}.log`;
		a.click();
		setTimeout(() => URL.revokeObjectURL(url), 60000);
		return a.download;
	}
}
