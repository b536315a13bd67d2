// How a series was made, as a graph: series, and the steps between them.

import { button, h, put } from "./dom.js";
import { json } from "./format.js";

/**
 * @typedef {object} Step
 * @property {string} type
 * @property {string} [description]
 * @property {string} [run_datetime]
 * @property {{name?: string, version?: string, author?: string, reference?: string}} [function_info]
 * @property {Record<string, any>} [parameters]
 * @property {string[]} [input_series_names]
 * @property {string} [output_series_name]
 *
 * @typedef {object} Node
 * @property {number} level from the top
 * @property {number} place among those of its level
 *
 * @typedef {object} On
 * @property {(keys: string[]) => void} show draws these series alone
 * @property {(key: string) => boolean} isShown
 * @property {(key: string) => void} toggle
 */

/** Pixels of a node, and between nodes. */
const WIDE = 230;
const HIGH = 30;
const ACROSS = 16;
const DOWN = 16;

/**
 * @param {string} key of the series
 * @param {Step[]} steps the first one first
 * @param {Record<string, string>} keys of the series by the names that steps call them
 * @param {On} on
 */
export function history(key, steps, keys, on) {
  const panel = h("div", { class: "panel", role: "status" });
  /** @type {HTMLElement[]} */
  const buttons = [];
  const { series, at, levels, widest } = placed(steps);
  const host = h("div", { class: "graph" });
  host.style.width = `${widest * (WIDE + ACROSS) - ACROSS}px`;
  host.style.height = `${levels * (HIGH + DOWN) - DOWN}px`;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const edge = (/** @type {Node} */ from, /** @type {Node} */ to) => {
    const [x0, y0] = [from.place * (WIDE + ACROSS) + WIDE / 2, from.level * (HIGH + DOWN) + HIGH];
    const [x1, y1] = [to.place * (WIDE + ACROSS) + WIDE / 2, to.level * (HIGH + DOWN)];
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", `M${x0} ${y0}C${x0} ${y0 + DOWN / 2} ${x1} ${y1 - DOWN / 2} ${x1} ${y1}`);
    svg.append(path);
  };
  const node = (/** @type {Node} */ { level, place }, /** @type {HTMLElement} */ element) => {
    element.style.left = `${place * (WIDE + ACROSS)}px`;
    element.style.top = `${level * (HIGH + DOWN)}px`;
    return element;
  };
  for (const [name, place] of series) {
    const known = keys[name];
    const draw = () => {
      if (known) on.toggle(known);
    };
    host.append(node(place, button(name, draw, { class: "made", title: known ? `${known}: draw it, or leave it out` : `${name} is not in the file`, disabled: !known, "aria-pressed": String(Boolean(known) && on.isShown(known)) })));
  }
  steps.forEach((step, i) => {
    for (const name of step.input_series_names ?? []) edge(/** @type {Node} */ (series.get(name)), at[i]);
    const made = series.get(step.output_series_name ?? "");
    if (made) edge(at[i], made);
    const one = button(step.function_info?.name || step.type, () => {
      const isOpen = one.getAttribute("aria-expanded") === "true";
      for (const other of buttons) other.setAttribute("aria-expanded", "false");
      one.setAttribute("aria-expanded", String(!isOpen));
      put(panel, !isOpen && described(step, keys, on));
    }, { class: "step", title: step.description ?? "", "aria-expanded": "false" });
    buttons.push(one);
    host.append(node(at[i], one));
  });
  host.prepend(svg);
  return h("div", {}, h("h3", {}, "How it was made"), h("div", { class: "history" }, h("div", { class: "scroll", role: "group", "aria-label": `Steps that made ${key}` }, host), panel));
}

/**
 * A place for each series and each step: what is made of something stands below it.
 *
 * @param {Step[]} steps
 */
function placed(steps) {
  /** @type {Map<string, Node>} */
  const series = new Map();
  /** @type {number[]} */
  const used = [];
  const next = (/** @type {number} */ level) => {
    used[level] = (used[level] ?? 0) + 1;
    return { level, place: used[level] - 1 };
  };
  /** @type {Node[]} */
  const at = [];
  for (const step of steps) {
    const inputs = step.input_series_names ?? [];
    for (const name of inputs) if (!series.has(name)) series.set(name, next(0));
    const last = Math.max(0, ...inputs.map((name) => /** @type {Node} */ (series.get(name)).level));
    at.push(next(last + 1));
    const made = step.output_series_name;
    if (made && !series.has(made)) series.set(made, next(last + 2));
  }
  return { series, at, levels: used.length, widest: Math.max(1, ...used.map((n) => n ?? 0)) };
}

/** What a step did. @param {Step} step @param {Record<string, string>} keys @param {On} on */
function described(step, keys, on) {
  const of = step.function_info ?? {};
  /** @type {[string, string | undefined][]} */
  const known = [["Function", [of.name, of.version].filter(Boolean).join(" ")], ["Kind", step.type], ["What", step.description], ["When", step.run_datetime?.replace("T", " ").slice(0, 19)], ["Author", of.author], ["Reference", of.reference], ["From", (step.input_series_names ?? []).join(", ")], ["To", step.output_series_name]];
  const both = [...(step.input_series_names ?? []), step.output_series_name ?? ""].map((name) => keys[name]).filter(Boolean);
  return h("div", {},
    h("dl", { class: "facts" }, ...known.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    Object.keys(step.parameters ?? {}).length > 0 && h("pre", {}, json(step.parameters)),
    both.length > 1 && button("Before and after", () => on.show(both), { title: "Draw what went in and what came out, and nothing else" }));
}
