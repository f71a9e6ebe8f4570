// The drawn neighbourhood of a class, walked by click or key, and the same as lists.

import { neighbours } from "./api.js";
import { makeCamera } from "./camera.js";
import { byId, el, problemCard, say, svg } from "./dom.js";
import { layOut, sort } from "./layout.js";
import { listed, many, others, short } from "./words.js";

const LISTED = 100;
const ALL = 1000;
const KIN = 14; // neighbours of a parent that are asked for
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export const address = (graph, id) => `#/${encodeURIComponent(graph)}/${encodeURIComponent(id)}`;

/** `{graph, id}` of the page's address, or null. */
export function readAddress() {
  const [, graph, id] = location.hash.match(/^#\/([^/]+)\/(.+)$/) ?? [];
  try {
    return id ? { graph: decodeURIComponent(graph), id: decodeURIComponent(id) } : null;
  } catch {
    return null;
  }
}

/** Make the drawing work; `marks()` gives the ids that a prediction's way leads over, `walked()` is called at every class. */
export function makeGraph(marks, walked) {
  const [drawing, edgesGroup, nodesGroup, canvas] = ["drawing", "edges", "nodes", "canvas"].map(byId);
  const camera = makeCamera(drawing);
  const links = new Map(); // id → its element in the drawing
  let shown = null; // { graph, around, further, layout }
  let active = null;
  let running = new AbortController();

  function elementOf(graph, node) {
    const found = links.get(node.id);
    if (found) return found;
    const made = svg("a", { class: "new" }, svg("title"), svg("rect"), svg("text", { class: "caption", "text-anchor": "middle" }), svg("text", { class: "name", "text-anchor": "middle" }));
    made.addEventListener("focus", () => {
      setActive(node.id);
      const at = shown?.layout.nodes.find((n) => n.id === node.id);
      if (at && made.matches(":focus-visible")) camera.reveal(at);
    });
    links.set(node.id, made);
    return made;
  }

  function setActive(id) {
    links.get(active)?.setAttribute("tabindex", "-1");
    active = id;
    links.get(id)?.setAttribute("tabindex", "0");
  }

  function paint(graph, node, marked) {
    const element = elementOf(graph, node);
    const [title, rect, caption, name] = element.children;
    element.setAttribute("class", ["node", node.role, marked.has(node.id) && "marked", element.classList.contains("new") && "new"].filter(Boolean).join(" "));
    element.setAttribute("href", node.role === "more" ? "#around" : address(graph, node.id));
    element.setAttribute("tabindex", "-1");
    element.setAttribute("aria-label", node.role === "focus" ? `${node.label}, in the middle` : [node.label, ROLES[node.role] ?? node.caption].join(", "));
    if (node.role === "focus") element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
    element.style.transform = `translate(${node.x}px, ${node.y}px)`;
    for (const [key, value] of Object.entries({ x: -node.w / 2, y: -node.h / 2, width: node.w, height: node.h, rx: node.h / 2 })) rect.setAttribute(key, value);
    title.textContent = node.label;
    name.textContent = node.text;
    name.setAttribute("y", node.caption ? 13 : node.role === "focus" ? 5.5 : 4.5);
    caption.textContent = node.caption ?? "";
    caption.setAttribute("y", -4);
    return element;
  }

  function draw() {
    const { graph, around, further } = shown;
    const frame = { width: canvas.clientWidth, height: canvas.clientHeight, family: getComputedStyle(document.body).fontFamily };
    const marked = marks();
    const layout = (shown.layout = layOut(around, further, frame, marked));
    edgesGroup.replaceChildren(...layout.edges.map((edge) => svg("path", { class: `edge ${edge.kind} ${marked.has(edge.from) && marked.has(edge.to) ? "marked" : ""}`, d: edge.d })));
    const wanted = new Set(layout.nodes.map((node) => node.id));
    for (const [id, element] of links) {
      if (wanted.has(id)) continue;
      element.remove();
      links.delete(id);
    }
    const inOrder = [...layout.nodes].sort((a, b) => a.y - b.y || a.x - b.x).map((node) => paint(graph, node, marked));
    // an element that moves in the document loses its focus: the others are put around it
    const held = inOrder.indexOf(document.activeElement);
    if (held < 0) nodesGroup.replaceChildren(...inOrder);
    else {
      inOrder[held].before(...inOrder.slice(0, held));
      inOrder[held].after(...inOrder.slice(held + 1));
    }
    setActive(document.activeElement && held >= 0 ? layout.nodes.find((n) => links.get(n.id) === document.activeElement).id : around.node.id);
    camera.fit(layout.extent);
    // the next picture moves what stays, and lets the rest appear
    requestAnimationFrame(() => requestAnimationFrame(() => links.forEach((element) => element.classList.remove("new"))));
  }

  const link = (node) => el("li", {}, el("a", { href: address(shown.graph, node.id), text: short(node.label) || node.id, title: node.label }));
  function list(all) {
    const { around } = shown;
    const roles = sort(around);
    const groups = new Map([["Is a kind of", roles.parents], ["Kinds of it", roles.children]]);
    for (const one of roles.others) {
      const name = one.words[0].toUpperCase() + one.words.slice(1);
      groups.set(name, [...(groups.get(name) ?? []), one]);
    }
    const blocks = [...groups].filter(([, found]) => found.length)
      .map(([name, found]) => el("div", { class: "group" }, el("h3", {}, name, " ", el("small", { text: found.length.toLocaleString("en") })), el("ul", {}, found.map(({ node }) => link(node)))));
    const left = around.total - around.edges.length;
    const more = left > 0 && el("p", { class: "hint" }, `${many(left, "edge is", "edges are")} not listed. `, !all && el("button", { type: "button", class: "plain", text: "List more", onclick: () => load(shown.graph, around.node.id, ALL) }));
    byId("around").replaceChildren(...(blocks.length ? blocks : [el("p", { class: "hint", text: "No edge of this graph leads here." })]), ...(more ? [more] : []));
  }

  function tell(around) {
    const roles = sort(around);
    const parents = roles.parents.map(({ node }) => short(node.label));
    const kinds = roles.children.length + Math.max(0, around.total - around.edges.length);
    byId("node-name").replaceChildren(short(around.node.label) || around.node.id, ...(others(around.node.label) ? [el("small", { text: others(around.node.label) })] : []));
    byId("gloss").replaceChildren(around.node.text || "No description.", " ", el("code", { text: around.node.id }));
    document.title = `${short(around.node.label)} · kgzsl`;
    say([short(around.node.label), parents.length ? `a kind of ${listed(parents)}` : "", kinds ? many(kinds, "kind of it", "kinds of it") : "no kinds of it"].filter(Boolean).join(", "));
  }

  async function load(graph, id, limit = LISTED) {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    byId("walk").setAttribute("aria-busy", "true");
    try {
      const around = await neighbours(graph, id, limit, signal);
      const parents = sort(around).parents.slice(0, 2).map(({ node }) => node.id);
      const further = new Map(await Promise.all(parents.map(async (parent) => [parent, await neighbours(graph, parent, KIN, signal)])));
      shown = { graph, around, further, layout: null };
      draw();
      list(limit > LISTED);
      tell(around);
      walked();
    } catch (error) {
      if (error.name === "AbortError") return;
      byId("around").replaceChildren(problemCard(error, () => load(graph, id, limit)));
    } finally {
      if (!signal.aborted) byId("walk").removeAttribute("aria-busy");
    }
  }

  /** The node that is nearest in the direction of an arrow key; what is off the axis counts double. */
  function nearest([dx, dy]) {
    const nodes = shown.layout.nodes;
    const from = nodes.find((n) => n.id === active);
    const far = (n) => {
      const [along, across] = [(n.x - from.x) * dx + (n.y - from.y) * dy, Math.abs((n.x - from.x) * dy) + Math.abs((n.y - from.y) * dx)];
      return along > 4 ? along + 2 * across : Infinity;
    };
    const best = nodes.reduce((a, b) => (far(b) < far(a) ? b : a));
    return Number.isFinite(far(best)) ? best : null;
  }

  drawing.addEventListener("keydown", (event) => {
    if (!shown?.layout || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { "+": () => camera.zoom(1.25), "=": () => camera.zoom(1.25), "-": () => camera.zoom(0.8), 0: () => camera.fit(), Home: () => links.get(shown.around.node.id).focus() };
    if (event.key in ARROWS) {
      const to = nearest(ARROWS[event.key]);
      if (to) links.get(to.id).focus();
    } else if (keys[event.key]) keys[event.key]();
    else return;
    event.preventDefault();
  });
  nodesGroup.addEventListener("click", (event) => {
    if (!event.target.closest("a.more")) return;
    event.preventDefault();
    byId("around").scrollIntoView({ block: "start" });
    byId("around").querySelector("a")?.focus({ preventScroll: true });
  });
  byId("zoom-in").onclick = () => camera.zoom(1.25);
  byId("zoom-out").onclick = () => camera.zoom(0.8);
  byId("zoom-fit").onclick = () => camera.fit();
  let width = canvas.clientWidth;
  new ResizeObserver(() => {
    if (!shown || canvas.clientWidth === width) return;
    width = canvas.clientWidth;
    draw();
  }).observe(canvas);

  return { load, redraw: () => shown && draw(), at: () => shown && { graph: shown.graph, node: shown.around.node } };
}

const ROLES = { parent: "it is a kind of this", child: "a kind of it", above: "further up", sibling: "of the same kind", more: "listed below" };
