// The connection to the server: opened again when it ends, with growing pauses.

import { OWN, newFrame, frameText, decodeBinary, decodeJSON, encodeJSON } from "./frame.js";

// ms
const PAUSE = 500, LONGEST = 15000; // between two tries
const ANSWER = 5000; // a server has for bus_response
const STEADY = 10000; // a good connection lasts: then the pauses begin anew
const ECHO = 3000; // a sent frame is waited for

export class Link {
	frame = newFrame();
	tries = 0;
	marks = false; // the server marks what this page sent
	echoes = []; // {text, until}: sent, and not yet seen on the bus
	periodics = new Map(); // {frame, text, period, seen} by identifier, as the server keeps them

	// What comes is the model's. on.note(text) gets what the server says,
	// on.sent(text) what this page sent and then saw on the bus.
	constructor(url, model, on) {
		Object.assign(this, { url, model, on });
		this.connect();
	}

	connect() {
		clearTimeout(this.timer);
		this.worker?.terminate();
		this.set("connecting", "Connecting");
		// A worker's socket does not keep the page busy.
		const worker = (this.worker = new Worker(new URL("socket.js", import.meta.url)));
		worker.postMessage({ url: this.url, protocols: ["can.binary+json.v1", "can.json.v1"] });
		worker.onmessage = ({ data: { open, pack, lost, closed } }) => {
			if (worker !== this.worker) return; // of a connection that was given up
			if (open) this.tell("bus_request", { config: { receive_own_messages: true } });
			if (pack) this.receive(pack, performance.now());
			if (lost) this.model.lose(lost);
			if (closed) this.ended(closed.code, closed.reason);
			else if (pack) worker.postMessage(true);
		};
		worker.onerror = (e) => worker === this.worker && this.ended(1006, e.message);
		this.timer = setTimeout(() => this.ended(1006, "the server does not answer"), ANSWER);
	}

	set(state, text) {
		this.state = state;
		this.text = text;
	}

	ended(code, reason) {
		const now = performance.now();
		clearTimeout(this.timer);
		this.worker.terminate();
		this.worker = undefined;
		if (this.state === "open") {
			this.lostAt = now;
			this.model.gap("the connection was lost");
			if (now - this.openedAt > STEADY) this.tries = 0;
		}
		reason ||= code === 1006 ? "no connection: the server is away, or refuses the channel" : "the server ended it";
		this.set("waiting", `${reason[0].toUpperCase()}${reason.slice(1)} (${code})`);
		this.echoes = [];
		this.marks = false; // it may be another server next time
		// Pages that lost a server together do not come back together.
		const pause = Math.min(PAUSE * 2 ** this.tries++, LONGEST) * (0.75 + Math.random() / 2);
		this.retryAt = now + pause;
		this.timer = setTimeout(() => this.connect(), pause);
	}

	opened(info) {
		clearTimeout(this.timer);
		this.openedAt = performance.now();
		this.set("open", typeof info === "string" ? `Connected: ${info.slice(0, 100)}` : "Connected");
		if (this.lostAt) this.model.gap(`connected again after ${((this.openedAt - this.lostAt) / 1000).toFixed(1)} s`);
		this.lostAt = 0;
		// The server forgot them with the connection.
		for (const p of this.periodics.values()) this.tellPeriodic(p);
	}

	receive(pack, now) {
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
			this.model.refuse("text that is no JSON");
		}
		const { type, payload } = m ?? {};
		if (type === "message") this.take(decodeJSON(payload, this.frame), now);
		else if (type === "error") this.on.note(`The server says: ${typeof payload === "string" ? payload.slice(0, 300) : type}`);
		else if (type === "bus_response" && this.state !== "open") this.opened(payload?.channel_info);
	}

	take(reason, now) {
		if (reason) this.model.refuse(reason);
		if (reason !== "") return;
		const own = this.echo(now);
		if (this.frame.flags & OWN) this.marks = true;
		else if (own) this.frame.flags |= OWN;
		this.model.take(this.frame, now);
	}

	// echo tells whether this page has sent the frame at hand, or an equal one if
	// the server does not mark them.
	echo(now) {
		if (this.marks && !(this.frame.flags & OWN)) return false;
		const p = this.periodics.get(this.frame.id);
		if (!p && !this.echoes.length) return false;
		const text = frameText(this.frame), at = this.echoes.findIndex((e) => e.text === text && e.until > now);
		if (at >= 0) {
			this.echoes.splice(at, 1);
			this.on.sent(text);
		} else if (p?.text === text) p.seen++;
		else return false;
		return true;
	}

	tell(type, payload) {
		this.worker.postMessage(JSON.stringify({ type, payload }));
	}

	tellPeriodic({ frame, period }) {
		this.tell("periodic_start", { period, duration: null, msg: encodeJSON(frame) });
	}

	// send and start need an open link.
	send(frame) {
		this.tell("message", encodeJSON(frame));
		this.echoes.push({ text: frameText(frame), until: performance.now() + ECHO });
		if (this.echoes.length > 100) this.echoes.shift();
	}

	// start has the server send it every so many seconds, in place of its identifier's last.
	start(frame, period) {
		this.stop(frame.id);
		const p = { frame, period, seen: 0, text: frameText(frame) };
		this.periodics.set(frame.id, p);
		this.tellPeriodic(p);
	}

	// Servers may end a connection that stops what was not started.
	stop(id) {
		if (this.periodics.delete(id) && this.state === "open") this.tell("periodic_stop", id);
	}
}
