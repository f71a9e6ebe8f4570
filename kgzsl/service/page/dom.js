// Elements without markup in strings: whatever the service says is text, never HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else if (name === "value" || name === "checked" || name === "disabled" || name === "selected") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

/** An HTML element. */
export const el = (tag, properties, ...children) => fill(document.createElement(tag), properties, children);

/** An SVG element. */
export const svg = (tag, properties, ...children) => fill(document.createElementNS(SVG, tag), properties, children);

export const byId = (id) => document.getElementById(id);

/** Tell a screen reader. */
export function say(text) {
  const region = byId("said");
  region.textContent = "";
  requestAnimationFrame(() => (region.textContent = text));
}

/** A problem of the service as a card: what is wrong, what came, what to do. */
export function problemCard(problem, again) {
  return el("div", { class: "problem" },
    el("b", { text: problem.title }),
    el("p", { text: problem.detail }),
    problem.received && el("p", { class: "received" }, "Received: ", el("span", { text: problem.received })),
    problem.remedy && el("p", { class: "remedy" }, "What to do: ", el("span", { text: problem.remedy })),
    again && el("button", { type: "button", onclick: again, text: "Try again" }));
}

/** Call `work` once nothing has called for `wait` milliseconds; `cancel()` calls it off. */
export function later(work, wait) {
  let timer;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
  soon.cancel = () => clearTimeout(timer);
  return soon;
}
