// The filter of table and trace. It looks at what all messages of a row have in
// common, so it is asked once for a row and not for each message.

import { EXT, RTR, ERR, FD, OWN, idText } from "./frame.js";

const WORDS = {
	rx: (r) => !(r.flags & OWN),
	tx: (r) => !!(r.flags & OWN),
	std: (r) => !(r.flags & (EXT | ERR)),
	ext: (r) => !!(r.flags & EXT),
	rtr: (r) => !!(r.flags & RTR),
	fd: (r) => !!(r.flags & FD),
	error: (r) => !!(r.flags & ERR),
};

// compile returns the function (row) => whether to show it. Any of the terms is
// enough; one with a minus hides what the others let through.
export function compile(text) {
	const terms = text.toLowerCase().split(/[\s,]+/).filter(Boolean);
	const hide = terms.filter((t) => t.length > 1 && t[0] === "-").map((t) => term(t.slice(1)));
	const show = terms.filter((t) => t[0] !== "-").map(term);
	return (row) => !hide.some((f) => f(row)) && (!show.length || show.some((f) => f(row)));
}

function term(t) {
	if (WORDS[t]) return WORDS[t];
	const byID = idTerm(t);
	const byName = (r) => r.name.toLowerCase().includes(t);
	return byID ? (r) => (!(r.flags & ERR) && byID(r)) || byName(r) : byName;
}

function idTerm(t) {
	let m;
	if ((m = t.match(/^([0-9a-f]{1,8})$/))) {
		const id = parseInt(t, 16);
		return (r) => r.id === id;
	}
	if ((m = t.match(/^([0-9a-f]{1,8})-([0-9a-f]{1,8})$/))) {
		const lo = parseInt(m[1], 16), hi = parseInt(m[2], 16);
		return (r) => r.id >= lo && r.id <= hi;
	}
	if ((m = t.match(/^([0-9a-f]{1,8})([:~])([0-9a-f]{1,8})$/))) {
		const id = parseInt(m[1], 16), mask = parseInt(m[3], 16) & 0x1fffffff, equal = m[2] === ":";
		return (r) => (((r.id ^ id) & mask) === 0) === equal;
	}
	if (/^[0-9a-f?*]+$/.test(t)) {
		const form = new RegExp(`^${t.replaceAll("?", ".").replaceAll("*", ".*")}$`, "i");
		return (r) => form.test(idText(r.id, r.flags));
	}
	return undefined;
}
