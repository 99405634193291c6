// The trace, a line for each message. Only those in sight exist.

import { OWN, RTR, ERR, idText, dataText, flagsText, frameText } from "./frame.js";
import { TRACE } from "./model.js";
import { fill } from "./send.js";
import { $, element, setText, num } from "./dom.js";

const HEIGHT = 22; // px of a line, as in the style
const PARTS = ["time", "dir", "id", "len", "data", "name", "flags"];

const scroller = $("trace"), box = $("trace-lines"), detail = $("detail");

let model, rows;
let matches = []; // numbers of the lines that there are to see
let picked = -1; // number of the line
let top = 0; // where the scroller was put
let resized = false;

export function showTrace(of) {
	model = of;
	model.changed = true;
	pause(model.paused);
	pick(-1);
}

export function pause(on) {
	model.pause(on);
	$("pause").ariaPressed = on;
	setText($("pause"), on ? "Resume" : "Pause");
	if (!on) pick(-1);
}

export const turnPause = () => pause(!model.paused);

export function drawTrace() {
	if (rows !== model.rows) pick(-1); // it was cleared, or is another
	rows = model.rows;
	const { lines, passed, paused } = model;
	if (!model.changed && !resized) return;
	model.changed = false;
	matches = model.matches();
	const count = matches.length, kept = Math.min(lines, TRACE);
	scroller.firstChild.style.height = count * HEIGHT + "px";
	if (!paused) scroller.scrollTop = top = Math.max(0, count * HEIGHT - scroller.clientHeight);
	resized = false;
	drawLines();
	let note = (count < kept ? `${num(count)} of ` : "") + num(kept);
	if (lines > TRACE) note += `; ${num(lines - TRACE)} older ones left out`;
	if (passed) note += `; ${num(passed)} passed since the pause`;
	setText($("trace-note"), note);
}

function drawLines() {
	const lines = box.children, first = Math.max(0, Math.floor(scroller.scrollTop / HEIGHT) - 2);
	const wanted = Math.min(matches.length - first, Math.ceil(scroller.clientHeight / HEIGHT) + 4);
	while (lines.length < wanted) box.append(element("div", { className: "line", role: "listitem" }, ...PARTS.map((className) => element("span", { className }))));
	box.style.transform = `translateY(${first * HEIGHT}px)`;
	for (let i = 0; i < lines.length; i++) {
		lines[i].hidden = i >= wanted;
		if (i < wanted) drawLine(lines[i], matches[first + i]);
	}
}

const frame = (number) => model.ring[number % TRACE];

function drawLine(line, number) {
	const f = frame(number), { row, flags } = f, error = flags & ERR, own = flags & OWN;
	const parts = row ? {
		time: clock(f),
		dir: own ? "Tx" : "Rx",
		id: idText(f.id, flags),
		len: f.len,
		data: error ? row.name : flags & RTR ? `asks for ${f.len}` : dataText(f),
		name: error ? "" : row.name,
		flags: flagsText(flags),
	} : { data: f.text };
	line.number = number;
	line.className = "line" + (row ? "" : " gap") + (error ? " error" : "") + (own ? " tx" : "") + (number === picked ? " chosen" : "");
	PARTS.forEach((p, i) => setText(line.children[i], String(parts[p] ?? "")));
}

// clock is the time of the day, to the tenth of a millisecond.
function clock({ time }) {
	const fraction = String(Math.floor((time % 1) * 10000)).padStart(4, "0");
	return `${new Date(time * 1000).toTimeString().slice(0, 8)}.${fraction}`;
}

function pick(number) {
	picked = number;
	const f = frame(number);
	detail.hidden = !f?.row;
	if (detail.hidden) return;
	const day = new Date(f.time * 1000).toLocaleDateString("sv"); // as ISO 8601 has it
	detail.textContent = `${day} ${clock(f)} ${f.row.name} ${frameText(f)}`;
	if (!model.paused) pause(true);
	drawLines();
}

function take() {
	const f = frame(picked);
	if (f?.row && picked >= model.lines - TRACE) fill(f);
}

function move(step) {
	let at = picked < 0 ? -1 : matches.findIndex((n) => n >= picked);
	if (at < 0) at = matches.length;
	at = Math.min(Math.max(at + step, 0), matches.length - 1);
	if (at < 0) return;
	pick(matches[at]);
	const y = at * HEIGHT;
	scroller.scrollTop = Math.max(Math.min(scroller.scrollTop, y), y + HEIGHT - scroller.clientHeight);
}

box.onclick = (e) => pick(e.target.closest(".line")?.number ?? -1);
box.ondblclick = take;
$("pause").onclick = turnPause;
scroller.onkeydown = (e) => {
	const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
	if (step) move(step);
	else if (e.key === "Enter") take();
	else return;
	e.preventDefault();
};
scroller.onscroll = () => {
	const back = scroller.scrollHeight - scroller.clientHeight - scroller.scrollTop;
	if (!model.paused && !resized && back > 2 * HEIGHT && scroller.scrollTop < top) pause(true);
	if (model.paused) drawLines();
};
new ResizeObserver(() => (resized = true)).observe(scroller);
