// A line over the last minute.

export class Plot {
	constructor(canvas) {
		this.canvas = canvas;
		this.g = canvas.getContext("2d");
	}

	// draw shows values, the oldest first, of which most fill the width. The end
	// of the scale is at floor at least, and written in the words of label.
	draw(values, most, floor, label) {
		const c = this.canvas, g = this.g, ratio = window.devicePixelRatio || 1;
		const w = c.clientWidth, h = c.clientHeight;
		if (!w || !h) return;
		if (c.width !== Math.round(w * ratio) || c.height !== Math.round(h * ratio)) {
			c.width = Math.round(w * ratio);
			c.height = Math.round(h * ratio);
		}
		const style = getComputedStyle(c);
		g.setTransform(ratio, 0, 0, ratio, 0, 0);
		g.clearRect(0, 0, w, h);

		const greatest = Math.max(floor, ...values);
		const top = nice(greatest);
		const x = (i) => w - ((values.length - 1 - i) / (most - 1)) * w;
		const y = (v) => h - 1.5 - (v / top) * (h - 4);
		g.strokeStyle = g.fillStyle = style.color;

		g.globalAlpha = 0.25;
		g.lineWidth = 1;
		g.setLineDash([1, 4]);
		for (const v of [top / 2, top]) {
			g.beginPath();
			g.moveTo(0, Math.round(y(v)) + 0.5);
			g.lineTo(w, Math.round(y(v)) + 0.5);
			g.stroke();
		}
		g.setLineDash([]);

		g.beginPath();
		values.forEach((v, i) => g.lineTo(x(i), y(v)));
		g.globalAlpha = 1;
		g.lineWidth = 1.5;
		g.lineJoin = "round";
		g.stroke();
		g.lineTo(w, h);
		g.lineTo(x(0), h);
		g.globalAlpha = 0.12;
		g.fill();

		g.globalAlpha = 0.75;
		g.font = `11px ${style.fontFamily}`;
		g.textBaseline = "top";
		g.fillText(label(top), 2, 4);
		g.globalAlpha = 1;
	}
}

// nice is the next number of 1, 2 or 5 times a power of ten.
function nice(v) {
	const power = 10 ** Math.floor(Math.log10(v));
	return power * [1, 2, 5, 10].find((n) => n * power >= v * 0.9999);
}
