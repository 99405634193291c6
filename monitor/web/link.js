// The connection to the server: opened again when it ends, with growing pauses.

import { newFrame, frameText, sameFrame, OWN } from "./frame.js";
import { PROTOCOLS, decodeBinary, decodeJSON, busRequest, message, periodicStart, periodicStop } from "./wire.js";

const PAUSES = [0.5, 1, 2, 4, 8, 15]; // s
const ANSWER = 5000; // ms that a server has for bus_response
const ECHO = 3000; // ms after which a sent frame is not waited for any more

const CLOSED = {
	1000: "the server closed the connection",
	1001: "the server is going away",
	1006: "no connection",
	1008: "refused by the server",
	1009: "message too big",
	1011: "server error",
	1012: "the server restarts",
	1013: "the server is busy",
};

// A Link calls on.frame(frame, now) for each message, on.refused(reason),
// on.state(link) when its state changes, on.note(text) with what the server
// says, and on.sent(frame) when a frame that it sent has been on the bus.
export class Link {
	constructor(url, on) {
		this.url = url;
		this.on = on;
		this.state = "connecting"; // open, waiting
		this.info = ""; // what the server calls the bus
		this.why = ""; // it is waiting
		this.retryAt = 0;
		this.tries = 0;
		this.frame = newFrame();
		this.marks = false; // the server marks what this page sent
		this.echoes = []; // {frame, until}: sent, and not yet seen on the bus
		this.periodics = new Map(); // by identifier, as the server keeps them
		this.connect();
	}

	connect() {
		clearTimeout(this.timer);
		this.worker?.terminate();
		this.set("connecting");
		// A worker's socket does not keep the page busy.
		const worker = (this.worker = new Worker(new URL("socket.js", import.meta.url)));
		worker.postMessage({ url: this.url, protocols: PROTOCOLS });
		worker.onmessage = ({ data: { open, pack, closed } }) => {
			if (worker !== this.worker) return; // of a connection that was given up
			if (open) worker.postMessage(busRequest());
			if (pack) this.receive(pack);
			if (closed) this.ended(closed.code, closed.reason);
		};
		worker.onerror = (e) => this.ended(1006, e.message);
		this.timer = setTimeout(() => this.ended(1006, "the server does not answer"), ANSWER);
	}

	ended(code, reason) {
		const was = this.state;
		clearTimeout(this.timer);
		this.worker.terminate();
		this.worker = undefined;
		const told = CLOSED[code] || "the connection ended";
		this.why = `${reason || told} (${code})`;
		const pause = PAUSES[Math.min(this.tries, PAUSES.length - 1)] * (0.9 + 0.2 * Math.random());
		this.tries++;
		this.retryAt = Date.now() + pause * 1000;
		this.timer = setTimeout(() => this.connect(), pause * 1000);
		this.echoes = [];
		this.marks = false; // it may be another server next time
		this.set("waiting", was === "open");
	}

	set(state, lost = false) {
		this.state = state;
		this.on.state(this, lost);
	}

	receive(pack) {
		const now = performance.now();
		for (const data of pack) {
			if (typeof data === "string") this.event(data, now);
			else this.take(decodeBinary(data, this.frame), now);
		}
	}

	event(text, now) {
		let m;
		try {
			m = JSON.parse(text);
		} catch {
			this.on.refused("text that is no JSON");
			return;
		}
		switch (m?.type) {
			case "bus_response":
				this.opened(m.payload?.channel_info);
				break;
			case "message":
				this.take(decodeJSON(m.payload, this.frame), now);
				break;
			case "error":
				this.on.note(`The server says: ${String(m.payload).slice(0, 300)}`);
				break;
		}
	}

	opened(info) {
		clearTimeout(this.timer);
		this.tries = 0;
		this.why = "";
		this.info = typeof info === "string" ? info.slice(0, 100) : "";
		this.set("open");
		for (const p of this.periodics.values()) {
			this.worker.postMessage(periodicStart(p.frame, p.period)); // the server forgot it with the connection
		}
	}

	take(reason, now) {
		if (reason === undefined) return;
		if (reason) {
			this.on.refused(reason);
			return;
		}
		const own = this.echo(now);
		if (this.frame.flags & OWN) this.marks = true;
		else if (own && !this.marks) this.frame.flags |= OWN;
		this.on.frame(this.frame, now);
	}

	// echo tells whether the frame at hand is equal to one that this page has
	// sent. Where the server does not mark those, the first one is taken for it.
	echo(now) {
		if (this.marks && !(this.frame.flags & OWN)) return false;
		while (this.echoes.length && this.echoes[0].until < now) this.echoes.shift();
		const at = this.echoes.findIndex((e) => sameFrame(e.frame, this.frame));
		if (at >= 0) {
			this.on.sent(this.echoes.splice(at, 1)[0].frame);
			return true;
		}
		const p = this.periodics.get(this.frame.id);
		if (!p || !sameFrame(p.frame, this.frame)) return false;
		p.seen++;
		return true;
	}

	// send sends a frame, or returns why it does not.
	send(frame) {
		if (this.state !== "open") return "not connected";
		this.worker.postMessage(message(frame));
		this.echoes.push({ frame, until: performance.now() + ECHO });
		if (this.echoes.length > 100) this.echoes.shift();
		return "";
	}

	// start makes the server send the frame every so many seconds, in the place
	// of another with its identifier.
	start(frame, period) {
		if (this.state !== "open") return "not connected";
		this.stop(frame.id);
		this.worker.postMessage(periodicStart(frame, period));
		this.periodics.set(frame.id, { frame, period, seen: 0, text: frameText(frame) });
		return "";
	}

	// stop ends it. Servers may end a connection that stops what was not started.
	stop(id) {
		if (this.periodics.delete(id) && this.state === "open") this.worker.postMessage(periodicStop(id));
	}
}
