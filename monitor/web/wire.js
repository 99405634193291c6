// The messages of python-can-remote's WebSocket protocol.

import { EXT, RTR, ERR, FD, BRS, ESI, OWN, fault } from "./frame.js";

export const PROTOCOLS = ["can.binary+json.v1", "can.json.v1"];

// decodeBinary fills f from a binary message. It returns why it cannot, ""
// if it could, and undefined for a message that is no frame.
export function decodeBinary(buffer, f) {
	const n = buffer.byteLength;
	if (n > 0 && new Uint8Array(buffer, 0, 1)[0] !== 1) return undefined;
	if (n < 15) return `a frame of ${n} bytes: the head alone has 15`;
	const view = new DataView(buffer);
	f.time = view.getFloat64(1);
	f.id = view.getUint32(9);
	f.flags = view.getUint8(14) & 127; // some servers mark what this page sent
	if (f.flags & RTR) {
		f.len = view.getUint8(13);
	} else {
		f.len = n - 15;
		if (f.len > 64) return `${f.len} bytes of data: a frame has at most 64`;
		f.data.set(new Uint8Array(buffer, 15));
	}
	return sane(f);
}

// decodeJSON fills f from the payload of a "message". Every key may be missing.
export function decodeJSON(p, f) {
	if (typeof p !== "object" || p === null || Array.isArray(p)) return "a message without a payload";
	const data = p.data ?? [];
	if (!Array.isArray(data)) return "data is no array";
	if (data.length > 64) return `${data.length} bytes of data: a frame has at most 64`;
	if (!data.every((b) => Number.isInteger(b) && b >= 0 && b <= 255)) return "data is not made of bytes";
	const id = p.arbitration_id ?? 0;
	if (!Number.isInteger(id) || id < 0) return `identifier ${id}: no whole number`;
	f.time = typeof p.timestamp === "number" ? p.timestamp : 0;
	f.id = id;
	f.flags = ((p.is_extended_id ?? true) ? EXT : 0) | (p.is_remote_frame ? RTR : 0) | (p.is_error_frame ? ERR : 0) |
		(p.is_fd ? FD : 0) | (p.bitrate_switch ? BRS : 0) | (p.error_state_indicator ? ESI : 0) | (p.is_rx === false ? OWN : 0);
	f.len = data.length;
	if (f.flags & RTR) {
		f.len = p.dlc ?? 0;
		if (!Number.isInteger(f.len) || f.len < 0) return `dlc ${f.len}: no length`;
	} else {
		f.data.set(data);
	}
	return sane(f);
}

// MAX_TIME is about the year 2262, where nanoseconds in 64 bits end.
const MAX_TIME = 9.2e9;

// sane refuses a frame that cannot be, and dates one that has no usable time.
function sane(f) {
	if (!(f.time >= 0 && f.time < MAX_TIME)) f.time = Date.now() / 1000;
	return fault(f);
}

const payload = (f) => {
	const p = {
		arbitration_id: f.id,
		is_extended_id: !!(f.flags & EXT),
		is_remote_frame: !!(f.flags & RTR),
		is_error_frame: !!(f.flags & ERR),
		dlc: f.len,
		data: f.flags & RTR ? [] : Array.from(f.data.slice(0, f.len)),
	};
	if (f.flags & FD) {
		p.is_fd = true;
		p.bitrate_switch = !!(f.flags & BRS);
		p.error_state_indicator = !!(f.flags & ESI);
	}
	return p;
};

const text = (type, payload) => JSON.stringify({ type, payload });

export const busRequest = () => text("bus_request", { config: { receive_own_messages: true } });
export const message = (f) => text("message", { timestamp: Date.now() / 1000, ...payload(f) });
export const periodicStart = (f, seconds) => text("periodic_start", { period: seconds, duration: null, msg: payload(f) });
export const periodicStop = (id) => text("periodic_stop", id);
