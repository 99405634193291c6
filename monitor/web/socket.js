// A worker with one WebSocket. The page gets its messages in packs, and so has
// time for its user. It answers true to each, and the next one waits for that.

const PACK = 30; // ms between two of them
const MOST = 32 << 20; // bytes that wait while the page is busy; what comes then is lost

let socket, busy;
let pack = [], size = 0, lost = 0, since = 0;

function post(more) {
	postMessage({ pack, lost, ...more });
	pack = [];
	size = lost = 0;
	since = performance.now();
	busy = true;
}

function flush() {
	if (!busy && size && performance.now() - since >= PACK) post();
}

onmessage = ({ data }) => {
	if (data === true) {
		busy = false;
		flush();
	} else if (typeof data === "string") {
		socket.send(data);
	} else {
		socket = new WebSocket(data.url, data.protocols);
		socket.binaryType = "arraybuffer";
		socket.onopen = () => postMessage({ open: true });
		socket.onmessage = ({ data }) => {
			size += 100 + (data.byteLength ?? data.length); // with what the browser adds
			if (size > MOST) lost++;
			else pack.push(data);
			flush(); // timers may have no chance
		};
		socket.onclose = ({ code, reason }) => post({ closed: { code, reason } });
		setInterval(flush, PACK);
	}
};
