// What a frame is here: {time, id, flags, len, data}. The time is in seconds
// since 1970, data an array of 64 bytes of which len count. Decoders fill one
// that they are given, so that traffic makes no garbage.

export const EXT = 1, RTR = 2, ERR = 4, FD = 8, BRS = 16, ESI = 32; // as on the wire
export const OWN = 64; // sent by this page; canhub's server marks it so, python-can-remote's does not

export const newFrame = () => ({ time: 0, id: 0, flags: 0, len: 0, data: new Uint8Array(64) });

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).toUpperCase().padStart(2, "0"));

export const hexByte = (b) => HEX[b];

// lengths of CAN FD frames beyond 8 bytes, by DLC from 9
const FD_LENGTHS = [12, 16, 20, 24, 32, 48, 64];

// dlc returns the data length code for a length in bytes.
export const dlc = (len) => (len <= 8 ? len : 9 + FD_LENGTHS.findIndex((n) => len <= n));

// fault returns why a frame cannot be on a bus, or "".
export function fault({ id, flags, len }) {
	if (flags & ERR) {
		if (flags & (RTR | FD)) return "an error frame is neither remote nor FD";
	} else if (!(flags & EXT) && id > 0x7ff) {
		return `identifier ${id.toString(16).toUpperCase()} is above 7FF, the last of 11 bits`;
	}
	if (id > 0x1fffffff) return `identifier ${id.toString(16).toUpperCase()} is above 1FFFFFFF, the last of 29 bits`;
	if (flags & FD) {
		if (flags & RTR) return "CAN FD has no remote frames";
		if (len > 8 && !FD_LENGTHS.includes(len)) return `${len} bytes: an FD frame has 0 to 8, 12, 16, 20, 24, 32, 48 or 64`;
	} else {
		if (flags & (BRS | ESI)) return "BRS and ESI are for FD frames";
		if (len > 8) return `${len} bytes: a classic frame has at most 8`;
	}
	return "";
}

export function idText(id, flags) {
	if (flags & ERR) return (id + 0x20000000).toString(16).toUpperCase().padStart(8, "0");
	return id.toString(16).toUpperCase().padStart(flags & EXT ? 8 : 3, "0");
}

// frameText is the form of candump -L: 123#AABB, 123#R4, 123##1AABB.
export function frameText(f) {
	const id = idText(f.id, f.flags);
	if (f.flags & RTR) return `${id}#R${f.len || ""}`;
	let text = f.flags & FD ? `${id}##${(f.flags & BRS ? 1 : 0) | (f.flags & ESI ? 2 : 0)}` : id + "#";
	for (let i = 0; i < f.len; i++) text += HEX[f.data[i]];
	return text;
}

export function dataText(f) {
	if (f.flags & RTR) return "";
	let text = "";
	for (let i = 0; i < f.len; i++) text += (i ? " " : "") + HEX[f.data[i]];
	return text;
}

export function flagsText(flags) {
	const words = [];
	if (flags & ERR) words.push("Error");
	if (flags & RTR) words.push("RTR");
	if (flags & FD) words.push("FD");
	if (flags & BRS) words.push("BRS");
	if (flags & ESI) words.push("ESI");
	return words.join(" ");
}

// parseHex reads data as people write it: AABB, AA BB, AA.BB. It returns an
// array of bytes, or the text of what is wrong.
export function parseHex(text) {
	const digits = text.replace(/[\s.]/g, "");
	const bad = digits.match(/[^0-9a-fA-F]/);
	if (bad) return `data: “${bad[0]}” is no hexadecimal digit`;
	if (digits.length % 2) return `data: ${digits.length} digits; two make a byte`;
	return (digits.match(/../g) || []).map((d) => parseInt(d, 16));
}

// parseFrame reads the form of candump -L. It returns {id, flags, len, data},
// data an array as long as len, or undefined if text is something else.
export function parseFrame(text) {
	const m = text.trim().match(/^([0-9a-f]{3}|[0-9a-f]{8})#(?:(r)(\d?)|(?:#([0-9a-f]))?([0-9a-f.]*))$/i);
	if (!m) return undefined;
	let flags = m[1].length === 8 ? EXT : 0;
	if (m[2]) return { id: parseInt(m[1], 16), flags: flags | RTR, len: +m[3], data: [] };
	if (m[4]) flags |= FD | (parseInt(m[4], 16) & 1 ? BRS : 0) | (parseInt(m[4], 16) & 2 ? ESI : 0);
	const data = parseHex(m[5]);
	return Array.isArray(data) ? { id: parseInt(m[1], 16), flags, len: data.length, data } : undefined;
}

export function sameFrame(a, b) {
	if (a.id !== b.id || (a.flags ^ b.flags) & ~OWN || a.len !== b.len) return false;
	if (a.flags & RTR) return true;
	for (let i = 0; i < a.len; i++) if (a.data[i] !== b.data[i]) return false;
	return true;
}

const ERROR_CLASSES = ["transmit timeout", "lost arbitration", "controller", "protocol violation",
	"transceiver", "no acknowledgement", "bus off", "bus error", "controller restarted"];
const CONTROLLER = ["receive overflow: messages were lost", "transmit overflow", "receive errors: warning",
	"transmit errors: warning", "error passive (receive)", "error passive (transmit)", "error active again"];

export const isOverflow = (f) => !!(f.flags & ERR) && !!(f.id & 4) && f.len > 1 && !!(f.data[1] & 3);

// errorText tells in words what an error frame reports (linux/can/error.h).
export function errorText(f) {
	const words = ERROR_CLASSES.filter((_, i) => f.id & (1 << i));
	const at = words.indexOf("controller");
	if (at >= 0 && f.len > 1) {
		const what = CONTROLLER.filter((_, i) => f.data[1] & (1 << i));
		if (what.length) words.splice(at, 1, ...what);
	}
	return words.join(", ") || "unspecified error";
}
