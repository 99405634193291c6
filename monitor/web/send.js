// The form that sends, once or periodically.

import { EXT, RTR, ERR, FD, BRS, ESI, newFrame, fault, idText, dataText, parseHex, parseFrame, frameText } from "./frame.js";
import { $, element, setText } from "./dom.js";

const KINDS = { data: 0, remote: RTR, fd: FD, brs: FD | BRS };

const form = $("send"), note = $("send-note"), list = $("periodics");
const { kind, id, ext, data, len, period, start } = form.elements;
let link, listed;

export function showForm(of) {
	link = of;
	listed = undefined;
	say("");
}

export function say(text, bad) {
	note.textContent = text;
	note.className = bad ? "bad" : "";
}

function changed() {
	for (const f of form.elements) f.removeAttribute("aria-invalid");
	data.parentNode.hidden = kind.value === "remote";
	len.parentNode.hidden = kind.value !== "remote";
	if (note.className) say("");
}

export function fill(f) {
	if (f.flags & ERR) return say("Error frames cannot be sent from here.", true);
	kind.value = Object.keys(KINDS).findLast((k) => (f.flags & KINDS[k]) === KINDS[k]);
	id.value = idText(f.id, f.flags);
	ext.checked = f.flags & EXT;
	if (f.flags & RTR) len.value = f.len;
	else data.value = dataText(f);
	changed();
	say(`${frameText({ ...f, flags: f.flags & ~ESI })} is in the form.`);
}

// takeApart is for a whole frame in the field, as in 123#AABB.
function takeApart() {
	const f = parseFrame(id.value);
	if (f) fill(f);
}

// read returns the frame of the form, or undefined, and then says why.
function read() {
	if (link.state !== "open") return say("Not sent: not connected.", true);
	takeApart();
	const f = newFrame(), text = id.value.trim().replace(/^0x/i, "");
	if (!text) return bad(id, "an identifier is missing");
	if (!/^[0-9a-f]{1,8}$/i.test(text)) return bad(id, `identifier ${quoted(id)}: want up to eight hexadecimal digits`);
	f.id = parseInt(text, 16);
	f.flags = KINDS[kind.value] | (ext.checked || text.length === 8 ? EXT : 0);
	if (f.flags & RTR) {
		f.len = +len.value;
		if (!/^[0-8]$/.test(len.value.trim())) return bad(len, `length ${quoted(len)}: a remote frame asks for 0 to 8 bytes`);
	} else {
		const bytes = parseHex(data.value);
		if (typeof bytes === "string") return bad(data, bytes);
		f.len = bytes.length;
		if (f.len <= 64) f.data.set(bytes);
	}
	const why = fault(f);
	return why ? bad(why.startsWith("identifier") ? id : data, why.replace(/11 bits$/, "$&: choose 29 bits")) : f;
}

const quoted = (field) => `“${field.value.slice(0, 20)}”`;

function bad(field, why) {
	field.setAttribute("aria-invalid", "true");
	field.focus();
	say(why[0].toUpperCase() + why.slice(1) + ".", true);
}

form.onsubmit = (e) => {
	e.preventDefault();
	const frame = read();
	if (!frame) return;
	link.send(frame);
	say(`Sent ${frameText(frame)}`);
};

start.onclick = () => {
	const frame = read();
	if (!frame) return;
	const ms = Number(period.value.trim().replace(",", "."));
	if (!(ms >= 1 && ms <= 3600000)) return bad(period, `period ${quoted(period)}: want 1 to 3600000 milliseconds`);
	link.start(frame, ms / 1000);
	say(`The server sends ${frameText(frame)} every ${ms} ms.`);
};

form.oninput = changed;
id.onpaste = () => setTimeout(takeApart);
changed();

export function drawForm() {
	const tasks = [...link.periodics.values()], key = tasks.map((p) => `${p.text} ${p.period}`).join();
	if (key !== listed) list.replaceChildren(...tasks.map(item));
	listed = key;
	tasks.forEach((p, i) => setText(list.children[i].children[1], p.seen ? `${p.seen} seen` : "not seen yet"));
}

function item({ frame, text, period }) {
	const onclick = () => {
		link.stop(frame.id);
		say(`Stopped ${text}.`);
	};
	return element("li", {}, element("code", { title: text }, text), `every ${+(period * 1000).toFixed(3)} ms`,
		element("span"), element("button", { type: "button", ariaLabel: `Stop ${text}`, onclick }, "Stop"));
}
