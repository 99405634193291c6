// The form that sends, once or periodically.

import { EXT, RTR, ERR, FD, BRS, ESI, newFrame, fault, parseHex, parseFrame, frameText } from "./frame.js";
import { element } from "./table.js";

const KINDS = { data: 0, remote: RTR, fd: FD, brs: FD | BRS };
const SHORTEST = 1; // ms: servers refuse less, or flood the bus
const LONGEST = 3600000;

export class SendForm {
	constructor(form, list) {
		this.form = form;
		this.list = list;
		this.fields = form.elements;
		this.note = form.querySelector("#send-note");
		this.start = form.querySelector("#start");
		form.onsubmit = (e) => {
			e.preventDefault();
			this.send();
		};
		this.start.onclick = () => this.begin();
		form.oninput = () => this.changed();
		this.fields.kind.onchange = () => this.changed();
		this.fields.id.onpaste = (e) => this.paste(e);
		this.changed();
	}

	show(link) {
		this.link = link;
		this.say("");
		this.listed = "";
	}

	changed() {
		for (const f of this.fields) f.removeAttribute?.("aria-invalid");
		const remote = this.fields.kind.value === "remote";
		this.form.querySelector(".f-data").hidden = remote;
		this.form.querySelector(".f-len").hidden = !remote;
		if (this.note.classList.contains("bad")) this.say("");
	}

	// paste takes a whole frame, as in 123#AABB, apart.
	paste(e) {
		const f = parseFrame(e.clipboardData.getData("text"));
		if (!f) return;
		e.preventDefault();
		this.fill(f);
	}

	fill({ id, flags, len, data }) {
		const f = this.fields;
		if (flags & ERR) {
			this.say("Error frames cannot be sent from here.", true);
			return;
		}
		f.kind.value = flags & RTR ? "remote" : flags & FD ? (flags & BRS ? "brs" : "fd") : "data";
		f.id.value = id.toString(16).toUpperCase().padStart(flags & EXT ? 8 : 3, "0");
		f.ext.checked = !!(flags & EXT);
		if (flags & RTR) f.len.value = len;
		else f.data.value = frameText({ id: 0, flags: 0, len, data }).slice(4).replace(/..(?=.)/g, "$& ");
		this.changed();
		this.say(`${frameText({ id, flags: flags & ~ESI, len, data })} is in the form.`);
	}

	// frame returns what the form says, or undefined, and then says why.
	frame() {
		const f = this.fields, out = newFrame();
		let text = f.id.value.trim().replace(/^0x/i, "");
		const whole = parseFrame(text);
		if (whole) {
			this.fill(whole);
			text = f.id.value;
		}
		if (!/^[0-9a-f]{1,8}$/i.test(text)) {
			return this.bad(f.id, text ? `identifier “${f.id.value.slice(0, 20)}”: want up to eight hexadecimal digits` : "an identifier is missing");
		}
		out.id = parseInt(text, 16);
		out.flags = KINDS[f.kind.value] | (f.ext.checked || text.length === 8 ? EXT : 0);
		if (out.flags & RTR) {
			if (!/^[0-8]$/.test(f.len.value.trim())) return this.bad(f.len, `length “${f.len.value}”: a remote frame asks for 0 to 8 bytes`);
			out.len = +f.len.value;
		} else {
			const data = parseHex(f.data.value);
			if (typeof data === "string") return this.bad(f.data, data);
			if (data.length > 64) return this.bad(f.data, `${data.length} bytes: a frame has at most 64`);
			out.data.set(data);
			out.len = data.length;
		}
		const why = fault(out);
		const hint = why.endsWith("11 bits") ? ": choose 29 bits" : "";
		if (why) return this.bad(why.startsWith("identifier") ? f.id : f.data, why + hint);
		return out;
	}

	bad(field, why) {
		field.setAttribute("aria-invalid", "true");
		field.focus();
		this.say(why[0].toUpperCase() + why.slice(1) + ".", true);
		return undefined;
	}

	say(text, bad = false) {
		this.note.textContent = text;
		this.note.classList.toggle("bad", bad);
	}

	send() {
		const frame = this.frame();
		if (!frame) return;
		const why = this.link.send(frame);
		if (why) this.say(`Not sent: ${why}.`, true);
		else this.say(`Sent ${frameText(frame)}`);
	}

	// sent confirms a frame that came back from the bus.
	sent(frame) {
		this.say(`Sent ${frameText(frame)}, and seen on the bus.`);
	}

	begin() {
		const f = this.fields;
		const frame = this.frame();
		if (!frame) return;
		const ms = Number(f.period.value.trim().replace(",", "."));
		if (!(ms >= SHORTEST && ms <= LONGEST)) {
			this.bad(f.period, `period “${f.period.value.slice(0, 20)}”: want ${SHORTEST} to ${LONGEST} milliseconds`);
			return;
		}
		const why = this.link.start(frame, ms / 1000);
		if (why) this.say(`Not started: ${why}.`, true);
		else this.say(`The server sends ${frameText(frame)} every ${ms} ms.`);
		this.draw();
	}

	// draw lists what is sent periodically.
	draw() {
		const tasks = [...this.link.periodics.values()];
		const key = tasks.map((p) => `${p.text} ${p.period}`).join();
		if (key !== this.listed) {
			this.listed = key;
			this.items = tasks.map((p) => this.item(p));
			this.list.replaceChildren(...this.items.map((i) => i.li));
		}
		for (const { p, seen } of this.items || []) {
			const text = p.seen ? `${p.seen} seen` : "not seen yet";
			if (seen.textContent !== text) seen.textContent = text;
		}
	}

	item(p) {
		const li = element("li", "", {});
		const seen = element("span", "", {});
		const stop = element("button", "", { type: "button", textContent: "Stop", ariaLabel: `Stop ${p.text}` });
		stop.onclick = () => {
			this.link.stop(p.frame.id);
			this.say(`Stopped ${p.text}.`);
			this.draw();
		};
		li.append(element("code", "", { textContent: p.text, title: p.text }),
			element("span", "", { textContent: `every ${+(p.period * 1000).toFixed(3)} ms` }), seen, stop);
		return { li, p, seen };
	}
}
