// What the parts of the page tell each other.

import { makeAdding } from "./adding.js";
import { card, failed, waiting } from "./answers.js";
import * as api from "./api.js";
import { byId, el, problemCard, say } from "./dom.js";
import { address, makeGraph, readAddress } from "./graph.js";
import { makePhoto } from "./photo.js";
import { makeSearch } from "./search.js";
import { makeTrail } from "./trail.js";
import { short } from "./words.js";

const EVERYDAY = ["dog", "bird", "tree", "car", "fruit", "furniture"];

let bundles = [];
let file = null;
let led = false; // whether the address changed without anyone having asked to go there
let home = null; // where a walk begins that no address gives
let running = new AbortController();
const predictions = new Map(); // bundle's name → what it said last of this picture
const usable = () => bundles.filter((b) => b.status === "ready");
const chosen = () => usable().filter((b) => byId("models").querySelector(`input[value="${CSS.escape(b.name)}"]`)?.checked);
const candidates = () => document.querySelector("input[name=candidates]:checked").value;

const way = () => new Set([...predictions.values()].flatMap((p) => p.explanation?.path?.nodes?.map((n) => n.id) ?? []));
const graph = makeGraph(way, () => adding.render());
const adding = makeAdding(() => chosen().filter((b) => b.can_add), () => look({ compare: true }), placeOf, () => graph.at());

/** The best place that a class has among what the encoders say of the picture. */
function placeOf(id) {
  if (!file) return null;
  const places = [...predictions.values()].map((p) => p.answers.findIndex((a) => a.id === id));
  return places.sort((a, b) => a - b).find((place) => place >= 0) ?? -1;
}

/** Let every chosen encoder look at the picture; `compare` marks what has changed since it last did, `lead` walks to the answer. */
async function look({ compare = false, lead = false } = {}) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const answers = byId("answers");
  const firstOf = () => predictions.get(chosen()[0]?.name)?.answers[0]?.id;
  const before = firstOf();
  if (!file || !bundles.length) return;
  const asked = chosen();
  for (const name of predictions.keys()) if (!asked.some((b) => b.name === name)) predictions.delete(name);
  document.body.classList.toggle("comparing", asked.length > 1);
  // cards that are there stay until their successors come: nothing jumps
  const cards = new Map([...answers.children].map((c) => [c.dataset.bundle, c]));
  answers.replaceChildren(...asked.map((b) => cards.get(b.name) ?? waiting(b)));
  answers.setAttribute("aria-busy", "true");
  if (!asked.length) answers.replaceChildren(el("p", { class: "hint", text: "Choose an encoder above." }));
  const replace = (bundle, made) => answers.querySelector(`[data-bundle="${CSS.escape(bundle.name)}"]`)?.replaceWith(made);
  await Promise.all(asked.map(async (bundle) => {
    try {
      const said = predictions.get(bundle.name);
      const prediction = await api.predict(bundle.name, file, candidates(), signal);
      if (signal.aborted) return;
      predictions.set(bundle.name, prediction);
      const places = compare && said ? new Map(said.answers.map((a, place) => [a.id, place])) : null;
      replace(bundle, card(bundle, prediction, (answer) => adding.nodeOf(bundle, answer), places, compare ? said?.answers[0]?.name : null));
    } catch (error) {
      if (error.name === "AbortError") return;
      predictions.delete(bundle.name);
      replace(bundle, failed(bundle, error, () => look()));
    }
  }));
  if (signal.aborted) return;
  answers.removeAttribute("aria-busy");
  verdict(asked);
  if (!(lead || (compare && before !== firstOf())) || !leadTo(asked)) graph.redraw();
}

/** Walk to the first encoder's answer, where a graph has it; the page stays where it is. */
function leadTo([bundle]) {
  const answer = predictions.get(bundle?.name)?.answers[0];
  const to = answer && bundle.graph && adding.nodeOf(bundle, answer);
  if (!to || location.hash === address(bundle.graph, to)) return false;
  led = true;
  location.hash = address(bundle.graph, to);
  return true;
}

/** Say in one line what the encoders answer, and whether they agree. */
function verdict(asked) {
  const firsts = asked.map((b) => predictions.get(b.name)?.answers[0]).filter(Boolean);
  const line = byId("verdict");
  line.hidden = firsts.length < 2;
  const names = new Set(firsts.map((a) => a.id));
  line.textContent = names.size === 1 ? `All ${firsts.length} encoders say ${short(firsts[0]?.name)}.` : `The encoders differ: ${[...new Set(firsts.map((a) => short(a.name)))].join(" or ")}?`;
  if (firsts.length) say(firsts.length > 1 ? line.textContent : `It looks like ${short(firsts[0].name)}, ${firsts[0].seen ? "a seen class" : firsts[0].added ? "a class you added" : "a class never seen in training"}`);
}

function showModels() {
  const first = usable()[0]?.name;
  byId("models").replaceChildren(...bundles.map((b) =>
    el("label", { title: b.problem ?? `${b.classes.toLocaleString("en")} classes, ${b.seen.toLocaleString("en")} of them seen` },
      el("input", { type: "checkbox", value: b.name, checked: b.name === first, disabled: b.status !== "ready" }),
      el("span", { text: b.status === "ready" ? b.name : `${b.name} (broken)` }))));
  if (!bundles.length) byId("models").replaceChildren(el("p", { class: "hint", text: "No bundle is served. Make one with kgzsl fit, then serve its folder." }));
}

function showGraphs(graphs) {
  byId("graphs").replaceChildren(...graphs.filter((g) => g.status === "ready").map((g) => el("option", { value: g.name, text: g.name })));
  const sound = graphs.some((g) => g.status === "ready");
  const best = usable().find((b) => b.graph)?.graph;
  if (best) byId("graphs").value = best;
  byId("search").disabled = !sound;
  document.body.classList.toggle("without-graph", !sound);
  if (!sound) byId("gloss").textContent = "No graph is served. Make one with kgzsl graph build, then serve its folder.";
}

/** Some classes to begin with: everyday words where the graph has them, else what the first bundle was trained on. */
async function showExamples() {
  const name = byId("graphs").value;
  if (!name || name === byId("examples").dataset.graph) return;
  byId("examples").dataset.graph = name;
  const same = (label, word) => label.split(", ").includes(word);
  const found = await Promise.all(EVERYDAY.map(async (word) => (await api.search(name, word, "prefix", 20)).nodes.find((n) => same(n.label, word))));
  let some = found.filter(Boolean).map((n) => ({ id: n.id, name: EVERYDAY.find((word) => same(n.label, word)) }));
  const bundle = usable().find((b) => b.graph === name);
  if (!some.length && bundle) some = (await api.classes(bundle.name, { seen: true, limit: EVERYDAY.length })).classes;
  home = some.length ? { graph: name, id: some[0].id } : null;
  byId("examples").replaceChildren(...(some.length ? [el("span", { class: "soft", text: "Places to begin:" })] : []), ...some.map((c) => el("a", { href: address(name, c.id), text: short(c.name) })));
}

function walk() {
  const to = readAddress() ?? home;
  if (!to) return;
  if (byId("graphs").value !== to.graph) {
    byId("graphs").value = to.graph;
    showExamples().catch(() => {}); // only an aid
  }
  graph.load(to.graph, to.id);
  // on a narrow page the graph stands below
  const top = byId("walk").getBoundingClientRect().top;
  if (readAddress() && !led && top > innerHeight * 0.8) byId("walk").scrollIntoView({ block: "start" });
  led = false;
}

async function start() {
  const trouble = byId("trouble");
  trouble.replaceChildren();
  try {
    const [graphs, found] = await Promise.all([api.graphs(), api.bundles()]);
    bundles = found;
    const to = readAddress();
    showGraphs(graphs);
    if (to && graphs.some((g) => g.name === to.graph)) byId("graphs").value = to.graph;
    showModels();
    look({ lead: true }); // a picture, or a word, may have come before
    if (byId("search").value) searchAgain();
    if (to) walk();
    await Promise.all([adding.refresh(), showExamples()]);
    if (!readAddress()) walk();
  } catch (error) {
    trouble.replaceChildren(problemCard(error, start));
  }
}

const searchAgain = makeSearch(() => byId("graphs").value, (node) => (location.hash = address(byId("graphs").value, node.id)));
makeTrail(walk);
makePhoto(
  (given) => {
    file = given;
    predictions.clear();
    byId("trouble").replaceChildren();
    look({ lead: true });
  },
  (problem) => byId("trouble").replaceChildren(problemCard(problem)));
byId("candidates").addEventListener("change", () => look());
byId("models").addEventListener("change", async () => {
  adding.render();
  look();
  await adding.refresh();
});
byId("graphs").addEventListener("change", () => {
  byId("search").focus();
  showExamples().catch(() => {});
});
start();
