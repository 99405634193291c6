// Frames, as text, and in python-can-remote's messages. Time is in seconds since
// 1970. Traffic fills frames that there are: no garbage.

export const EXT = 1, RTR = 2, ERR = 4, FD = 8, BRS = 16, ESI = 32; // as on the wire
export const OWN = 64; // sent by this page; canhub's server marks it so, python-can-remote's does not

export const newFrame = () => ({ time: 0, id: 0, flags: 0, len: 0, data: new Uint8Array(64) });

export function copyFrame(to, f) {
	to.time = f.time;
	to.id = f.id;
	to.flags = f.flags;
	to.len = f.len;
	to.data.set(f.data);
}

const hex = (n, width = 1) => n.toString(16).toUpperCase().padStart(width, "0");

export const HEX = Array.from({ length: 256 }, (_, i) => hex(i, 2));

// lengths of CAN FD frames beyond 8 bytes, by DLC from 9
const FD_LENGTHS = [12, 16, 20, 24, 32, 48, 64];

export const dlc = (len) => (len <= 8 ? len : 9 + FD_LENGTHS.findIndex((n) => len <= n));

// fault returns why a frame cannot be on a bus, or "".
export function fault({ id, flags, len }) {
	const bits = flags & (EXT | ERR) ? 29 : 11, last = 2 ** bits - 1, fd = flags & FD;
	if (id > last) return `identifier ${hex(id)} is above ${hex(last)}, the last of ${bits} bits`;
	if (flags & ERR && flags & (RTR | FD)) return "an error frame is neither remote nor FD";
	if (fd && flags & RTR) return "CAN FD has no remote frames";
	if (!fd && flags & (BRS | ESI)) return "BRS and ESI are for FD frames";
	if (len <= 8 || (fd && FD_LENGTHS.includes(len))) return "";
	return `${len} bytes: ${fd ? "an FD frame has 0 to 8, 12, 16, 20, 24, 32, 48 or 64" : "a classic frame has at most 8"}`;
}

export const idText = (id, flags) => (flags & ERR ? hex(id + 0x20000000, 8) : hex(id, flags & EXT ? 8 : 3));

export function dataText({ len, data }, between = " ") {
	let text = "";
	for (let i = 0; i < len; i++) text += (i ? between : "") + HEX[data[i]];
	return text;
}

// frameText is the form of candump -L: 123#AABB, 123#R4, 123##1AABB.
export function frameText(f) {
	const id = idText(f.id, f.flags) + "#";
	if (f.flags & RTR) return `${id}R${f.len || ""}`;
	return id + (f.flags & FD ? `#${(f.flags >> 4) & 3}` : "") + dataText(f, "");
}

const FLAGS = { Error: ERR, RTR, FD, BRS, ESI };

export const flagsText = (flags) => Object.keys(FLAGS).filter((k) => flags & FLAGS[k]).join(" ");

// parseHex returns the bytes of AABB, AA BB or AA.BB, or the text of what is wrong.
export function parseHex(text) {
	const digits = text.replace(/[\s.]/g, "");
	const bad = digits.match(/[^0-9a-f]/i);
	if (bad) return `data: “${bad[0]}” is no hexadecimal digit`;
	if (digits.length % 2) return `data: ${digits.length} digits; two make a byte`;
	return (digits.match(/../g) || []).map((d) => parseInt(d, 16));
}

// parseFrame reads what frameText writes; undefined is something else.
export function parseFrame(text) {
	const m = text.trim().match(/^([0-9a-f]{3}|[0-9a-f]{8})#(?:(r)(\d?)|(?:#([0-9a-f]))?([0-9a-f.]*))$/i);
	if (!m) return undefined;
	const id = parseInt(m[1], 16), wide = m[1].length === 8 ? EXT : 0;
	if (m[2]) return { id, flags: wide | RTR, len: +m[3], data: [] };
	const data = parseHex(m[5]);
	const flags = wide | (m[4] ? FD | ((parseInt(m[4], 16) & 3) << 4) : 0);
	return Array.isArray(data) ? { id, flags, len: data.length, data } : undefined;
}

const ERROR_CLASSES = ["transmit timeout", "lost arbitration", "controller", "protocol violation",
	"transceiver", "no acknowledgement", "bus off", "bus error", "controller restarted"];
const CONTROLLER = ["receive overflow", "transmit overflow", "receive warning", "transmit warning",
	"receive passive", "transmit passive", "active again"];

// errorText tells in words what an error frame reports (linux/can/error.h).
export function errorText(f) {
	const words = ERROR_CLASSES.filter((_, i) => f.id & (1 << i));
	const at = words.indexOf("controller");
	const what = CONTROLLER.filter((_, i) => f.len > 1 && f.data[1] & (1 << i));
	if (at >= 0 && what.length) words.splice(at, 1, ...what);
	return words.join(", ") || "unspecified error";
}

const KEYS = {
	is_extended_id: EXT, is_remote_frame: RTR, is_error_frame: ERR, is_fd: FD, bitrate_switch: BRS, error_state_indicator: ESI,
};

const whole = (n, most) => Number.isInteger(n) && n >= 0 && n <= most;

// decodeBinary fills f from a message. It returns why it cannot, "" if it could,
// and undefined for what is no frame.
export function decodeBinary(buffer, f) {
	const n = buffer.byteLength, view = new DataView(buffer);
	if (n > 0 && view.getUint8(0) !== 1) return undefined;
	if (n < 15) return `a frame of ${n} bytes: the head alone has 15`;
	f.time = view.getFloat64(1);
	f.id = view.getUint32(9);
	f.flags = view.getUint8(14) & 127; // some servers mark what this page sent
	f.len = f.flags & RTR ? view.getUint8(13) : n - 15;
	if (n - 15 > 64) return `${n - 15} bytes of data: a frame has at most 64`;
	f.data.set(new Uint8Array(buffer, 15));
	return sane(f);
}

// decodeJSON does so from the payload of a "message", in which any key may be missing.
export function decodeJSON(p, f) {
	if (typeof p !== "object" || !p || Array.isArray(p)) return "a message without a payload";
	const data = p.data ?? [], id = p.arbitration_id ?? 0, dlc = p.dlc ?? 0;
	if (!Array.isArray(data) || data.length > 64 || !data.every((b) => whole(b, 255))) return "data is not an array of up to 64 bytes";
	if (!whole(id, 2 ** 32) || !whole(dlc, 255)) return "identifier or dlc is no such number";
	f.time = typeof p.timestamp === "number" ? p.timestamp : 0;
	f.id = id;
	f.flags = p.is_rx === false ? OWN : 0;
	for (const key in KEYS) if (p[key] ?? key === "is_extended_id") f.flags |= KEYS[key];
	f.len = f.flags & RTR ? dlc : data.length;
	f.data.set(data);
	return sane(f);
}

function sane(f) {
	if (!(f.time >= 0 && f.time < 9.2e9)) f.time = Date.now() / 1000; // it ends where nanoseconds in 64 bits do
	return fault(f);
}

// encodeJSON returns the payload for a frame.
export function encodeJSON(f) {
	const data = f.flags & RTR ? [] : [...f.data.slice(0, f.len)];
	const p = { timestamp: Date.now() / 1000, arbitration_id: f.id, dlc: f.len, data };
	for (const key in KEYS) p[key] = !!(f.flags & KEYS[key]);
	return p;
}
