// The table of identifiers. Only what is new and in sight is drawn.

import { RTR, ERR, OWN, HEX, idText, flagsText } from "./frame.js";
import { fill } from "./send.js";
import { $, element, setText, num } from "./dom.js";

const LIT = 900; // ms that a changed byte stays so

const COLUMNS = { id: "ID", name: "Name", data: "Data", count: "Count", period: "Period" };

const ORDER = {
	id: (a, b) => a.key - b.key,
	name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }) || ORDER.id(a, b),
	count: (a, b) => b.count - a.count || ORDER.id(a, b),
	period: (a, b) => (a.period || 1e9) - (b.period || 1e9) || ORDER.id(a, b),
};

const panel = $("table-panel"), body = $("rows");
const scroller = panel.querySelector(".scroll"), empty = panel.querySelector(".empty"), note = panel.querySelector("small");

let rows, sort, backwards;
let sortedAt = 0; // 0: not yet as it should be

const heads = Object.entries(COLUMNS).map(([by, title]) => {
	const inside = ORDER[by] ? element("button", { onclick: () => sortBy(by) }, title) : title;
	return element("th", { className: "c-" + by, role: "columnheader" }, inside);
});
panel.querySelector("thead tr").append(...heads);

function sortBy(by) {
	backwards = sort === by && !backwards;
	sort = by;
	sortedAt = 0;
	// Counts begin with the greatest.
	const way = backwards !== (by === "count") ? "descending" : "ascending";
	for (const th of heads) th.className === "c-" + by ? th.setAttribute("aria-sort", way) : th.removeAttribute("aria-sort");
}
sortBy("id");

const watch = new IntersectionObserver((entries) => {
	for (const e of entries) e.target.inSight = e.isIntersecting;
}, { root: scroller, rootMargin: "100px" });

export function drawTable(model, now) {
	if (rows !== model.rows) {
		rows = model.rows;
		body.replaceChildren();
		sortedAt = 0;
	}
	let shown = 0;
	for (const row of rows.values()) {
		row.tr ??= newLine(row);
		row.tr.hidden = !row.shown;
		if (row.shown) shown++;
		if (row.shown && row.tr.inSight) drawRow(row, now);
	}
	if (!sortedAt || (sort !== "id" && now - sortedAt > 1000)) order(now);
	empty.hidden = shown > 0;
	setText(empty, rows.size ? "The filter hides everything that was seen." : "Nothing yet. What comes on the bus is shown here.");
	const left = model.unlisted ? `; ${num(model.unlisted)} messages of further ones are not listed` : "";
	setText(note, (shown < rows.size ? `${num(shown)} of ` : "") + num(rows.size) + left);
}

function order(now) {
	const sorted = [...rows.values()].sort(ORDER[sort]);
	if (backwards) sorted.reverse();
	const focused = document.activeElement;
	let at = body.firstChild;
	for (const { tr } of sorted) {
		if (tr === at) at = at.nextSibling;
		else body.insertBefore(tr, at);
	}
	// One that was moved has lost it.
	if (focused !== document.activeElement) focused.focus({ preventScroll: true });
	sortedAt = now;
}

function newLine(row) {
	const cells = Object.keys(COLUMNS).map((c) => element("td", { className: "c-" + c, role: "cell" }));
	const own = row.flags & OWN ? element("span", { className: "tag tx" }, "Tx") : "";
	cells[0].append(idText(row.id, row.flags), " ", own, " ", element("span", { className: "tag" }));
	cells[4].append(new Text(), element("i"));
	const tr = element("tr", { role: "row", tabIndex: -1, row, inSight: true }, ...cells);
	watch.observe(tr);
	sortedAt = 0;
	return tr;
}

function drawRow(row, now) {
	const { tr } = row, stale = now - row.seen > Math.max(2000, row.period * 5000);
	if (stale !== tr.stale) tr.classList.toggle("stale", (tr.stale = stale));
	if (!row.dirty && !tr.lit) return;
	row.dirty = false;
	tr.classList.toggle("error", !!(row.flags & ERR));
	const [id, name, data, count, { firstChild: mean, lastChild: jitter }] = tr.children;
	setText(id.lastChild, flagsText(row.flags));
	setText(name, row.name);
	name.title = row.name;
	setText(count, String(row.count));
	if (row.period) setText(mean, time(row.period) + " ");
	if (row.period) setText(jitter, "±" + time(row.jitter).replace(/ .*/, ""));
	if (row.flags & RTR) setText(data, `asks for ${row.len}`);
	else tr.lit = drawData(row, data, now);
}

function drawData(row, cell, now) {
	const spans = cell.children;
	while (spans.length > row.len) cell.lastChild.remove();
	while (spans.length < row.len) cell.append(element("span"));
	let lit = false;
	for (let i = 0; i < row.len; i++) {
		const look = now - row.changed[i] < LIT ? "b lit" : "b";
		if (spans[i].className !== look) spans[i].className = look;
		setText(spans[i], HEX[row.data[i]]);
		lit ||= look !== "b";
	}
	return lit;
}

function time(s) {
	const ms = s * 1000;
	if (s >= 60) return (s / 60).toFixed(1) + " min";
	return s >= 10 ? s.toFixed(1) + " s" : ms.toFixed(ms < 10 ? 2 : ms < 1000 ? 1 : 0) + " ms";
}

body.onclick = ({ target }) => {
	const tr = target.closest("tr");
	tr.focus();
	fill(tr.row);
};
scroller.onkeydown = (e) => {
	const tr = e.target.closest("#rows tr"), next = { ArrowDown: "nextSibling", ArrowUp: "previousSibling" }[e.key];
	if (next) {
		let to = tr ? tr[next] : body.firstChild;
		while (to?.hidden) to = to[next];
		to?.focus();
	} else if (e.key === "Enter" && tr) fill(tr.row);
	else return;
	e.preventDefault();
};
