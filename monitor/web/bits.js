// How long a frame is on the wire (ISO 11898-1), with stuff bits and the space behind it.

import { EXT, RTR, FD, BRS, ESI, dlc } from "./frame.js";

const bits = new Uint8Array(600); // of the frame at hand, before stuffing
let count = 0;

function put(value, width) {
	for (let i = width - 1; i >= 0; i--) bits[count++] = (value >>> i) & 1;
}

// frameBits returns the numbers of bits at the nominal and at the data bit rate.
export function frameBits({ id, flags, len, data }) {
	const fd = flags & FD, rtr = (flags & RTR) >> 1; // FD frames have RRS, 0, in its place
	count = 0;
	put(0, 1); // start of frame
	if (flags & EXT) {
		put(id >>> 18, 11);
		put(3, 2); // SRR, IDE
		put(id & 0x3ffff, 18);
		put(rtr, 1);
	} else {
		put(id, 11);
		put(rtr << 1, 2); // IDE
	}
	if (fd) put(4 | ((flags & BRS) >> 4), 3); // FDF, res, BRS
	else put(0, flags & EXT ? 2 : 1); // r1, r0
	const arbitration = count;
	if (fd) put((flags & ESI) >> 5, 1);
	put(dlc(len), 4);
	for (let i = 0; i < len && !rtr; i++) put(data[i], 8);
	return fd ? fdBits(arbitration, len, flags & BRS) : { nominal: classicBits(), data: 0 };
}

function classicBits() {
	let crc = 0;
	for (let i = 0; i < count; i++) {
		const top = (crc >>> 14) ^ bits[i];
		crc = ((crc << 1) & 0x7fff) ^ (top && 0x4599);
	}
	put(crc, 15);
	return count + stuffBits(0, count).n + 10 + 3; // delimiters, ACK and EOF; space
}

function fdBits(arbitration, len, brs) {
	const first = stuffBits(0, arbitration);
	// A run of five that ends with the data gets no bit: a fixed one follows anyway.
	const stuff = stuffBits(arbitration, count - 1, first.bit, first.run).n;
	const check = len > 16 ? 4 + 21 + 7 : 4 + 17 + 6; // stuff count, CRC, fixed stuff bits
	const nominal = arbitration + first.n + 2 + 7 + 3; // ACK, EOF, space
	const data = count - arbitration + stuff + check + 1; // CRC delimiter
	return brs ? { nominal, data } : { nominal: nominal + data, data: 0 };
}

// stuffBits counts those that five equal bits in a row cause. A run from before can go on.
function stuffBits(from, to, bit = 2, run = 0) {
	let n = 0;
	for (let i = from; i < to; i++) {
		if (bits[i] !== bit) {
			bit = bits[i];
			run = 1;
		} else if (++run === 5) {
			n++;
			bit ^= 1; // the stuff bit begins the next run
			run = 1;
		}
	}
	return { n, bit, run };
}
