// The page: its channels, its controls, and when to draw.

import { Model, Recording, BINS, compile } from "./model.js";
import { Link } from "./link.js";
import { drawTable } from "./table.js";
import { showTrace, drawTrace, turnPause } from "./trace.js";
import { showForm, drawForm, say } from "./send.js";
import { $, element, setText, num, plural } from "./dom.js";

const DRAW = 100; // ms between two drawings
const LIST = 10000; // ms between two looks for channels
const MOST = 200; // channels in the list

const channels = new Map(); // links, by name: those that were opened
const labels = new Map(); // names of messages by the text of their identifier
let name, current, model; // of what is shown
let listed = [];

// A channel's name is the last segment of its page's path.
function here() {
	const name = location.pathname.split("/").pop();
	try {
		return name === "index.html" ? "" : decodeURIComponent(name);
	} catch {
		return name; // it is no UTF-8
	}
}

const pageOf = (name) => (encodeURIComponent(name) || "./") + location.search;

function open(name) {
	const model = new Model(labels), link = new Link(new URL(pageOf(name), location.href.replace("http", "ws")).href, model, {
		note: (text) => notice(`${name || "default channel"}: ${text}`),
		sent: (text) => link === current && say(`Sent ${text}, and seen on the bus.`),
	});
	model.filter(compile($("filter").value));
	channels.set(name, link);
	return link;
}

function show(wanted) {
	name = wanted;
	current = channels.get(name) ?? open(name);
	model = current.model;
	showTrace(model);
	showForm(current);
	document.title = name ? `${name} · canhub` : "canhub";
	listChannels();
	draw();
}

function go(wanted) {
	if (wanted === name) return;
	history.pushState(null, "", pageOf(wanted));
	show(wanted);
}

function listChannels() {
	const focused = document.activeElement?.channel, left = listed.length - MOST;
	const links = [...new Set([...listed.slice(0, MOST), ...channels.keys()])].map((channel) => {
		const a = element("a", { href: pageOf(channel), channel, ariaCurrent: channel === name && "page" }, channel || "default", element("small"));
		a.onclick = (e) => {
			if (e.ctrlKey || e.metaKey || e.shiftKey) return; // into a tab or window of its own
			e.preventDefault();
			go(channel);
		};
		return a;
	});
	$("channels").replaceChildren(...links, left > 0 ? `and ${num(left)} more` : "");
	if (focused !== undefined) links.find((a) => a.channel === focused)?.focus();
}

async function fetchJSON(file) {
	const r = await fetch(file + location.search, { signal: AbortSignal.timeout(LIST) });
	if (!r.ok) throw new Error(`${file}: ${r.status}`);
	return r.json();
}

async function lookForChannels() {
	try {
		const names = (await fetchJSON("channels.json")).map((n) => String(n).toWellFormed());
		if (names.join("\n") === listed.join("\n")) return;
		listed = names;
		listChannels();
	} catch {
		// The server is away: those that are known stay.
	}
}

function draw() {
	const now = performance.now();
	if (document.hidden) return;
	drawTable(model, now);
	drawTrace();
	drawForm();
	drawState(now);
	drawFigures();
	drawPlots(now);
}

function drawState(now) {
	const { state, text, retryAt } = current, { recording } = model;
	document.body.dataset.state = state;
	setText($("state"), text);
	$("state").title = text;
	$("retry").hidden = state !== "waiting";
	setText($("retry"), `Connect now; or in ${Math.max(0, Math.ceil((retryAt - now) / 1000))} s`);
	$("record").ariaPressed = !!recording;
	setText($("record"), recording ? `${recording.left ? "Full" : "Stop"}, ${num(recording.count)}` : "Record");
}

function drawFigures() {
	const { total, errors, lastError, overflows, lost, refused, refusal, rows } = model;
	let loss = overflows ? "receive overflows" : "none reported";
	if (lost) loss = `${plural(lost, "message")} this page was too busy for`;
	if (refused) loss = `${plural(refused, "message")} refused: ${refusal}`;
	figure("total", num(total), false, plural(rows.size, "row"));
	figure("errors", num(errors), errors, errors ? lastError : "no error frame");
	figure("losses", num(overflows + lost), overflows + lost + refused, loss);
}

function figure(id, text, alarm, note) {
	setText($(id), text);
	$(id).parentNode.classList.toggle("alarm", !!alarm);
	if (!note) return;
	setText($(id + "-note"), note);
	$(id + "-note").title = note;
}

const count = (bin) => bin.count;

// late is of the last second: two bins.
const late = (values) => ((values.at(-1) ?? 0) + (values.at(-2) ?? 0)) / 2;

function drawPlots(now) {
	const counts = model.series(now, count);
	const loads = model.series(now, (b) => b.nominal / bitrate[0] / 10 + b.fast / bitrate[1] / 10); // per cent
	const load = late(loads);
	figure("rate", num(Math.round(late(counts))));
	figure("load", `${load >= 99.95 ? num(Math.round(load)) : load.toFixed(1)} %`, load > 100);
	plot("rate", counts, "");
	plot("load", loads, " %");
	for (const a of $("channels").children) {
		const c = channels.get(a.channel), rate = c && c !== current ? Math.round(late(c.model.series(now, count))) : 0;
		setText(a.lastChild, rate ? `${num(rate)}/s` : "");
	}
}

// plot draws the last minute. Its scale ends at 10 at least, at 1, 2 or 5 times 10ⁿ.
function plot(id, values, unit) {
	const most = Math.max(10, ...values), power = 10 ** Math.floor(Math.log10(most)), first = BINS - values.length;
	const top = power * [1, 2, 5, 10].find((n) => n * power >= most * 0.9999);
	const at = (i, y) => `${((first + i) / (BINS - 1)) * 100}% ${y}%`;
	const points = values.map((v, i) => at(i, 98 - (v / top) * 98));
	$(id + "-plot").style.clipPath = `polygon(${[at(0, 100), ...points, "100% 100%"]})`;
	setText($(id + "-scale"), (top >= 10000 ? `${num(top / 1000)}k` : num(top)) + unit);
}

let settings = {};
try {
	settings = localStorage;
} catch {
	// The browser allows none: they last as long as the page.
}

function notice(text) {
	$("notice").hidden = !text;
	setText($("notice").firstChild, text);
}

function record() {
	const { recording } = model;
	model.recording = recording ? undefined : new Recording(name || "can0");
	if (!recording) return;
	const left = recording.left ? `; ${plural(recording.left, "message")} left out, for it was full` : "";
	say(`${plural(recording.count, "message")} in ${recording.download()}${left}.`);
}

function clear() {
	model.clear();
	notice("");
	draw();
}

function filter() {
	const f = compile($("filter").value);
	for (const c of channels.values()) c.model.filter(f);
}

function theme() {
	const { style } = document.documentElement, prefers = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
	style.colorScheme = settings["canhub.theme"] = (style.colorScheme || prefers) === "dark" ? "light" : "dark";
}

const bitrate = []; // kbit/s, nominal and of data
[["nominal", 500], ["fast", 2000]].forEach(([id, otherwise], i) => {
	const input = $(id), key = "canhub." + id;
	input.value = settings[key] ?? otherwise;
	if (!input.checkValidity()) input.value = otherwise;
	bitrate[i] = input.value;
	input.onchange = () => input.reportValidity() && (settings[key] = bitrate[i] = input.value);
});

const views = document.querySelectorAll(".views button");

function view(name) {
	document.body.dataset.view = name;
	for (const b of views) b.ariaPressed = b.dataset.view === name;
}

function toFilter() {
	if (document.body.dataset.view === "send") view("table");
	$("filter").focus();
}

function toForm() {
	view("send");
	$("send").elements.id.focus();
}

const help = () => $("help-dialog").showModal();

const KEYS = {
	"/": [toFilter, "filter"],
	" ": [turnPause, "pause the trace, or let it go on"],
	s: [toForm, "send a frame"],
	r: [record, "record; once more to download the log"],
	c: [clear, "clear table, trace and counts"],
	b: [() => $("nominal").focus(), "bit rate"],
	t: [theme, "dark or light"],
	"?": [help, "help"],
};

for (const [key, [, what]] of Object.entries(KEYS).reverse()) {
	$("keys").prepend(element("dt", {}, element("kbd", {}, key === " " ? "space" : key)), element("dd", {}, what));
}

const CLICKS = { record, clear, theme, help, retry: () => current.connect(), dismiss: () => notice("") };
for (const id in CLICKS) $(id).onclick = CLICKS[id];
for (const b of views) b.onclick = () => view(b.dataset.view);
$("filter").oninput = filter;

addEventListener("keydown", (e) => {
	if (e.ctrlKey || e.metaKey || e.altKey || e.repeat || document.querySelector("dialog[open]")) return;
	const field = e.target.closest("input, select");
	if (e.key === "Escape" && field) {
		if (field !== $("filter") || !field.value) return field.blur();
		field.value = "";
		return filter();
	}
	if (field || (e.key === " " && e.target.closest("button, a"))) return;
	const a = $("channels").children[e.key - 1], act = a ? () => go(a.channel) : KEYS[e.key]?.[0];
	if (!act) return;
	e.preventDefault();
	act();
});

addEventListener("popstate", () => show(here()));
addEventListener("beforeunload", (e) => {
	if ([...channels.values()].some((c) => c.model.recording)) e.preventDefault(); // it would be lost
});

document.documentElement.style.colorScheme = settings["canhub.theme"] ?? "";
view("table");
show(here());
setInterval(draw, DRAW);
setInterval(() => document.hidden || lookForChannels(), LIST);
lookForChannels();
try {
	for (const [id, name] of Object.entries(await fetchJSON("labels.json"))) labels.set(id, String(name));
	for (const c of channels.values()) c.model.filter();
} catch (err) {
	notice(`No names of messages: ${err.message}`);
}
