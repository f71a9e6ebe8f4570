// Classes that are added by name: linked to a node, changed to another one, taken away.

import { add, added, remove } from "./api.js";
import { byId, el, problemCard, say } from "./dom.js";
import { address } from "./graph.js";
import { listed, short } from "./words.js";

/**
 * Make the form work.
 *
 * @param chosen gives the bundles that are asked and can take classes.
 * @param changed is called when their classes have changed.
 * @param placeOf gives where a class stands among the answers of a picture: −1 for not among them, null without a picture.
 * @param here gives the node in the middle of the graph, with the graph's name: what a class may be made a kind of.
 * @returns `refresh()` reads what was added, `nodeOf(bundle, answer)` gives the node of an answer.
 */
export function makeAdding(chosen, changed, placeOf, here) {
  const [form, input, list, trouble] = ["adding", "name", "added", "adding-trouble"].map(byId);
  const known = new Map(); // bundle's name → its added classes
  const labels = new Map(); // node → its label, of nodes that were chosen in the graph
  const meanings = new Map(); // name → the nodes that it may mean
  const button = form.querySelector("button");

  const nodeOf = (bundle, answer) => (answer.added ? known.get(bundle.name)?.find((one) => one.id === answer.id)?.node : answer.id);

  /** Added classes of the chosen bundles, each once, with the bundles that have it. */
  function together() {
    const found = new Map();
    for (const bundle of chosen()) {
      for (const one of known.get(bundle.name) ?? []) {
        if (!found.has(one.id)) found.set(one.id, { one, bundles: [] });
        found.get(one.id).bundles.push(bundle);
      }
    }
    return [...found.values()];
  }

  function meaning({ one, bundles }) {
    if (one.candidates?.length) meanings.set(one.name, one.candidates);
    const candidates = meanings.get(one.name) ?? []; // of a class whose node was chosen the service tells none
    const options = candidates.some((c) => c.id === one.node) ? candidates : [{ id: one.node, label: labels.get(one.node) ?? one.node, score: null }, ...candidates];
    const at = here();
    const middle = at && at.graph === bundles[0].graph && !options.some((c) => c.id === at.node.id) ? [at.node] : [];
    const label = ({ label, score }) => `${short(label)}${score === null ? "" : ` · ${score.toFixed(2)}`}`;
    if (options.length + middle.length < 2) return el("a", { href: address(bundles[0].graph, one.node), text: short(options[0].label), title: options[0].label });
    return el("select", { "aria-label": `What ${one.name} means`, onchange: (event) => mean(one, bundles, event.target.value) },
      options.map((c) => el("option", { value: c.id, selected: c.id === one.node, title: c.label, text: label(c) })),
      middle.map((c) => el("option", { value: c.id, text: `${short(c.label)} · in the graph` })));
  }

  const item = (entry) =>
    el("li", {},
      el("span", { class: "badge added", text: "added" }), el("b", { text: entry.one.name }),
      el("span", { class: "soft", text: entry.one.relation === "kind of" ? "a kind of" : "is" }), meaning(entry),
      el("a", { class: "soft", href: address(entry.bundles[0].graph, entry.one.node), "aria-label": `${entry.one.name} in the graph`, text: "in the graph" }),
      el("button", { type: "button", class: "plain", "aria-label": `Take ${entry.one.name} away`, onclick: () => takeAway(entry), text: "×" }));

  const inList = (label) => label && list.querySelector(`[aria-label="${CSS.escape(label)}"]`);
  const heldInList = () => (list.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null);

  function render() {
    const held = heldInList();
    form.hidden = !chosen().length;
    list.replaceChildren(...together().map(item));
    inList(held)?.focus();
  }

  async function refresh() {
    try {
      await Promise.all(chosen().map(async (bundle) => known.set(bundle.name, await added(bundle.name))));
    } catch (error) {
      trouble.replaceChildren(problemCard(error, refresh));
    }
    render();
  }

  /** Do something that changes classes; what goes wrong is shown, what went well stays. */
  async function change(work) {
    const held = heldInList();
    for (const control of [button, ...list.querySelectorAll("button, select")]) control.disabled = true;
    form.setAttribute("aria-busy", "true");
    trouble.replaceChildren();
    const said = await Promise.allSettled(work());
    for (const one of said.filter((s) => s.status === "rejected")) trouble.replaceChildren(problemCard(one.reason));
    await refresh();
    button.disabled = false;
    inList(held)?.focus();
    form.removeAttribute("aria-busy");
    const done = said.filter((s) => s.status === "fulfilled");
    if (done.length) await changed();
    return done.map((s) => s.value);
  }

  /** Give a name another node; what cannot be is told, and the class stays what it was. */
  const mean = (one, bundles, node) => {
    if (here()?.node.id === node) labels.set(node, here().node.label);
    return change(() => bundles.map(async (bundle) => {
      if (one.relation === "is") {
        const made = await add(bundle.name, [{ name: one.name, node }]);
        await remove(bundle.name, one.id);
        return made;
      }
      await remove(bundle.name, one.id); // a kind keeps its id: two cannot be
      try {
        return await add(bundle.name, [{ name: one.name, below: node }]);
      } catch (error) {
        await add(bundle.name, [{ name: one.name, below: one.node }]);
        throw error;
      }
    }));
  };

  async function takeAway({ one, bundles }) {
    await change(() => bundles.map((bundle) => remove(bundle.name, one.id)));
    say(`${one.name} taken away`);
    input.focus();
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const names = input.value.split(",").map((name) => name.trim()).filter(Boolean);
    if (!names.length || button.disabled) return;
    const done = await change(() => chosen().map((bundle) => add(bundle.name, names.map((name) => ({ name })))));
    if (!done.length) return;
    input.value = "";
    const made = done.flat();
    const slowest = Math.max(...made.map((one) => one.milliseconds ?? 0));
    const places = made.map((one) => placeOf(one.id));
    const seen = places.includes(null) ? "" : places.some((place) => place >= 0) ? ` Its place for this picture: ${Math.min(...places.filter((p) => p >= 0)) + 1}.` : " This picture does not look like it: it is not among the first answers.";
    byId("adding-hint").textContent = `${listed(names)} added in ${slowest < 10 ? slowest.toFixed(1) : Math.round(slowest).toLocaleString("en")} ms, without training.${seen}`;
    say(byId("adding-hint").textContent);
  });
  return { refresh, render, nodeOf };
}
