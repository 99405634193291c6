// The page: its channels, its controls, and when to draw.

import { ERR } from "./frame.js";
import { compile } from "./filter.js";
import { Model, BIN, BINS } from "./model.js";
import { Link } from "./link.js";
import { Recording } from "./record.js";
import { Table, setText, element } from "./table.js";
import { Trace } from "./trace.js";
import { Plot } from "./plot.js";
import { SendForm } from "./send.js";

const $ = (id) => document.getElementById(id);
const DRAW = 100; // ms between two drawings, at least
const LIST = 10000; // ms between two looks for channels

const labels = {}; // filled in place: models refer to it
const channels = new Map(); // by name: those that were opened
let current;
let listed = [];

// A setting outlives the page, where the browser allows.
const setting = {
	read(name, otherwise) {
		try {
			return localStorage.getItem("canhub." + name) ?? otherwise;
		} catch {
			return otherwise;
		}
	},
	write(name, value) {
		try {
			localStorage.setItem("canhub." + name, value);
		} catch {
			// It lasts as long as the page, then.
		}
	},
};
const bitrate = { nominal: +setting.read("nominal", 500), data: +setting.read("data", 2000) }; // kbit/s

const ratePlot = new Plot($("rate-plot"));
const loadPlot = new Plot($("load-plot"));
const form = new SendForm($("send"), $("periodics"));
const table = new Table($("table-panel"), (f) => form.fill(f));
const trace = new Trace($("trace-panel"), (f) => form.fill(f), () => pause(true));

// ---- channels

// The page of a channel is beside that of the others: its name is the last
// segment of the path.
function here() {
	const name = location.pathname.split("/").pop();
	try {
		return name === "index.html" ? "" : decodeURIComponent(name);
	} catch {
		return name; // it is no UTF-8
	}
}

const pageOf = (name) => encodeURIComponent(name) + location.search;

function socketOf(name) {
	const url = new URL(name ? pageOf(name) : "./" + location.search, location.href);
	url.protocol = url.protocol.replace("http", "ws");
	url.hash = "";
	return url.href;
}

class Channel {
	constructor(name) {
		this.name = name;
		this.model = new Model(labels);
		this.model.filter(compile($("filter").value));
		this.lostAt = 0;
		this.link = new Link(socketOf(name), {
			frame: (f, now) => {
				this.model.take(f, now);
				this.recording?.take(f);
			},
			refused: (reason) => {
				this.model.refused++;
				this.model.refusal = reason;
			},
			state: (link, lost) => this.stateChanged(link, lost),
			note: (text) => notice(this.title + ": " + text),
			sent: (f) => {
				if (this === current) form.sent(f);
			},
		});
	}

	get title() {
		return this.name || "default channel";
	}

	stateChanged(link, lost) {
		if (lost) {
			this.lostAt = Date.now();
			this.model.gap("the connection was lost");
		} else if (link.state === "open") {
			if (this.lostAt) this.model.gap(`connected again after ${((Date.now() - this.lostAt) / 1000).toFixed(1)} s`);
			this.lostAt = 0;
		}
	}
}

function show(name) {
	if (!channels.has(name)) channels.set(name, new Channel(name));
	current = channels.get(name);
	table.show(current.model);
	trace.show(current.model);
	form.show(current.link);
	pause(current.model.paused);
	document.title = name ? `${name} · canhub` : "canhub";
	listChannels();
	draw(true);
}

function go(name) {
	if (name === current.name) return;
	history.pushState(null, "", name ? pageOf(name) : "./" + location.search);
	show(name);
}

function listChannels() {
	const names = [...new Set([...listed, ...channels.keys()])];
	const focused = document.activeElement.channel;
	$("channels").replaceChildren(...names.map((name) => {
		const a = element("a", "", { href: name ? pageOf(name) : "./" + location.search, textContent: name || "default" });
		a.append(element("small", "", {}));
		if (name === current.name) a.setAttribute("aria-current", "page");
		a.channel = name;
		a.onclick = (e) => {
			if (e.ctrlKey || e.metaKey || e.shiftKey) return; // into a tab or window of its own
			e.preventDefault();
			go(name);
		};
		return a;
	}));
	if (focused !== undefined) [...$("channels").children].find((a) => a.channel === focused)?.focus();
}

async function fetchJSON(name) {
	const r = await fetch(name + location.search);
	if (!r.ok) throw new Error(`${name}: ${r.status}`);
	return r.json();
}

async function lookForChannels() {
	try {
		const names = await fetchJSON("channels.json");
		if (Array.isArray(names) && names.join("\n") !== listed.join("\n")) {
			listed = names.map(String);
			listChannels();
		}
	} catch {
		// The server does not list them, or is away: those that are known stay.
	}
}

// ---- drawing

let drawnAt = 0, plottedAt = 0;

function draw(at) {
	const now = performance.now();
	if (at !== true) requestAnimationFrame(draw);
	if (at !== true && now - drawnAt < DRAW) return;
	drawnAt = now;
	const m = current.model;
	table.draw(now);
	trace.draw();
	form.draw();
	drawState();
	drawFigures(m);
	if (at === true || now - plottedAt >= BIN) {
		plottedAt = now;
		drawPlots(m, now);
	}
}

function drawState() {
	const { state, why, info, retryAt } = current.link;
	let text = "Connecting";
	const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
	if (state === "open") text = info ? `Connected: ${info}` : "Connected";
	if (state === "waiting") text = why[0].toUpperCase() + why.slice(1);
	document.body.dataset.state = state;
	setText($("state-text"), text);
	$("state").title = text;
	$("retry").hidden = state !== "waiting";
	setText($("retry"), `Connect now; or in ${seconds} s`);
	const { recording } = current;
	$("record").setAttribute("aria-pressed", String(!!recording));
	setText($("record-text"), recording ? `Stop, ${recording.count.toLocaleString("en")}` : "Record");
}

const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

function drawFigures(m) {
	setText($("total"), m.total.toLocaleString("en"));
	setText($("ids"), m.rows.size ? `${plural(m.rows.size, "row")}${m.unlisted ? " and more" : ""}` : "no identifier");
	setText($("errors"), m.errors.toLocaleString("en"));
	setText($("errors-note"), lastError(m) || "no error frame");
	setText($("losses"), m.overflows.toLocaleString("en"));
	let note = m.overflows ? "receive overflows" : "none reported";
	if (m.refused) note = `${plural(m.refused, "message")} refused: ${m.refusal}`;
	setText($("losses-note"), note);
	$("losses-note").title = note;
	$("error-figure").classList.toggle("alarm", m.errors > 0);
	$("loss-figure").classList.toggle("alarm", m.overflows + m.refused > 0);
}

function lastError(m) {
	let last;
	for (const row of m.rows.values()) if (row.flags & ERR && !(last && last.seen > row.seen)) last = row;
	return last && last.name;
}

const short = (v) => (v >= 10000 ? `${(v / 1000).toLocaleString("en")}k` : v.toLocaleString("en"));

function drawPlots(m, now) {
	const rates = m.rates(now), loads = m.loads(now, bitrate.nominal * 1000, bitrate.data * 1000).map((l) => l * 100);
	// Of the last second, which is two bins.
	const late = (values) => ((values.at(-1) ?? 0) + (values.at(-2) ?? 0)) / 2;
	const load = late(loads);
	setText($("rate"), Math.round(late(rates)).toLocaleString("en"));
	setText($("load"), `${load >= 99.95 ? Math.round(load).toLocaleString("en") : load.toFixed(1)} %`);
	ratePlot.draw(rates, BINS - 1, 10, short);
	loadPlot.draw(loads, BINS - 1, 10, (v) => `${short(v)} %`);
	$("load-plot").closest(".figure").classList.toggle("alarm", load > 100);
	for (const a of $("channels").children) {
		const c = channels.get(a.channel);
		const rate = c && c !== current ? Math.round(late(c.model.rates(now))) : 0;
		setText(a.lastChild, rate ? `${rate.toLocaleString("en")}/s` : "");
	}
}

// ---- controls

function notice(text) {
	$("notice").hidden = !text;
	$("notice").firstChild.textContent = text;
}

function pause(on) {
	current.model.pause(on);
	$("pause").setAttribute("aria-pressed", String(on));
	$("pause").textContent = on ? "Resume" : "Pause";
	if (!on) trace.pick(-1);
}

function record() {
	const { recording } = current;
	if (!recording) {
		current.recording = new Recording(current.name || "can0");
		return;
	}
	current.recording = undefined;
	const file = recording.download();
	const left = recording.left ? `; ${plural(recording.left, "message")} left out, for it was full` : "";
	form.say(`${plural(recording.count, "message")} in ${file}${left}.`);
}

function clear() {
	current.model.clear();
	notice("");
	draw(true);
}

function applyFilter() {
	const f = compile($("filter").value);
	for (const c of channels.values()) c.model.filter(f);
	setText($("filter-note"), $("filter").value.trim() && "for table and trace; a recording has everything");
}

function applyTheme(theme) {
	if (theme) document.documentElement.dataset.theme = theme;
}

function turnTheme() {
	const dark = document.documentElement.dataset.theme
		? document.documentElement.dataset.theme === "dark"
		: matchMedia("(prefers-color-scheme: dark)").matches;
	const theme = dark ? "light" : "dark";
	applyTheme(theme);
	setting.write("theme", theme);
	draw(true);
}

function rateText() {
	const unit = (k) => (k >= 1000 ? `${k / 1000} Mbit/s` : `${k} kbit/s`);
	setText($("bitrate"), `at ${unit(bitrate.nominal)}`);
}

function askBitrate() {
	const f = $("bitrate-dialog").querySelector("form").elements;
	f.nominal.value = bitrate.nominal;
	f.data.value = bitrate.data;
	$("bitrate-note").textContent = "";
	$("bitrate-dialog").showModal();
}

$("bitrate-dialog").querySelector("form").onsubmit = (e) => {
	if (e.submitter?.value === "cancel") return;
	const f = e.target.elements;
	const nominal = Number(f.nominal.value), data = Number(f.data.value);
	if (!(nominal >= 1 && nominal <= 1000 && data >= nominal && data <= 20000)) {
		e.preventDefault();
		$("bitrate-note").textContent = "Want 1 to 1000 kbit/s, and for data from that to 20000.";
		return;
	}
	Object.assign(bitrate, { nominal, data });
	setting.write("nominal", nominal);
	setting.write("data", data);
	rateText();
	draw(true);
};

function view(name) {
	document.body.dataset.view = name;
	for (const b of document.querySelectorAll(".views button")) b.setAttribute("aria-pressed", String(b.dataset.view === name));
	trace.resized = true;
}

$("record").onclick = record;
$("clear").onclick = clear;
$("theme").onclick = turnTheme;
$("help").onclick = () => $("help-dialog").showModal();
$("bitrate").onclick = askBitrate;
$("pause").onclick = () => pause(!current.model.paused);
$("retry").onclick = () => current.link.connect();
$("notice").querySelector("button").onclick = () => notice("");
$("filter").oninput = applyFilter;
for (const b of document.querySelectorAll(".views button")) b.onclick = () => view(b.dataset.view);

const KEYS = {
	"?": () => $("help-dialog").showModal(),
	"/": () => {
		if (document.body.dataset.view === "send") view("table");
		$("filter").focus();
	},
	" ": () => pause(!current.model.paused),
	s: () => {
		view("send");
		$("send").elements.id.focus();
	},
	r: record,
	c: clear,
	b: askBitrate,
	t: turnTheme,
};

addEventListener("keydown", (e) => {
	if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
	const field = e.target.closest("input, select, textarea");
	if (e.key === "Escape" && field) {
		if (field === $("filter") && field.value) {
			field.value = "";
			applyFilter();
		} else field.blur();
		return;
	}
	if (field || (e.key === " " && e.target.closest("button, a"))) return;
	const nth = $("channels").children[Number(e.key) - 1];
	const act = nth && e.key !== "0" ? () => go(nth.channel) : KEYS[e.key];
	if (!act) return;
	e.preventDefault();
	act();
});

addEventListener("popstate", () => show(here()));
addEventListener("online", () => current.link.state === "waiting" && current.link.connect());
addEventListener("beforeunload", (e) => {
	if ([...channels.values()].some((c) => c.recording)) e.preventDefault(); // it would be lost
});

// ---- begin

applyTheme(setting.read("theme", ""));
rateText();
show(here());
requestAnimationFrame(draw);
setInterval(lookForChannels, LIST);
lookForChannels();
fetchJSON("labels.json")
	.then((names) => {
		Object.assign(labels, names);
		for (const c of channels.values()) c.model.relabel();
	})
	.catch((err) => notice(`No names of messages: ${err.message}`));
