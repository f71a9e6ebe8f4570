// What one encoder answers, as a card: the classes, why the first one, and what is surest.

import { el, problemCard } from "./dom.js";
import { address } from "./graph.js";
import { direction, listed, many, others, percent, phrase, short } from "./words.js";

const SHOWN = 5;

const badge = (answer) =>
  answer.added ? el("span", { class: "badge added", text: "you added it" }) : el("span", { class: `badge ${answer.seen ? "seen" : "unseen"}`, text: answer.seen ? "seen" : "never seen" });

function bar(share, label) {
  const fill = el("span", { class: "fill" });
  fill.style.width = `${Math.min(100, Math.max(share > 0 ? 1 : 0, 100 * share))}%`;
  return el("span", { class: "track", "aria-hidden": "true", title: label }, fill);
}

/** A class's name, leading to its node where it has one. */
function nameOf(answer, graph, node) {
  const all = [short(answer.name), others(answer.name) && el("small", { text: `, ${others(answer.name)}` })].filter(Boolean);
  return graph && node ? el("a", { class: "name", href: address(graph, node) }, ...all) : el("span", { class: "name" }, ...all);
}

/** How an answer's place differs from the one it had before classes were added or taken away. */
function change(answer, place, before) {
  if (!before) return null;
  const was = before.get(answer.id);
  if (was === undefined) return el("span", { class: "moved in", text: "new here" });
  if (was === place) return null;
  return el("span", { class: was > place ? "moved up" : "moved down", text: was > place ? `▲ was ${was + 1}` : `▼ was ${was + 1}` });
}

/** The way from the answer to the seen class that carried most, as a line with stops. */
function route(path, graph, last) {
  const step = (node, at) => {
    const edge = path.edges[at];
    const arrow = edge && { 1: "↑", "-1": "↓", 0: "→" }[direction(edge, node.id)];
    return el("li", { class: "stop" },
      el("a", { href: address(graph, node.id), text: short(node.label) || node.id, title: node.label }),
      at === 0 && el("small", { text: " the answer" }),
      at === path.nodes.length - 1 && el("small", { text: last }),
      edge && el("span", { class: "relation" }, el("span", { "aria-hidden": "true", text: `${arrow} ` }), phrase(edge.relation, edge.subject === node.id)));
  };
  return el("ol", { class: "route", "aria-label": "The way through the graph" }, path.nodes.map(step));
}

function why(answer, explanation, bundle) {
  const name = short(answer.name);
  const lines = [];
  const { parents = [], children = [], carriers = [], path } = explanation;
  const few = (labels) => listed([...labels.slice(0, 4).map(short), ...(labels.length > 4 ? [many(labels.length - 4, "other", "others")] : [])]);
  const kinds = children.length === 1 ? `a kind of it is ${few(children)}` : `kinds of it are ${few(children)}`;
  if (answer.added) lines.push(el("p", {}, "You added this class: its classifier was computed from the graph, without a picture and without training."));
  else if (answer.seen) lines.push(el("p", {}, `It is one of the ${bundle.seen.toLocaleString("en")} classes with training pictures.`));
  else lines.push(el("p", {}, "No training picture showed it: its classifier was computed from the graph."));
  if (parents.length) lines.push(el("p", {}, el("b", { text: name }), " is a kind of ", few(parents), children.length ? `; ${kinds}.` : "."));
  else if (children.length) lines.push(el("p", { text: `${kinds[0].toUpperCase()}${kinds.slice(1)}.` }));
  if (carriers.length) {
    const most = Math.max(...carriers.map(([, share]) => share));
    lines.push(el("h4", { text: "Seen classes that carried the score" }),
      el("ul", { class: "carriers" }, carriers.slice(0, 5).map(([label, share]) => el("li", {}, el("span", { class: "carrier", text: short(label), title: label }), bar(share / most, percent(share)), el("span", { class: "number", text: percent(share) })))));
  }
  if (path?.nodes?.length > 1 && bundle.graph) lines.push(el("h4", { text: "The way between them" }), route(path, bundle.graph, " seen, carried most"));
  return el("details", { class: "why", open: true }, el("summary", {}, `Why ${name}?`), ...lines);
}

const heading = (bundle) =>
  el("header", {}, el("h3", { text: bundle.name }), el("p", { text: [bundle.encoder, bundle.backbone].filter(Boolean).join(" · ") }));

/** A card that waits for its answers, as tall as they will be. */
export const waiting = (bundle) =>
  el("article", { class: "card waiting", "aria-busy": "true", "data-bundle": bundle.name }, heading(bundle), el("ol", { class: "answers", "aria-label": "Answers are on their way" }, Array.from({ length: SHOWN }, () => el("li", {}, el("span", { class: "ghost" })))));

/** A card that says what went wrong. */
export const failed = (bundle, problem, again) => el("article", { class: "card", "data-bundle": bundle.name }, heading(bundle), problemCard(problem, again));

/**
 * The card of a prediction.
 *
 * @param nodeOf gives the node of an answer, its own id where it is no added class.
 * @param before places that the answers had before, by id; null where nothing was changed.
 * @param was the name of the first answer before.
 */
export function card(bundle, prediction, nodeOf, before, was) {
  const [first] = prediction.answers;
  const most = first?.confidence || 1;
  const placed = prediction.answers.map((answer, place) => ({ answer, place }));
  const rows = [...placed.slice(0, SHOWN), ...placed.slice(SHOWN).filter(({ answer }) => answer.added).slice(0, SHOWN)].map(({ answer, place }) =>
    el("li", { value: place + 1, class: before && before.get(answer.id) === undefined ? "fresh" : "" },
      el("div", { class: "answer" }, place >= SHOWN && el("span", { class: "number", text: `${place + 1}.` }), nameOf(answer, bundle.graph, nodeOf(answer)), badge(answer), change(answer, place, before)),
      el("div", { class: "measure" }, bar(answer.confidence / Math.max(most, 0.2), percent(answer.confidence)), el("span", { class: "number", title: `score ${answer.score.toFixed(4)}`, text: percent(answer.confidence) }))));
  const backoff = prediction.backoff && prediction.backoff.id !== first?.id &&
    el("p", { class: "backoff" }, "To be on the safe side: ", bundle.graph ? el("a", { href: address(bundle.graph, prediction.backoff.id), text: short(prediction.backoff.name) }) : short(prediction.backoff.name), el("small", { text: ` ${percent(prediction.backoff.confidence)}, the most specific kind that is likelier than not` }));
  return el("article", { class: "card", "data-bundle": bundle.name }, heading(bundle),
    was && first && was !== first.name && el("p", { class: "turned" }, "Before: ", el("s", { text: short(was) })),
    el("ol", { class: "answers" }, rows), backoff, prediction.explanation && first && why(first, prediction.explanation, bundle));
}
