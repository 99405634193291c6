// The trace: one line for each message, the last ones of what the model keeps.
// Only the lines that can be seen exist.

import { OWN, RTR, ERR, newFrame, idText, dataText, flagsText, frameText } from "./frame.js";
import { TRACE } from "./model.js";
import { setText, element } from "./table.js";

const HEIGHT = 22; // px of a line, as in the style

export class Trace {
	// chosen(frame) is called when the user picks a line, paused() when going
	// back in the trace has paused it.
	constructor(panel, chosen, paused) {
		this.scroller = panel.querySelector(".scroll");
		this.space = panel.querySelector("#trace-space");
		this.box = panel.querySelector("#trace-lines");
		this.detail = panel.querySelector("#detail");
		this.note = panel.querySelector(".bar span");
		this.chosen = chosen;
		this.paused = paused;
		this.lines = [];
		this.picked = -1; // number of the line
		this.frame = newFrame();
		this.scroller.onscroll = () => this.scrolled();
		this.scroller.onkeydown = (e) => this.key(e);
		this.box.onclick = (e) => this.pick(e.target.closest(".line")?.number ?? -1);
		this.box.ondblclick = () => this.take();
		new ResizeObserver(() => (this.resized = true)).observe(this.scroller);
	}

	show(model) {
		this.model = model;
		this.generation = -1;
		this.drawn = -1;
		this.pick(-1);
	}

	get count() {
		return this.model.lastMatch - this.model.firstMatch;
	}

	scrolled() {
		const s = this.scroller;
		const back = s.scrollHeight - s.clientHeight - s.scrollTop;
		if (!this.model.paused && !this.resized && back > 2 * HEIGHT && s.scrollTop < this.top) this.paused();
		if (this.model.paused) this.drawLines();
	}

	draw() {
		const m = this.model;
		if (this.generation !== m.generation) {
			this.generation = m.generation;
			this.pick(-1);
		}
		const state = `${m.lastMatch} ${m.firstMatch} ${m.paused} ${m.passed} ${m.generation} ${m.lines}`;
		if (state === this.drawn && !this.resized) return;
		this.drawn = state;
		const height = this.count * HEIGHT;
		if (height !== this.height) this.space.style.height = (this.height = height) + "px";
		if (!m.paused) this.scroller.scrollTop = this.top = Math.max(0, height - this.scroller.clientHeight);
		this.resized = false;
		this.drawLines();
		setText(this.note, this.summary());
	}

	summary() {
		const m = this.model, n = (x) => x.toLocaleString("en");
		const kept = Math.min(m.lines, TRACE);
		const notes = [];
		if (this.count < kept) notes.push(`${n(this.count)} of ${n(kept)}`);
		else notes.push(n(kept));
		if (m.lines > TRACE) notes.push(`${n(m.lines - TRACE)} older ones left out`);
		if (m.passed) notes.push(`${n(m.passed)} passed since the pause`);
		return notes.join("; ");
	}

	drawLines() {
		const m = this.model, s = this.scroller;
		const first = Math.max(0, Math.floor(s.scrollTop / HEIGHT) - 2);
		const wanted = Math.min(this.count - first, Math.ceil(s.clientHeight / HEIGHT) + 4);
		while (this.lines.length < wanted) this.lines.push(this.newLine());
		this.box.style.transform = `translateY(${first * HEIGHT}px)`;
		for (let i = 0; i < this.lines.length; i++) {
			const line = this.lines[i];
			line.div.hidden = i >= wanted;
			if (i < wanted) this.drawLine(line, m.matches[(m.firstMatch + first + i) % TRACE]);
		}
	}

	newLine() {
		const div = element("div", "line", { role: "listitem" });
		const part = (name) => div.appendChild(element("span", name, {}));
		const time = part("time"); // a phone has no room for the hours
		const line = { div, time, hours: time.appendChild(element("i", "", {})), rest: time.appendChild(new Text()), dir: part("dir"), id: part("id"), len: part("len"), data: part("data"), name: part("name"), flags: part("flags") };
		this.box.append(div);
		return line;
	}

	drawLine(line, number) {
		const f = this.frame;
		const row = this.model.line(number, f);
		const { div } = line;
		div.number = number;
		const gap = typeof row === "string";
		const own = !!(f.flags & OWN);
		div.className = gap ? "line gap" : "line" + (f.flags & ERR ? " error" : "") + (number === this.picked ? " chosen" : "");
		const time = gap ? "" : clock(f.time);
		setText(line.hours, time.slice(0, 3));
		setText(line.rest, time.slice(3));
		setText(line.dir, gap ? "" : own ? "Tx" : "Rx");
		line.dir.className = own ? "dir tx" : "dir";
		setText(line.id, gap ? "" : idText(f.id, f.flags));
		setText(line.len, gap ? "" : String(f.len));
		setText(line.data, gap ? row : f.flags & ERR ? row.name : f.flags & RTR ? `asks for ${f.len}` : dataText(f));
		setText(line.name, gap || f.flags & ERR ? "" : row.name);
		setText(line.flags, gap ? "" : flagsText(f.flags));
	}

	// pick shows all of a line below the trace.
	pick(number) {
		this.picked = number;
		const row = number < 0 ? "" : this.model.line(number, this.frame);
		this.detail.hidden = typeof row === "string";
		if (typeof row === "string") return;
		const f = this.frame;
		const when = new Date(f.time * 1000).toISOString().slice(0, 10);
		this.detail.textContent = `${when} ${clock(f.time)}  ${row.name}  ${frameText(f)}`;
		if (!this.model.paused) this.paused();
		this.drawLines();
	}

	// take puts the picked line's frame into the form.
	take() {
		if (this.picked < 0 || this.picked < this.model.lines - TRACE) return;
		if (typeof this.model.line(this.picked, this.frame) === "string") return;
		const f = this.frame;
		this.chosen({ ...f, data: f.data.slice() });
	}

	key(e) {
		const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
		if (e.key === "Enter") this.take();
		else if (step && this.count) this.move(step);
		else return;
		e.preventDefault();
	}

	move(step) {
		const m = this.model;
		let at = m.lastMatch - 1;
		if (this.picked >= 0) {
			for (at = m.firstMatch; at < m.lastMatch && m.matches[at % TRACE] < this.picked; at++);
			at += step;
		}
		at = Math.min(Math.max(at, m.firstMatch), m.lastMatch - 1);
		this.pick(m.matches[at % TRACE]);
		const y = (at - m.firstMatch) * HEIGHT, s = this.scroller;
		if (y < s.scrollTop) s.scrollTop = y;
		if (y + HEIGHT > s.scrollTop + s.clientHeight) s.scrollTop = y + HEIGHT - s.clientHeight;
	}
}

// clock is the time of the day, to the tenth of a millisecond.
function clock(seconds) {
	const d = new Date(seconds * 1000);
	const two = (n) => String(n).padStart(2, "0");
	const fraction = String(Math.floor((seconds % 1) * 10000)).padStart(4, "0");
	return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${fraction}`;
}
