// Where the classes around one stand: what it is a kind of above, its kinds below, the rest at the sides.
// The same neighbourhood in the same frame always gives the same picture.

import { direction, phrase, short } from "./words.js";

const GAP = 10; // between pills of a row
const ROW = 44; // from row to row
const LEVEL = 84; // from the class in the middle to the nearest row
const SIDE = 50; // from pill to pill of a side
const WIDE = 620; // frames narrower than this have no sides
const PILL = 34;
const MOST = { parents: 6, above: 4, siblings: 6, others: 6 };

const pen = document.createElement("canvas").getContext("2d");

function widthOf(text, font) {
  pen.font = font;
  return pen.measureText(text).width;
}

function clip(text, font, most) {
  if (widthOf(text, font) <= most) return text;
  let end = text.length;
  while (end > 1 && widthOf(`${text.slice(0, end)}…`, font) > most) end -= 1;
  return `${text.slice(0, end).trimEnd()}…`;
}

/** A pill around a name; `caption` is a relation in small letters above it. */
function pill(node, role, frame, caption) {
  const font = `${role === "focus" ? "600 16px" : "13px"} ${frame.family}`;
  const most = Math.min(role === "focus" ? 260 : 180, frame.width - 60);
  const text = clip(short(node.label) || node.id, font, most);
  const wide = Math.max(widthOf(text, font), caption ? widthOf(caption, `11px ${frame.family}`) : 0);
  return { id: node.id, label: node.label || node.id, text, role, caption, w: Math.round(wide) + 26, h: role === "focus" ? 42 : PILL, x: 0, y: 0 };
}

/** Pills → rows that are no wider than the frame. */
function rowsOf(pills, width) {
  const rows = [];
  let room = 0;
  for (const one of pills) {
    if (!rows.length || room < one.w) {
      rows.push([]);
      room = width;
    }
    rows.at(-1).push(one);
    room -= one.w + GAP;
  }
  return rows;
}

function placeRow(row, y) {
  const width = row.reduce((sum, one) => sum + one.w + GAP, -GAP);
  let x = -width / 2;
  for (const one of row) {
    one.x = x + one.w / 2;
    one.y = y;
    x += one.w + GAP;
  }
}

/** Put classes of the same kind to the left and right of the one in the middle, as many as its row has room for. */
function flank(focus, siblings, room, nodes) {
  const ends = [-focus.w / 2 - 34, focus.w / 2 + 34];
  for (const [at, one] of siblings.entries()) {
    const side = at % 2;
    const sign = side ? 1 : -1;
    if (Math.abs(ends[side]) + one.w > room / 2) {
      nodes.delete(one.id);
      continue;
    }
    one.x = ends[side] + (sign * one.w) / 2;
    ends[side] += sign * (one.w + GAP);
  }
}

/** Drop what does not fit into `most` rows; the last pill then counts the rest. */
function cut(pills, width, most, total, more) {
  let rows = rowsOf(pills, width);
  const left = () => total - rows.flat().length;
  if (rows.length <= most && left() === 0) return rows;
  const kept = rows.slice(0, most).flat();
  for (;;) {
    rows = rowsOf([...kept, more(total - kept.length)], width);
    if (rows.length <= most || !kept.length) return rows;
    kept.pop();
  }
}

/** One neighbour of each relation in turn. */
function mixed(found) {
  const turns = new Map();
  const turn = ({ words }) => turns.set(words, (turns.get(words) ?? -1) + 1).get(words);
  return found.map((one) => [turn(one), one]).sort(([a], [b]) => a - b).map(([, one]) => one);
}

/** Sort what is around a class into roles. */
export function sort(around) {
  const labels = new Map([around.node, ...around.nodes].map((n) => [n.id, n]));
  const roles = { parents: [], children: [], others: [] };
  const met = new Set([around.node.id]);
  for (const edge of around.edges) {
    const outward = edge.subject === around.node.id;
    const node = labels.get(outward ? edge.object : edge.subject);
    if (!node || node.id === around.node.id) continue;
    const way = direction(edge, around.node.id);
    const one = { node, edge, outward, words: phrase(edge.relation, outward) };
    const into = way > 0 ? roles.parents : way < 0 ? roles.children : roles.others;
    if (way !== 0 && met.has(`${way} ${node.id}`)) continue;
    met.add(`${way} ${node.id}`);
    into.push(one);
  }
  return roles;
}

/**
 * Lay out what is around a class.
 *
 * @param around what the service says of it; `total` counts its edges.
 * @param further map from a parent's id to what is around it.
 * @param frame width and height in pixels, and the font family.
 * @param marked ids that come first where not all have room.
 * @returns nodes with the middle of their pills, edges between them, and the extent of it all.
 */
export function layOut(around, further, frame, marked) {
  const roles = sort(around);
  const markedFirst = (found) => [...found.filter(({ node }) => marked.has(node.id)), ...found.filter(({ node }) => !marked.has(node.id))];
  const focus = pill(around.node, "focus", frame);
  const nodes = new Map([[focus.id, focus]]);
  const edges = [];
  const take = (node, role, caption) => {
    if (nodes.has(node.id)) return null;
    const one = pill(node, role, frame, caption);
    nodes.set(one.id, one);
    return one;
  };
  const room = frame.width - 24;

  const parents = roles.parents.slice(0, MOST.parents).map(({ node }) => take(node, "parent")).filter(Boolean);
  const children = markedFirst(roles.children).map(({ node }) => take(node, "child")).filter(Boolean);
  const wide = frame.width >= WIDE;
  const beside = mixed(roles.others).slice(0, wide ? MOST.others : 4)
    .map(({ node, words, outward }) => [take(node, "other", outward ? words : `← ${words}`), words]).filter(([one]) => one);
  beside.forEach(([one]) => (one.h = PILL + 8));

  const above = [];
  const siblings = [];
  for (const parent of parents) {
    const kin = further.get(parent.id);
    if (!kin) continue;
    const next = sort(kin);
    for (const { node } of next.parents) {
      if (above.length >= MOST.above && !nodes.has(node.id)) continue;
      const one = take(node, "above");
      if (one) above.push(one);
      if (nodes.get(node.id).role === "above") edges.push({ from: node.id, to: parent.id, kind: "far" });
    }
    for (const { node } of markedFirst(next.children)) {
      if (!wide || beside.length || siblings.length >= MOST.siblings || nodes.has(node.id)) continue;
      const one = take(node, "sibling");
      one.under = parent.id;
      siblings.push(one);
    }
  }

  flank(focus, siblings, room, nodes);
  const sides = [[], []];
  if (wide) beside.forEach(([one], at) => sides[at % 2].push(one));
  const tall = Math.max(0, sides[0].length - 1) * SIDE;
  const level = Math.max(LEVEL, tall / 2 + PILL + 16);
  sides.forEach((side, at) => {
    side.forEach((one, k) => {
      one.x = (at ? 1 : -1) * (focus.w / 2 + 64 + one.w / 2);
      one.y = (k - (side.length - 1) / 2) * SIDE;
    });
  });

  let y = -level;
  for (const row of rowsOf(parents, room)) {
    placeRow(row, y);
    y -= ROW;
  }
  if (parents.length && above.length) y -= 22;
  for (const row of rowsOf(above, room)) {
    placeRow(row, y);
    y -= ROW;
  }
  const top = Math.min(y + ROW, -tall / 2) - PILL;
  // the rest of the height belongs to the kinds
  const narrow = wide ? [] : beside.map(([one]) => one);
  const rows = Math.max(1, Math.floor((frame.height - 24 + top - level) / ROW) - (narrow.length ? 2 : 0));
  // kinds that the service did not list are counted too
  const total = children.length + Math.max(0, around.total - around.edges.length);
  const more = (count) => pill({ id: "more", label: `${count.toLocaleString("en")} more` }, "more", frame);
  y = level;
  const shown = total ? cut(children, room, rows, total, more) : [];
  for (const row of shown) {
    placeRow(row, y);
    y += ROW;
  }
  for (const row of rowsOf(narrow, room)) {
    y += 6;
    placeRow(row, y);
    y += ROW;
  }
  // what is left of the height goes between the rows
  const stretch = Math.min(Math.max((frame.height - 64) / (y - ROW + PILL / 2 - top), 1), 1.4);
  const kept = new Set(shown.flat().map((one) => one.id));
  for (const one of children) if (!kept.has(one.id)) nodes.delete(one.id);
  const rest = shown.flat().find((one) => one.role === "more");
  if (rest) nodes.set(rest.id, rest);

  for (const one of nodes.values()) one.y *= stretch;

  for (const one of parents) edges.push({ from: one.id, to: focus.id, kind: "up" });
  for (const one of children) if (kept.has(one.id)) edges.push({ from: focus.id, to: one.id, kind: "down" });
  if (rest) edges.push({ from: focus.id, to: rest.id, kind: "rest" });
  for (const one of siblings) if (nodes.has(one.id)) edges.push({ from: one.under, to: one.id, kind: "far" });
  for (const [one, words] of beside) edges.push({ from: focus.id, to: one.id, kind: "other", words });
  return { nodes: [...nodes.values()], edges: edges.map((edge) => ({ ...edge, d: curve(nodes.get(edge.from), nodes.get(edge.to)) })), extent: extentOf(nodes) };
}

/** From one pill to another: out of its lower or upper side where the other one is clearly below or above, else out of the near end. */
function curve(a, b) {
  const apart = (a.h + b.h) / 2 + 6;
  if (Math.abs(b.y - a.y) >= apart) {
    const sign = Math.sign(b.y - a.y);
    const [y0, y1] = [a.y + (sign * a.h) / 2, b.y - (sign * b.h) / 2];
    const half = (y0 + y1) / 2;
    return `M${a.x} ${y0}C${a.x} ${half} ${b.x} ${half} ${b.x} ${y1}`;
  }
  const sign = Math.sign(b.x - a.x) || 1;
  const [x0, x1] = [a.x + (sign * a.w) / 2, b.x - (sign * b.w) / 2];
  const half = (x0 + x1) / 2;
  return `M${x0} ${a.y}C${half} ${a.y} ${half} ${b.y} ${x1} ${b.y}`;
}

function extentOf(nodes) {
  const all = [...nodes.values()];
  const low = (f) => Math.min(...all.map(f));
  const high = (f) => Math.max(...all.map(f));
  return { left: low((n) => n.x - n.w / 2), right: high((n) => n.x + n.w / 2), top: low((n) => n.y - n.h / 2), bottom: high((n) => n.y + n.h / 2) };
}
