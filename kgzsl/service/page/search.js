// The search field: a combobox whose list is the classes found.

import { search as find } from "./api.js";
import { byId, el, later, problemCard, say } from "./dom.js";
import { many, others, short } from "./words.js";

const LIMIT = 12;
const NOTES = { fuzzy: "No name begins so. Nearest in spelling:", none: "Nothing is called so. Try it by meaning." };

/** Make the field work; `graph()` names the graph, `chosen(node)` is called with what was picked. Returns what searches anew. */
export function makeSearch(graph, chosen) {
  const [input, list, popup, mode, note] = ["search", "found", "popup", "mode", "search-note"].map(byId);
  let nodes = [];
  let active = -1;
  let running = new AbortController();
  const soon = later(() => look(), 90);

  const close = () => {
    popup.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const pick = (node) => {
    soon.cancel();
    running.abort();
    input.value = "";
    close();
    chosen(node);
  };
  const mark = (to) => {
    if (!nodes.length) return;
    active = (to + nodes.length) % nodes.length;
    [...list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === active)));
    input.setAttribute("aria-activedescendant", list.children[active].id);
    list.children[active].scrollIntoView({ block: "nearest" });
  };
  const option = (node, at) =>
    el("li", { role: "option", id: `found-${at}`, "aria-selected": "false", onpointerdown: (event) => event.preventDefault(), onclick: () => pick(node) },
      el("span", { class: "found-name" }, el("b", { text: short(node.label) }), others(node.label) && el("span", { text: `, ${others(node.label)}` })),
      el("span", { class: "found-text", text: node.text || node.id }));
  const show = (found, why) => {
    nodes = found;
    list.replaceChildren(...found.map(option));
    note.hidden = !why;
    note.textContent = why ?? "";
    popup.hidden = false;
    input.setAttribute("aria-expanded", String(found.length > 0));
    input.removeAttribute("aria-activedescendant");
    active = -1;
    say(why ?? many(found.length, "class found", "classes found"));
  };

  async function look() {
    soon.cancel();
    running.abort();
    running = new AbortController();
    const { signal } = running;
    const text = input.value.trim();
    if (!text || !graph()) return close();
    try {
      let why;
      let found = (await find(graph(), text, mode.value, LIMIT, signal)).nodes;
      if (!found.length && mode.value === "prefix") {
        found = (await find(graph(), text, "fuzzy", LIMIT, signal)).nodes.filter((n) => n.score > 0.5);
        why = found.length ? NOTES.fuzzy : NOTES.none;
      }
      if (!signal.aborted) show(found, found.length || why ? why : "Nothing was found.");
    } catch (error) {
      if (error.name === "AbortError") return;
      nodes = [];
      list.replaceChildren();
      note.hidden = false;
      note.replaceChildren(problemCard(error));
      popup.hidden = false;
    }
  }

  input.addEventListener("input", soon);
  mode.addEventListener("change", () => {
    input.focus();
    look();
  });
  input.addEventListener("focus", () => input.select());
  input.addEventListener("keydown", (event) => {
    const open = !popup.hidden && nodes.length > 0;
    if (event.key === "ArrowDown") open ? mark(active + 1) : look();
    else if (event.key === "ArrowUp" && open) mark(active < 0 ? nodes.length - 1 : active - 1);
    else if (event.key === "Escape") popup.hidden ? (input.value = "") : close();
    else if (event.key === "Tab") return close();
    else return;
    event.preventDefault();
  });
  byId("search-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (active >= 0) return pick(nodes[active]);
    await look(); // what was typed last may not have been looked up yet
    if (nodes.length && !popup.hidden) pick(nodes[0]);
  });
  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest("#search-form")) close();
  });
  // "/" goes to the search from anywhere but a field
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input, select, textarea, dialog[open]")) return;
    event.preventDefault();
    input.focus();
  });
  return look;
}
