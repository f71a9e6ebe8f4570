// How relations, classes and numbers are put into words.

/** Relation → from subject to object, and back. */
const PHRASES = {
  hypernym: ["is a kind of", "has the kind"],
  instance_hypernym: ["is an instance of", "has the instance"],
  inferred_hypernym: ["is a kind of (inferred)", "has the kind (inferred)"],
  part_meronym: ["has the part", "is a part of"],
  member_meronym: ["has the member", "is a member of"],
  substance_meronym: ["is made of", "makes up"],
  used_for: ["is used for", "can be done with"],
  at_location: ["is found at", "is the place of"],
  capable_of: ["can", "can be done by"],
  has_property: ["is", "is a property of"],
  has_attribute: ["has the attribute", "is an attribute of"],
  related: ["is related to", "is related to"],
  similar: ["is similar to", "is similar to"],
  synonym: ["is also called", "is also called"],
  antonym: ["is the opposite of", "is the opposite of"],
  near: ["is near", "is near"],
};

const UP = new Set(["hypernym", "instance_hypernym", "inferred_hypernym"]);
const DOWN = new Set(["hyponym", "instance_hyponym", "inferred_hyponym"]);

/** Whether an edge from `id` leads up to a parent (1), down to a kind (-1) or aside (0). */
export function direction(edge, id) {
  const sign = UP.has(edge.relation) ? 1 : DOWN.has(edge.relation) ? -1 : 0;
  return edge.subject === id ? sign : -sign;
}

export function phrase(relation, outward) {
  const known = PHRASES[relation];
  if (known) return known[outward ? 0 : 1];
  const words = relation.replace(/^.*[:/]/, "").replaceAll("_", " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return outward ? words : `${words} (of)`;
}

/** The first of a class's names. */
export const short = (label) => (label ?? "").split(", ")[0] || label || "";

/** All names but the first. */
export const others = (label) => (label ?? "").split(", ").slice(1).join(", ");

export function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)} %`;
}

export const many = (count, one, more) => `${count.toLocaleString("en")} ${count === 1 ? one : more}`;

/** "a, b and c" */
export const listed = (words) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);
