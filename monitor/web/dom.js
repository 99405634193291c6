export const $ = (id) => document.getElementById(id);

export const { format: num } = new Intl.NumberFormat("en");

export const plural = (n, word) => `${num(n)} ${word}${n === 1 ? "" : "s"}`;

// setText changes a text only if it is another: the browser would lay out anew.
export function setText(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

export function element(name, properties, ...children) {
	const e = Object.assign(document.createElement(name), properties);
	e.append(...children);
	return e;
}
