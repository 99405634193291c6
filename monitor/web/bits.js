// How long a frame is on the wire (ISO 11898-1), stuff bits and the three bits
// between frames included.

import { EXT, RTR, FD, BRS, ESI, dlc } from "./frame.js";

const bits = new Uint8Array(600); // of the frame at hand, before stuffing
let count = 0;

function put(value, width) {
	for (let i = width - 1; i >= 0; i--) bits[count++] = (value >>> i) & 1;
}

// frameBits returns the numbers of bits at the nominal and at the data bit
// rate; the latter is 0 but for FD frames with BRS.
export function frameBits(f) {
	return f.flags & FD ? fdBits(f) : { nominal: classicBits(f), data: 0 };
}

function identifier(f, rtr) {
	put(0, 1); // start of frame
	if (f.flags & EXT) {
		put(f.id >>> 18, 11);
		put(3, 2); // SRR, IDE
		put(f.id & 0x3ffff, 18);
		put(rtr, 1);
	} else {
		put(f.id, 11);
		put(rtr, 1);
		put(0, 1); // IDE
	}
}

function classicBits(f) {
	const rtr = f.flags & RTR ? 1 : 0;
	count = 0;
	identifier(f, rtr);
	put(0, f.flags & EXT ? 2 : 1); // r1, r0
	put(f.len, 4);
	if (!rtr) for (let i = 0; i < f.len; i++) put(f.data[i], 8);
	let crc = 0;
	for (let i = 0; i < count; i++) {
		const top = (crc >>> 14) ^ bits[i];
		crc = (crc << 1) & 0x7fff;
		if (top) crc ^= 0x4599;
	}
	put(crc, 15);
	return count + stuffBits(0, count).n + 10 + 3; // delimiters, ACK and EOF; space
}

// stuffBits counts those that five equal bits in a row cause. A run that came
// before can go on: give its bit and its length.
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

function fdBits(f) {
	count = 0;
	identifier(f, 0); // FD frames have RRS in the place of RTR
	put(2, 2); // FDF, res
	put(f.flags & BRS ? 1 : 0, 1);
	const arbitration = count;
	put(f.flags & ESI ? 1 : 0, 1);
	put(dlc(f.len), 4);
	for (let i = 0; i < f.len; i++) put(f.data[i], 8);

	const first = stuffBits(0, arbitration);
	// A run of five that ends with the data gets no bit: a fixed one follows anyway.
	const stuff = stuffBits(arbitration, count - 1, first.bit, first.run).n;

	const check = f.len > 16 ? 4 + 21 + 7 : 4 + 17 + 6; // stuff count, CRC, fixed stuff bits
	const nominal = arbitration + first.n + 2 + 7 + 3; // ACK, EOF, space
	const data = count - arbitration + stuff + check + 1; // CRC delimiter
	return f.flags & BRS ? { nominal, data } : { nominal: nominal + data, data: 0 };
}
