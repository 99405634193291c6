// A worker with one WebSocket. Messages come one by one, tens of thousands a
// second at worst; the page gets them in packs, and so has time for its user.

const PACK = 30; // ms that a message waits at most

let socket, timer;
let pack = [];
let since = 0;

function flush() {
	clearTimeout(timer);
	timer = undefined;
	if (pack.length) postMessage({ pack });
	pack = [];
}

onmessage = ({ data }) => {
	if (typeof data === "string") {
		socket.send(data);
		return;
	}
	socket = new WebSocket(data.url, data.protocols);
	socket.binaryType = "arraybuffer";
	socket.onopen = () => postMessage({ open: true });
	socket.onmessage = (e) => {
		pack.push(e.data);
		if (!timer) {
			timer = setTimeout(flush, PACK);
			since = performance.now();
		} else if (performance.now() - since > PACK) flush(); // the timer has no chance
	};
	socket.onclose = ({ code, reason }) => {
		flush();
		postMessage({ closed: { code, reason } });
	};
};
