// The table of identifiers. A row is drawn only if something is new and it can
// be seen.

import { EXT, RTR, ERR, OWN, hexByte, idText, flagsText } from "./frame.js";

const LIT = 900; // ms that a changed byte stays so

const ORDER = {
	id: (a, b) => a.id - b.id || (a.flags & (EXT | RTR | OWN)) - (b.flags & (EXT | RTR | OWN)),
	name: (a, b) => a.name.localeCompare(b.name, "en", { numeric: true }) || ORDER.id(a, b),
	count: (a, b) => b.count - a.count || ORDER.id(a, b),
	period: (a, b) => (a.period || 1e9) - (b.period || 1e9) || ORDER.id(a, b),
};

export class Table {
	// chosen(frame) is called when the user picks a row.
	constructor(panel, chosen) {
		this.body = panel.querySelector("tbody");
		this.empty = panel.querySelector(".empty");
		this.note = panel.querySelector(".bar span");
		this.chosen = chosen;
		this.sort = "id";
		this.backwards = false;
		this.sortedAt = 0;
		this.heads = [...panel.querySelectorAll("th[data-sort]")];
		for (const th of this.heads) th.querySelector("button").onclick = () => this.sortBy(th.dataset.sort);
		this.sortBy("id", false);
		this.watch = new IntersectionObserver((entries) => {
			for (const e of entries) if (e.target.view) e.target.view.inSight = e.isIntersecting;
		}, { root: panel.querySelector(".scroll"), rootMargin: "100px" });
		this.body.onclick = (e) => this.choose(e.target.closest("tr"));
		this.body.onkeydown = (e) => this.key(e);
	}

	show(model) {
		this.model = model;
		this.generation = -1;
	}

	sortBy(by, turn = true) {
		this.backwards = turn && this.sort === by && !this.backwards;
		this.sort = by;
		this.sortedAt = 0;
		for (const th of this.heads) {
			if (th.dataset.sort !== by) th.removeAttribute("aria-sort");
			// Counts begin with the greatest.
			else th.setAttribute("aria-sort", this.backwards !== (by === "count") ? "descending" : "ascending");
		}
	}

	draw(now) {
		const m = this.model;
		if (this.generation !== m.generation) {
			this.generation = m.generation;
			this.watch.disconnect();
			this.body.replaceChildren();
			this.views = new Map();
			this.sortedAt = 0;
		}
		let shown = 0, added = false;
		for (const row of m.rows.values()) {
			let v = this.views.get(row);
			if (!v) {
				v = this.add(row);
				added = true;
			}
			if (v.tr.hidden === row.shown) v.tr.hidden = !row.shown;
			if (!row.shown) continue;
			shown++;
			if (v.inSight) this.drawRow(row, v, now);
		}
		if (added || (this.sort !== "id" && now - this.sortedAt > 1000) || !this.sortedAt) this.order(now);
		this.empty.hidden = shown > 0;
		this.empty.textContent = m.rows.size
			? "The filter hides everything that was seen."
			: "Nothing yet. What comes on the bus is shown here.";
		const notes = [shown === m.rows.size ? `${shown}` : `${shown} of ${m.rows.size}`];
		if (m.unlisted) notes.push(`${m.unlisted.toLocaleString("en")} messages of further ones are not listed`);
		setText(this.note, notes.join("; "));
	}

	order(now) {
		const rows = [...this.views.keys()].sort(ORDER[this.sort]);
		if (this.backwards) rows.reverse();
		let at = this.body.firstChild;
		for (const row of rows) {
			const { tr } = this.views.get(row);
			if (tr === at) at = at.nextSibling;
			else this.body.insertBefore(tr, at);
		}
		this.sortedAt = now;
	}

	add(row) {
		const tr = element("tr", "", { role: "row", tabindex: "-1" });
		const v = { tr, row, bytes: [], inSight: true, lit: true };
		const cell = (name) => tr.appendChild(element("td", "c-" + name, { role: "cell" }));
		const id = cell("id");
		id.append(idText(row.id, row.flags));
		if (row.flags & OWN) id.append(element("span", "tag tx", { textContent: "Tx" }));
		v.tag = id.appendChild(element("span", "tag", {}));
		v.name = cell("name");
		v.data = cell("data");
		v.count = cell("count");
		v.period = cell("period");
		v.mean = v.period.appendChild(document.createTextNode(""));
		v.jitter = v.period.appendChild(element("i", "", {}));
		tr.view = v;
		if (!this.views.size) tr.tabIndex = 0;
		this.views.set(row, v);
		this.watch.observe(tr);
		return v;
	}

	drawRow(row, v, now) {
		const stale = now - row.seen > Math.max(2000, row.period * 5000);
		if (stale !== v.stale) v.tr.classList.toggle("stale", (v.stale = stale));
		if (!row.dirty && !v.lit && v.len === row.len) return;
		row.dirty = false;
		setText(v.tag, flagsText(row.flags));
		v.tr.classList.toggle("error", !!(row.flags & ERR));
		setText(v.name, row.name);
		if (v.name.title !== row.name) v.name.title = row.name;
		setText(v.count, String(row.count));
		setText(v.mean, row.period ? milliseconds(row.period) : "");
		setText(v.jitter, row.period ? " ±" + deviation(row.jitter) : "");
		if (row.flags & RTR) {
			setText(v.data, `asks for ${row.len}`);
			v.data.classList.add("asked");
			v.lit = false;
		} else {
			this.drawData(row, v, now);
		}
		v.len = row.len;
	}

	drawData(row, v, now) {
		while (v.bytes.length > row.len) v.bytes.pop().span.remove();
		v.lit = false;
		for (let i = 0; i < row.len; i++) {
			let b = v.bytes[i];
			if (!b) {
				b = { span: element("span", "b", {}), value: -1, lit: false };
				v.data.append(b.span);
				v.bytes.push(b);
			}
			if (b.value !== row.data[i]) b.span.textContent = hexByte((b.value = row.data[i]));
			const lit = now - row.changed[i] < LIT;
			if (lit !== b.lit) b.span.classList.toggle("lit", (b.lit = lit));
			if (lit) v.lit = true;
		}
	}

	choose(tr) {
		if (!tr) return;
		const { row } = tr.view;
		this.focus(tr);
		this.chosen({ id: row.id, flags: row.flags, len: row.len, data: row.data.slice() });
	}

	focus(tr) {
		const was = this.body.querySelector('[tabindex="0"]');
		if (was) was.tabIndex = -1;
		tr.tabIndex = 0;
		tr.focus();
	}

	key(e) {
		const tr = e.target.closest("tr");
		const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[e.key];
		if (e.key === "Enter") this.choose(tr);
		else if (next) {
			let to = tr[next];
			while (to && to.hidden) to = to[next];
			if (to) this.focus(to);
		} else return;
		e.preventDefault();
	}
}

const milliseconds = (s) => {
	const ms = s * 1000;
	if (ms >= 60000) return (ms / 60000).toFixed(1) + " min";
	if (ms >= 10000) return s.toFixed(1) + " s";
	return ms.toFixed(ms < 10 ? 2 : 1) + " ms";
};

const deviation = (s) => {
	const ms = s * 1000;
	if (ms >= 10000) return s.toFixed(0) + "s";
	return ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0);
};

// setText changes a text only if it is another: the browser would lay out anew.
export function setText(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

export function element(name, className, props) {
	const e = document.createElement(name);
	if (className) e.className = className;
	for (const [k, v] of Object.entries(props)) {
		if (k in e) e[k] = v;
		else e.setAttribute(k, v);
	}
	return e;
}
