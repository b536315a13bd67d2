// A graph around one of its nodes: rings by distance, each branch in a sector of its own.

import { h } from "./dom.js";

/**
 * @typedef {{id: number | bigint, name: string, depth: number}} Node_
 * @typedef {{from: number | bigint, to: number | bigint, type: string, strength: number}} Edge
 */

const SVG = "http://www.w3.org/2000/svg";
const SIZE = 640;
const MIDDLE = SIZE / 2;
/** Nodes up to which each has its name beside it. */
const NAMED = 80;
const LONG = 22;

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Element | string)} children
 */
function s(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** @param {string} text */
const short = (text) => (text.length > LONG ? `${text.slice(0, LONG - 1)}…` : text);

/**
 * @param {Node_[]} nodes the first one is in the middle
 * @param {Edge[]} edges
 * @param {(id: number | bigint) => void} choose
 */
export function graph(nodes, edges, choose) {
  const places = placesOf(nodes, edges);
  const strongest = Math.max(1e-12, ...edges.map(({ strength }) => Math.abs(strength)));
  const lines = edges.map((edge) => {
    const [a, b] = [places.get(String(edge.from)), places.get(String(edge.to))];
    if (!a || !b) return "";
    const width = 0.6 + 2.4 * (Math.abs(edge.strength) / strongest);
    return s("line", { x1: a.x, y1: a.y, x2: b.x, y2: b.y, "stroke-width": width.toFixed(2), class: edge.strength < 0 ? "edge against" : "edge" },
      s("title", {}, `${edge.type}, strength ${edge.strength}`));
  });
  const rings = [...new Set(nodes.map(({ depth }) => depth))].filter((depth) => depth > 0).map((depth) =>
    s("circle", { cx: MIDDLE, cy: MIDDLE, r: radius(depth, nodes), class: "ring" }));
  const dots = nodes.map(({ id, name, depth }, i) => {
    const { x, y } = /** @type {{x: number, y: number}} */ (places.get(String(id)));
    const [left, middle] = [x < MIDDLE - 1, Math.abs(x - MIDDLE) <= 1];
    const label = nodes.length <= NAMED || depth < 2
      ? [s("text", { x: x + (middle ? 0 : left ? -9 : 9), y: y + (middle ? (i === 0 ? -13 : y < MIDDLE ? -11 : 20) : 4), "text-anchor": middle ? "middle" : left ? "end" : "start" }, short(name))]
      : [];
    const node = s("g", { class: i === 0 ? "node first" : "node", tabindex: 0, role: "button", "aria-label": name, "data-key": `node ${id}` },
      s("circle", { cx: x, cy: y, r: i === 0 ? 8 : 5.5 }), ...label, s("title", {}, name));
    node.addEventListener("click", () => choose(id));
    node.addEventListener("keydown", (event) => {
      if (/** @type {KeyboardEvent} */ (event).key === "Enter") choose(id);
    });
    return node;
  });
  const svg = s("svg", { viewBox: `-70 0 ${SIZE + 140} ${SIZE}`, role: "img", "aria-label": `${nodes.length} concepts and ${edges.length} relationships` },
    ...rings, ...lines.filter((line) => line !== ""), ...dots);
  return h("div", { class: "around" }, svg);
}

/** @param {number} depth @param {Node_[]} nodes */
function radius(depth, nodes) {
  const deepest = Math.max(1, ...nodes.map((node) => node.depth));
  return (depth * (MIDDLE - 30)) / deepest;
}

/** @param {Node_[]} nodes @param {Edge[]} edges */
function placesOf(nodes, edges) {
  const depths = new Map(nodes.map(({ id, depth }) => [String(id), depth]));
  /** @type {Map<string, string[]>} */
  const children = new Map();
  const placed = new Set([String(nodes[0]?.id)]);
  for (const { from, to } of edges) {
    for (const [a, b] of [[String(from), String(to)], [String(to), String(from)]]) {
      if (placed.has(b) || (depths.get(b) ?? 0) !== (depths.get(a) ?? -9) + 1) continue;
      placed.add(b);
      children.set(a, [...(children.get(a) ?? []), b]);
    }
  }
  /** @type {(id: string) => number} leaves of a branch */
  const weight = (id) => (children.get(id) ?? []).reduce((sum, child) => sum + weight(child), 0) || 1;
  /** @type {Map<string, {x: number, y: number}>} */
  const places = new Map();
  const put = (/** @type {string} */ id, /** @type {number} */ from, /** @type {number} */ until) => {
    const angle = (from + until) / 2;
    const r = radius(depths.get(id) ?? 0, nodes);
    places.set(id, { x: MIDDLE + r * Math.sin(angle), y: MIDDLE - r * Math.cos(angle) });
    let at = from;
    const share = (until - from) / weight(id);
    for (const child of children.get(id) ?? []) {
      put(child, at, at + share * weight(child));
      at += share * weight(child);
    }
  };
  if (nodes.length > 0) put(String(nodes[0].id), 0, 2 * Math.PI);
  return places;
}
